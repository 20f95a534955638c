"""Names of images, and credentials for their registries."""

import re
from dataclasses import dataclass
from typing import Final

from eep_platform.containers.errors import InvalidImage

# ECR's user is AWS with a token; the embedded registry accepts any credentials.
Credentials = tuple[str, str]
EMBEDDED: Final[Credentials] = ("AWS", "embedded")

_REFERENCE = re.compile(
    r"(?P<registry>[a-z0-9.-]+(:[0-9]+)?)/(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """The location of an image: its registry (host:port), its repository and its digest or tag."""

    registry: str
    repository: str
    version: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Parse `host:port/repository[:tag][@sha256:…]`; the digest takes precedence over the tag.

        Raises:
            InvalidImage: the reference is malformed.
        """
        match = _REFERENCE.fullmatch(text)
        if not match or not (match["digest"] or match["tag"]):
            raise InvalidImage(f"{text!r} is not an image reference: write host:port/repository@sha256:… or :tag")
        return cls(match["registry"], match["repository"], match["digest"] or match["tag"])
