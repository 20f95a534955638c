"""The REST API: a module for each part of GitHub's documentation."""
