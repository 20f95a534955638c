"""The arguments of skopeo, which copies the manifest and blobs of an image and runs nothing of it.

A build ``FROM`` the image would run its ONBUILD instructions beside the password to push. What is copied by a digest is
compared with it. It also pushes what a build has left in files, so that no build needs a password. https://github.com/containers/skopeo/blob/main/docs/skopeo-copy.1.md
"""

import re
from typing import Final

from ephemeral_endpoints.features.images.builds.policy import Copy

_CACHE_NAME: Final = "latest"
"""BuildKit's name of a cache in a folder: https://docs.docker.com/build/cache/backends/local/."""

_TAG_BEFORE_DIGEST: Final = re.compile(r":[^:/@]+(?=@)")
"""skopeo refuses an image with both; the digest alone decides which it is."""


def copying(copy: Copy, image: str, *, platform: str, passwords: str, digest_file: str) -> list[str]:
    """Copy an image to the name ``image``; ``passwords`` is the path of Docker's file of them.

    ``digest_file`` then has the digest of the manifest that was pushed, which the conversion makes another one than the
    source's: no name in the registry is needed to know what was copied.

    Of an index it takes the image for the platform. Media types become Docker's, the only ones that SageMaker is known
    to accept (``_REFUSED`` of ``features/images/checks.py``); config and layers stay the same.
    """
    system, _, architecture = platform.partition("/")
    source = _TAG_BEFORE_DIGEST.sub("", copy.image)
    return [
        *("--override-os", system, "--override-arch", architecture),
        *_pushing(passwords, digest_file),
        *(f"docker://{source}", f"docker://{image}"),
    ]


def pushing(archive: str, image: str, *, passwords: str, digest_file: str) -> list[str]:
    """Push the one image of an archive of OCI, under Docker's media types and under no name but ``image``."""
    return [*_pushing(passwords, digest_file), f"oci-archive:{archive}", f"docker://{image}"]


def fetching_cache(cache: str, folder: str, *, passwords: str) -> list[str]:
    """Fetch what a build may begin with into a folder, as BuildKit reads it: an image of OCI named latest."""
    return ["copy", "--authfile", passwords, "--preserve-digests", f"docker://{cache}", f"oci:{folder}:{_CACHE_NAME}"]


def pushing_cache(folder: str, cache: str, *, passwords: str) -> list[str]:
    """Push what BuildKit has left in a folder for later builds."""
    return ["copy", "--authfile", passwords, "--preserve-digests", f"oci:{folder}:{_CACHE_NAME}", f"docker://{cache}"]


def _pushing(passwords: str, digest_file: str) -> list[str]:
    return ["copy", "--authfile", passwords, "--format", "v2s2", "--digestfile", digest_file]
