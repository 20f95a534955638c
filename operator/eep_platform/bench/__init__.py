"""The benchmark of the operator on the embedded platform: a new platform per size, with AWS's documented limits."""
