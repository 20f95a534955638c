"""Capacity: quotas of the account, and the cost of instances."""
