"""Images in Amazon ECR: what a URI says, whether a class allows it, and what is known of it."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final, Self

_URI = re.compile(
    r"(?P<registry>(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)"
    r"/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+)|@(?P<digest>sha256:[0-9a-f]{64}))"
)

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")

# https://github.com/opencontainers/image-spec/blob/main/image-index.md
_PLATFORM_PART: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_UNKNOWN: Final = "unknown"
_IMPLIED_VARIANTS: Final = (("amd64", "v1"), ("arm64", "v8"))
"""What goes without saying (https://github.com/containerd/platforms)."""

_MOST_PLATFORMS: Final = 20

MOST_FINDINGS: Final = 100
"""So many findings of an image are kept, the worst; how many there are is known of all."""

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanFinding.html
_WORST_FIRST: Final = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL")


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


def is_image(text: str) -> bool:
    """Whether a text is the URI of an ECR image with a tag or a digest."""
    return _URI.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether a text is a digest as ECR gives it."""
    return _DIGEST.fullmatch(text) is not None


class ImageProblem(StrEnum):
    """Why an image cannot be served; the value is the reason of the condition ``ImageReady``."""

    NOT_FOUND = "ImageNotFound"
    OTHER_REGION = "ImageInOtherRegion"
    NOT_ALLOWED = "RepositoryNotAllowed"
    NOT_BUILT = "BuildsNotAllowed"
    UNAPPROVED = "ApprovalRequired"
    QUEUED = "BuildQueued"
    BUILDING = "Building"
    RETRIED = "BuildRetrying"
    FAILED = "BuildFailed"
    TIMED_OUT = "BuildTimedOut"
    TOO_LARGE = "ImageTooLarge"
    OTHER_PLATFORM = "ImageForOtherPlatform"
    SCANNING = "Scanning"
    NOT_SCANNED = "NotScanned"
    VULNERABLE = "Vulnerable"

    @property
    def is_final(self) -> bool:
        """Whether only a change of the object, its class or the image itself can help."""
        return self in _FINAL

    @property
    def is_told(self) -> bool:
        """Whether a change of it is heard of: of the object, of its class, or of a build."""
        return self in _TOLD


_FINAL: Final = frozenset(
    {
        ImageProblem.OTHER_REGION,
        ImageProblem.NOT_ALLOWED,
        ImageProblem.NOT_BUILT,
        ImageProblem.FAILED,
        ImageProblem.TIMED_OUT,
        ImageProblem.TOO_LARGE,
        ImageProblem.OTHER_PLATFORM,
        ImageProblem.VULNERABLE,
    }
)

_TOLD: Final = frozenset(
    {
        ImageProblem.NOT_BUILT,
        ImageProblem.UNAPPROVED,
        ImageProblem.QUEUED,
        ImageProblem.BUILDING,
        ImageProblem.RETRIED,
        ImageProblem.FAILED,
        ImageProblem.TIMED_OUT,
    }
)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a manifest tells of an image.

    ``size_bytes`` are those of its parts as they are pulled, None where they are not told, as by an index.
    ``platforms`` are those of an index, such as linux/amd64; a single image does not tell its own there.
    """

    size_bytes: int | None = None
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageState:
    """What is known of an object's image: a digest, or what is wrong."""

    digest: str | None = None
    problem: ImageProblem | None = None
    message: str = ""
    facts: ImageFacts | None = None


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image in a repository, with all its tags."""

    digest: str
    tags: tuple[str, ...]
    pushed_at: datetime


class ScanStatus(StrEnum):
    """How far ECR is with looking for vulnerabilities in an image."""

    COMPLETE = "Complete"
    RUNNING = "Running"
    NOT_SCANNED = "NotScanned"
    """Nobody has asked for it, or it failed or has expired."""

    UNSUPPORTED = "Unsupported"
    """ECR cannot look into such an image."""


@dataclass(frozen=True, slots=True)
class ScanState:
    """What ECR has found in an image. Severities are ECR's own words, such as CRITICAL.

    ``findings`` are names, each once with a severity in however many packages it was found, the worst first and at most
    ``MOST_FINDINGS``; ``counts`` counts all of them by severity.
    """

    status: ScanStatus
    counts: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[tuple[str, str], ...] = ()


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


def facts_of_manifest(manifest: str) -> ImageFacts:
    """What a manifest or an index tells; whoever pushes it writes it, so anything may be missing or wrong in it.

    The size of the image for a platform of an index is in another manifest.
    """
    try:
        document = json.loads(manifest)
    except (ValueError, RecursionError):
        return ImageFacts()
    if not isinstance(document, Mapping):
        return ImageFacts()
    if isinstance(entries := document.get("manifests"), list):
        return ImageFacts(platforms=_platforms(entries))
    layers = document.get("layers")
    return ImageFacts(size_bytes=_total([document.get("config"), *layers]) if isinstance(layers, list) else None)


def worst_first(findings: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The worst of the findings (name, severity), each once; what has no known severity comes last."""
    return tuple(sorted(set(findings), key=_badness)[:MOST_FINDINGS])


def _badness(finding: tuple[str, str]) -> tuple[int, str]:
    name, severity = finding
    return (_WORST_FIRST.index(severity) if severity in _WORST_FIRST else len(_WORST_FIRST)), name


def _total(parts: Iterable[Any]) -> int | None:
    sizes = [part.get("size") if isinstance(part, Mapping) else None for part in parts]
    told = [size for size in sizes if type(size) is int and size >= 0]
    return sum(told) if len(told) == len(sizes) else None


def _platforms(entries: Iterable[Any]) -> tuple[str, ...]:
    told = (entry.get("platform") for entry in entries if isinstance(entry, Mapping))
    names = (_platform(each) for each in told if isinstance(each, Mapping))
    return tuple(dict.fromkeys(name for name in names if name))[:_MOST_PLATFORMS]


def _platform(told: Mapping[str, Any]) -> str | None:
    """None for what is no image to run: attestations are entries for a platform that is unknown."""
    system, architecture, variant = told.get("os"), told.get("architecture"), told.get("variant")
    is_implied = not variant or (architecture, variant) in _IMPLIED_VARIANTS
    parts = [system, architecture, *(() if is_implied else (variant,))]
    named = [part for part in parts if isinstance(part, str) and _PLATFORM_PART.fullmatch(part) and part != _UNKNOWN]
    return "/".join(named) if len(named) == len(parts) else None
