"""Images in Amazon ECR: what a URI says, whether a class allows it, and what is known of it."""

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Self

_URI = re.compile(
    r"(?P<registry>(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)"
    r"/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+)|@(?P<digest>sha256:[0-9a-f]{64}))"
)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """The parts of an ECR image URI; exactly one of ``tag`` and ``digest`` is set."""

    registry: str
    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Raises ValueError for what is not the URI of an ECR image with a tag or a digest."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise ValueError(f"{uri!r} is not the URI of an ECR image with a tag or a digest")
        return cls(**match.groupdict())

    def pinned(self, digest: str) -> str:
        """The URI of exactly one image."""
        return f"{self.registry}/{self.repository}@{digest}"


class ImageProblem(StrEnum):
    """Why an image cannot be served; the value is the reason of the condition ``ImageReady``."""

    NOT_FOUND = "ImageNotFound"
    OTHER_REGION = "ImageInOtherRegion"
    NOT_ALLOWED = "RepositoryNotAllowed"


@dataclass(frozen=True, slots=True)
class ImageState:
    """What is known of an object's image: a digest, or what is wrong."""

    digest: str | None = None
    problem: ImageProblem | None = None
    message: str = ""


def refusal(reference: ImageReference, *, region: str, account: str, allowed: tuple[str, ...]) -> ImageState | None:
    """Why a class does not take the image; None if it does.

    SageMaker pulls from its own region only
    (https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-containers-inference-private.html). ``allowed``
    holds globs of ``<registry>/<repository>``; without any, every repository of the class's own account is taken.
    """
    if reference.region != region:
        message = f"the image is in {reference.region}, but SageMaker reads only its own region's: push it to {region}"
        return ImageState(problem=ImageProblem.OTHER_REGION, message=message)
    repository = f"{reference.registry}/{reference.repository}"
    if allowed:
        permitted = any(fnmatchcase(repository, pattern) for pattern in allowed)
        expectation = f"the class allows {', '.join(allowed)}"
    else:
        permitted = reference.account == account
        expectation = f"the class allows the repositories of account {account}"
    if permitted:
        return None
    return ImageState(problem=ImageProblem.NOT_ALLOWED, message=f"{repository} is not allowed: {expectation}")
