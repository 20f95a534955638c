"""The controller of EphemeralEndpointClasses."""
