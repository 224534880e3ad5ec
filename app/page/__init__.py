"""The page: a face seen and driven from a browser."""
