"""The images that build images, pinned: a builder that moves changes by itself what it pushes.

BuildKit has pushed OCI media types by default since v0.31.0 (https://github.com/moby/buildkit/pull/6824), for example.
`make pins` looks the digests up and writes them here. Without one, a class builds nothing unless it sets ``allowTags``.
"""

from typing import Final


def _pinned(image: str, digest: str) -> str:
    return f"{image}@{digest}" if digest else image


BUILDKIT: Final = _pinned(
    "docker.io/moby/buildkit:v0.33.0",
    digest="",
)

ROOTLESS_BUILDKIT: Final = _pinned(
    "docker.io/moby/buildkit:v0.33.0-rootless",
    digest="",
)

SKOPEO: Final = _pinned(
    "quay.io/skopeo/stable:v1.20.0",
    digest="",
)

AWS_CLI: Final = _pinned(
    "public.ecr.aws/aws-cli/aws-cli:2.31.0",
    digest="",
)
