"""`eep local`: one module an action."""
