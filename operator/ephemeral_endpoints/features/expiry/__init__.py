"""Expiry: when an object ends, and how."""
