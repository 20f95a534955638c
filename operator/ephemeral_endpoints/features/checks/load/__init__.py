"""Load on a model: the generator, which runs in a Job of its own or in `eep load`, and what its figures mean."""
