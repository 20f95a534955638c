"""Records as GitHub's REST API and webhooks show them."""
