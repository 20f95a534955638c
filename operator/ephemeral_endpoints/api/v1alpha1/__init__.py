"""Version v1alpha1 of the API: one module a kind, and its parts."""
