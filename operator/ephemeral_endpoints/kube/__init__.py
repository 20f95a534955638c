"""The edge to Kubernetes: what is watched, and what is written."""
