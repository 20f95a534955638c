"""Exhaustive fault injection: every AWS call of an object's lifecycle fails in every way, and always converges."""
