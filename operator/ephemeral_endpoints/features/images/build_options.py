"""Which build arguments and frontends of an object a class allows. Pure.

BuildKit itself reads some build arguments. ``BUILDKIT_SYNTAX`` names the frontend: an image that reads the Dockerfile
and decides alone what is built, with the build's secrets and registry passwords at hand. Proxies see and change what
the build downloads, and are in no cache key.
https://docs.docker.com/reference/dockerfile/#buildkit-built-in-build-args
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from ephemeral_endpoints.api.v1alpha1.image_policy import BuildPolicy

SYNTAX_ARGUMENT: Final = "BUILDKIT_SYNTAX"

# BuildKit compares the names of proxies without regard to case, all others as they are. The platforms are arguments
# that it sets itself: frontend/dockerfile/dockerfile2llb/{convert,platform}.go of its repository.
_RESERVED: Final = re.compile(
    r"(?i:BUILDKIT_.*|(HTTP|HTTPS|FTP|NO|ALL)_PROXY|SOURCE_DATE_EPOCH"
    r"|(BUILD|TARGET)(PLATFORM|OS|OSVERSION|ARCH|VARIANT)|TARGETSTAGE)"
)


def refused_option(arguments: Mapping[str, str], policy: BuildPolicy) -> str | None:
    """Why a class does not build with these arguments, and what to do; None if it does."""
    reserved = [name for name in sorted(arguments) if _RESERVED.fullmatch(name) and name != SYNTAX_ARGUMENT]
    if refused := [name for name in reserved if name not in policy.allowed_arguments]:
        return (
            f"spec.model.build.arguments sets {', '.join(refused)}, which BuildKit itself reads: remove it, or ask the "
            "platform team to add it to spec.builds.allowedArguments of the class"
        )
    if SYNTAX_ARGUMENT not in arguments:
        return None
    frontend = arguments[SYNTAX_ARGUMENT].strip().partition(" ")[0]
    if _matches(frontend, policy.allowed_frontends):
        return None
    return (
        f"the class does not allow the frontend {frontend!r}, which spec.model.build.arguments names as "
        f"{SYNTAX_ARGUMENT}: remove it, or ask the platform team to add it to spec.builds.allowedFrontends of the class"
    )


def _matches(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
