"""Results: what models answer, published to subscribers."""
