"""Images in Amazon ECR: parsing of URIs, whether a class allows them, and their state."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Final, Self

from ephemeral_endpoints.api.v1alpha1.ecr import REGISTRY_PATTERN, Registry
from ephemeral_endpoints.api.v1alpha1.endpoint_status import EphemeralEndpointStatus, ResolvedImage
from ephemeral_endpoints.features.images.reasons import ImageProblem

_URI: Final = re.compile(
    rf"(?P<host>{REGISTRY_PATTERN})/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+)|@(?P<digest>sha256:[0-9a-f]{{64}}))"
)

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")

# https://github.com/opencontainers/image-spec/blob/main/image-index.md
_PLATFORM_PART: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_UNKNOWN: Final = "unknown"
_IMPLIED_VARIANTS: Final = (("amd64", "v1"), ("arm64", "v8"))
"""Variants that are implied (https://github.com/containerd/platforms)."""

_MOST_PLATFORMS: Final = 20

MOST_FINDINGS: Final = 100
"""So many findings of an image are kept, the worst; all are counted."""

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanFinding.html
_WORST_FIRST: Final = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """The parts of an ECR image URI; exactly one of ``tag`` and ``digest`` is set.

    Of the names that a registry answers to, only that by which SageMaker knows it stays.
    """

    registry: Registry
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Raises ValueError for text that is not the URI of an ECR image with a tag or a digest."""
        match = _URI.fullmatch(uri)
        registry = Registry.named(match["host"]) if match else None
        if match is None or registry is None:
            raise ValueError(f"{uri!r} is not the URI of an ECR image with a tag or a digest")
        return cls(registry, match["repository"], match["tag"], match["digest"])

    @property
    def name(self) -> str:
        """``<registry>/<repository>``."""
        return f"{self.registry.host}/{self.repository}"

    def pinned(self, digest: str) -> str:
        """The URI of exactly one image."""
        return f"{self.name}@{digest}"


def is_image(text: str) -> bool:
    """Whether a text is the URI of an ECR image with a tag or a digest."""
    return _URI.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether a text is a digest as ECR gives it."""
    return _DIGEST.fullmatch(text) is not None


def recorded_images(status: EphemeralEndpointStatus) -> list[ResolvedImage]:
    """The pins that a status records, without values that no operator has written: others may write a status too."""
    recorded = [status.image, *(variant.image for variant in status.variants)]
    return [image for image in recorded if image and is_image(image.uri) and is_digest(image.digest)]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The facts about an image in its manifest.

    ``media_type`` is the manifest's, empty where nothing gives it. ``size_bytes`` are those of its parts as they are
    pulled, None where they are not given, as by an index. ``images`` are those of an index: platforms, such as
    linux/amd64, and digests; a single image does not name its own platform there. ``config`` and ``layers`` are the
    digests of its parts, those of a single image.
    """

    media_type: str = ""
    size_bytes: int | None = None
    images: tuple[tuple[str, str], ...] = ()
    config: str = ""
    layers: tuple[str, ...] = ()

    def digest_for(self, platform: str) -> str | None:
        """The digest of an index's image for a platform."""
        return next((digest for name, digest in self.images if name == platform), None)


@dataclass(frozen=True, slots=True)
class ImageState:
    """The known state of an object's image: a digest, or a problem."""

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
    """It was never requested, or it failed or has expired."""

    UNSUPPORTED = "Unsupported"
    """ECR cannot look into such an image."""


@dataclass(frozen=True, slots=True)
class ScanState:
    """ECR's findings in an image. Severities are ECR's own words, such as CRITICAL.

    ``findings`` are names, each once with a severity in however many packages it was found, the worst first and at most
    ``MOST_FINDINGS``; ``counts`` counts all of them by severity.
    """

    status: ScanStatus
    counts: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[tuple[str, str], ...] = ()


def refusal(
    reference: ImageReference, *, region: str, account: str, allowed: tuple[str, ...], is_of_other_class: bool = False
) -> ImageState | None:
    """Why a class does not take the image; None if it does.

    SageMaker pulls from its own region only
    (https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-containers-inference-private.html). ``allowed``
    holds globs of ``<registry>/<repository>``; without any, every repository of the class's own account is taken that
    was not made for another class.
    """
    registry = reference.registry
    if registry.region != region:
        message = (
            f"the image is in {registry.region}, but SageMaker pulls from its own region only: push it to {region}"
        )
        return ImageState(problem=ImageProblem.OTHER_REGION, message=message)
    if allowed:
        permitted = any(fnmatchcase(reference.name, pattern) for pattern in allowed)
        expectation = f"use one of {', '.join(allowed)}"
    elif is_of_other_class:
        permitted = False
        expectation = "it belongs to another class: an administrator can name it in spec.images.allowedRepositories"
    else:
        permitted = registry.account == account
        expectation = f"use a repository of account {account}"
    if permitted:
        return None
    return ImageState(
        problem=ImageProblem.NOT_ALLOWED,
        message=f"the class does not allow images from {reference.name}: {expectation}",
    )


def facts_of_manifest(manifest: str, media_type: str = "") -> ImageFacts:
    """The facts in a manifest or an index, which the client that pushes it writes: anything may be missing or wrong.

    ``media_type`` is that by which ECR knows it. The size of the image for a platform of an index is in another
    manifest.
    """
    try:
        document = json.loads(manifest)
    except (ValueError, RecursionError):
        return ImageFacts(media_type)
    if not isinstance(document, Mapping):
        return ImageFacts(media_type)
    if isinstance(entries := document.get("manifests"), list):
        return ImageFacts(media_type, images=_images(entries))
    if not isinstance(layers := document.get("layers"), list):
        return ImageFacts(media_type)
    parts = [document.get("config"), *layers]
    size, digests = _total(parts), [part.get("digest") for part in parts if isinstance(part, Mapping)]
    known = tuple(each for each in digests if isinstance(each, str) and is_digest(each))
    if size is None or len(known) < len(parts):
        return ImageFacts(media_type, size_bytes=size)
    return ImageFacts(media_type, size_bytes=size, config=known[0], layers=known[1:])


def worst_first(findings: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The worst of the findings (name, severity), each once; those without a known severity come last."""
    return tuple(sorted(set(findings), key=_badness)[:MOST_FINDINGS])


def _badness(finding: tuple[str, str]) -> tuple[int, str]:
    name, severity = finding
    return (_WORST_FIRST.index(severity) if severity in _WORST_FIRST else len(_WORST_FIRST)), name


def _total(parts: Iterable[Any]) -> int | None:
    sizes = [part.get("size") if isinstance(part, Mapping) else None for part in parts]
    known = [size for size in sizes if type(size) is int and size >= 0]
    return sum(known) if len(known) == len(sizes) else None


def _images(entries: Iterable[Any]) -> tuple[tuple[str, str], ...]:
    """The images of an index, the first for each platform."""
    found: dict[str, str] = {}
    for entry in entries:
        platform, digest = (entry.get("platform"), entry.get("digest")) if isinstance(entry, Mapping) else (None, None)
        name = _platform(platform) if isinstance(platform, Mapping) else None
        if name and isinstance(digest, str) and is_digest(digest):
            found.setdefault(name, digest)
    return tuple(islice(found.items(), _MOST_PLATFORMS))


def _platform(entry: Mapping[str, Any]) -> str | None:
    """None for an image that cannot run: attestations are entries for a platform that is unknown."""
    system, architecture, variant = entry.get("os"), entry.get("architecture"), entry.get("variant")
    is_implied = not variant or (architecture, variant) in _IMPLIED_VARIANTS
    parts = [system, architecture, *(() if is_implied else (variant,))]
    named = [part for part in parts if isinstance(part, str) and _PLATFORM_PART.fullmatch(part) and part != _UNKNOWN]
    return "/".join(named) if len(named) == len(parts) else None
