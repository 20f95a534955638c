"""The controller of EphemeralEndpoints."""
