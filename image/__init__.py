"""What the operator's image is assembled by."""
