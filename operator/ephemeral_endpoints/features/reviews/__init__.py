"""Pull requests: what the operator publishes on them, what it does when they close, and the commands of people."""
