"""Container images with or without a container engine, on a machine that has only Python.

`build` makes an OCI image from a folder with a Dockerfile, `registry` pushes and pulls it, `store` unpacks it and
`runtime` runs it.
"""
