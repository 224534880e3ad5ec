"""One YAML per face."""
