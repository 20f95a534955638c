"""Pages for a person in a browser: repositories, their pull requests, and what is published on these."""
