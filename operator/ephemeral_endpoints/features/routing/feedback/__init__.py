"""Votes on answers: the table, and its counts in the status."""
