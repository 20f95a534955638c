"""Two example models, one behind the other: reviews of wines are written by a Markov chain, and classified."""
