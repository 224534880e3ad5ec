"""Bring-up by hand: what is on a line, one servo at a time, the person's file edited in place."""
