"""What objects show on their pull requests: deployments, one commit status, one comment."""
