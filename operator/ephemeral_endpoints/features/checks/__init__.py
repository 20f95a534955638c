"""Checks of a model that serves: requests with what is expected, load, and the comparison with a base."""
