"""What goes wrong with images and containers.

PlatformError
├── BuildError        the context or its Dockerfile cannot be built
├── ImageNotFound     the registry has no such repository, tag or digest
├── InvalidImage      what was pulled is broken, hostile or not for this machine
└── RegistryError     the registry refused or does not answer
"""

from ephemeral_endpoints.local.errors import PlatformError


class BuildError(PlatformError):
    """The context or its Dockerfile cannot be built; the message names the instruction."""


class ImageNotFound(PlatformError):  # noqa: N818 (a fact about the registry that callers expect, as FileNotFoundError)
    """The registry has no such repository, tag or digest."""


class InvalidImage(PlatformError):  # noqa: N818 (likewise)
    """What was pulled is broken, hostile or not for this machine; another try will not help."""


class RegistryError(PlatformError):
    """The registry refused or does not answer; another try may help."""
