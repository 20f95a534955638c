"""Sleep of endpoints that cost by the hour."""
