"""Promotion: which version of a model a stage serves, and how it gets there."""
