"""Notifications: what happens to objects, told to the people who asked for it."""
