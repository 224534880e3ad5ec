"""The commands that put the parts together."""
