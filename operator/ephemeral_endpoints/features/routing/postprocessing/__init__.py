"""A second model that gets the answers: whether it can be invoked, and which commit it comes from."""
