"""The edge to Kubernetes: watches and writes."""
