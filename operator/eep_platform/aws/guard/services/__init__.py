"""The rules of operations, a table per service."""
