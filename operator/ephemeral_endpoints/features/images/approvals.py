"""What an approval covers: everything that decides what a build runs. Pure.

A commit alone decides little: its author also chooses the Dockerfile, the arguments and the secrets, and BuildKit lets
an argument replace the program that reads the Dockerfile.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from ephemeral_endpoints.api import APPROVED_ANNOTATION, FORMER_APPROVAL
from ephemeral_endpoints.api.v1alpha1.image_build import Platform
from ephemeral_endpoints.api.v1alpha1.training import Training
from ephemeral_endpoints.features.images.builds.policy import Commit

_VERSION: Final = "ephemeral-endpoints.io/build/v1"
"""Sets this digest apart from others, and from those of a later version that covers more."""


def approved_parts(commit: Commit, platform: Platform, training: Training | None = None) -> dict[str, object]:
    """What is approved, by the names that people read. The revision is a commit's SHA, which names its content.

    An image that is not built is part of the training.
    """
    named = {"repository": commit.location, "revision": commit.revision}
    if training is None:
        return {**named, **_built_parts(commit, platform)}
    built = _built_parts(commit, platform) if training.image.build else {}
    return {**named, **built, "training": training.to_wire()}


def _built_parts(commit: Commit, platform: Platform) -> dict[str, object]:
    return {
        "context": commit.context,
        "dockerfile": commit.dockerfile,
        "target": commit.target,
        "arguments": dict(commit.arguments),
        "secrets": dict(commit.secrets),
        "platform": str(platform),
    }


def build_digest(commit: Commit, platform: Platform, training: Training | None = None) -> str:
    """The SHA-256 by which a build is approved, with the training that uses it, in 64 hexadecimal digits.

    It is not shortened: one author writes both what is reviewed and what is then built, and of half its length a pair
    with the same digest could be found.
    """
    parts = {"version": _VERSION, **approved_parts(commit, platform, training)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def missing_approval(annotations: Mapping[str, str], digest: str) -> str | None:
    """Why the annotations do not approve the build with this digest, and what to do; None if they do."""
    given = annotations.get(APPROVED_ANNOTATION)
    if given == digest:
        return None
    remedy = (
        "a person who may approve objects must review the commit and spec.model (`eep approve` shows both), and "
        f"set the annotation {APPROVED_ANNOTATION} to {digest}"
    )
    if given is not None:
        return f"needs another approval, because what is built has changed since it was approved: {remedy}"
    if FORMER_APPROVAL in annotations:
        return (
            f"needs an approval, because the annotation {FORMER_APPROVAL} covers the commit only, and no "
            f"longer counts: {remedy}"
        )
    return f"needs an approval: {remedy}"
