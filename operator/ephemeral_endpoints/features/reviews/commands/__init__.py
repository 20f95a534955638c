"""Commands that people give by comments on pull requests."""
