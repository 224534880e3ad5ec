"""Recordings of runs in MCAP: written beside the run, read, replayed and compared."""
