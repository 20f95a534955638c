"""Comparison of a served model with its base: the same requests to both, and what differs in the answers."""
