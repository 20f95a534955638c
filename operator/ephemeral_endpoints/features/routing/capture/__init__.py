"""Captured requests and answers: the stream of a class, and what is known of the way there."""
