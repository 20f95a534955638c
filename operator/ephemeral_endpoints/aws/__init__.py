"""The edge to AWS: one component per kind of resource, the shared inventory, rate limits and error translation."""
