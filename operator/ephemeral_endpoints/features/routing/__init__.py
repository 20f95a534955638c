"""The way from the public URL to the endpoint: HTTP APIs, routes and the forwarder functions."""
