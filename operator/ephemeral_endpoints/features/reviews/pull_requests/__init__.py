"""The states of pull requests, and what objects do when theirs closes or gets another commit."""
