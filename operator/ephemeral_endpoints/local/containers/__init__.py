"""Container images with or without a container engine, on a machine that has but Python.

`build` makes an OCI image of a folder with a Dockerfile, `registry` ships it, `store` unpacks it and `runtime` runs it.
"""
