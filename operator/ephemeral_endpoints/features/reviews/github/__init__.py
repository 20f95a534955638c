"""GitHub: github.com, GitHub Enterprise Server and GHE.com."""
