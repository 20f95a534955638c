"""Faults, exhaustively: every AWS call of an object's life goes wrong in every way, and the end is always the same."""
