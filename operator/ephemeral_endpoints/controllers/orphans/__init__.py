"""The sweep of resources in AWS without an object."""
