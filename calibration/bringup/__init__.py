"""Bring-up as a conversation: which servo is which part, one motor at a time."""
