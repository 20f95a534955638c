"""Selects the variant of a request. Pure except for the random generator."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ephemeral_endpoints.features.routing.forwarder.messages import VARIANT_HEADER, Problem

if TYPE_CHECKING:
    import random

    from ephemeral_endpoints.features.routing.forwarder.config import Variant


class Split(Protocol):
    """Models among which requests are split: an object's own, or its base's."""

    @property
    def variants(self) -> tuple[Variant, ...]:
        """See ``ForwarderConfig``."""

    @property
    def seed(self) -> str:
        """What decides, with a key, on its variant: as long as it stays, the key's variant does."""


class Target(NamedTuple):
    """The target of a request.

    Attributes:
        endpoint_name: the endpoint to invoke.
        variant: the name of the variant that will answer; None if SageMaker chooses among those of the endpoint.
        shared: whether the endpoint has other variants too.
    """

    endpoint_name: str
    variant: str | None
    shared: bool


def choose(split: Split, asked: str | None, generator: random.Random, key: str | None = None) -> Target:
    """The target of a request: the requested variant, else the one that ``key`` decides on, else one drawn by weight.

    SageMaker draws among variants that share an endpoint. Raises Problem 400 for an unknown name.
    """
    if asked is not None:
        return _target(split, _named(split, asked))
    if key is not None:
        return _target(split, _of_key(split, key))
    if shares_endpoint(split):
        return Target(split.variants[0].endpoint_name, None, shared=True)
    weights = [variant.weight for variant in split.variants]
    [variant] = generator.choices(split.variants, weights)
    return _target(split, variant)


def shares_endpoint(split: Split) -> bool:
    """Whether one endpoint has several variants, so that SageMaker splits the requests."""
    return len(split.variants) > 1 and split.variants[0].endpoint_name == split.variants[1].endpoint_name


def are_apart(split: Split) -> bool:
    """Whether there are several variants, with an endpoint each."""
    return len(split.variants) > 1 and not shares_endpoint(split)


def in_use(split: Split, asked: str | None) -> list[Target]:
    """The targets that must answer for the route to be ready: the requested one, otherwise all that get requests.

    Raises Problem 400 for an unknown name.
    """
    if asked is not None:
        return [_target(split, _named(split, asked))]
    return [_target(split, variant) for variant in split.variants if variant.weight]


def _of_key(split: Split, key: str) -> Variant:
    """The variant of a key: the same one for as long as seed and weights stay, and by weight over all keys."""
    digest = hashlib.sha256(f"{split.seed}\0{key}".encode("utf-8", "surrogatepass")).digest()
    bounds = list(accumulate(variant.weight for variant in split.variants))
    drawn = int.from_bytes(digest[:8], "big") % bounds[-1]
    return next(variant for variant, bound in zip(split.variants, bounds, strict=True) if drawn < bound)


def _named(split: Split, asked: str) -> Variant:
    for variant in split.variants:
        if variant.name == asked:
            return variant
    names = ", ".join(variant.name for variant in split.variants)
    detail = f"The {VARIANT_HEADER} header must be the name of a variant: {names}."
    raise Problem(HTTPStatus.BAD_REQUEST, "unknown-variant", detail)


def _target(split: Split, variant: Variant) -> Target:
    return Target(variant.endpoint_name, variant.name, shares_endpoint(split))
