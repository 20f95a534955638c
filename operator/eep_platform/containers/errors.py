"""Errors of images and containers.

PlatformError
├── BuildError        the context or its Dockerfile cannot be built
│   └── BaseNotPulledError  its base image cannot be pulled
├── ImageNotFound     the registry has no such repository, tag or digest
├── InvalidImage      the image is corrupt, malicious or not for this machine
└── RegistryError     the registry answered with an error or not at all
"""

from eep_platform.errors import PlatformError


class BuildError(PlatformError):
    """The context or its Dockerfile cannot be built; the message names the instruction."""


class BaseNotPulledError(BuildError):
    """The base image cannot be pulled here; a builder that has a stand-in for it can go on."""


class ImageNotFound(PlatformError):  # noqa: N818 (a fact about the registry that callers expect, as FileNotFoundError)
    """The registry has no such repository, tag or digest."""


class InvalidImage(PlatformError):  # noqa: N818 (likewise)
    """The image is corrupt, malicious or not for this machine; another attempt will not help."""


class RegistryError(PlatformError):
    """The registry answered with an error or not at all; another attempt may help."""
