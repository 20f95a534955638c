"""Selects the variant of a request. Pure except for the random generator."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from ephemeral_endpoints.features.routing.forwarder.messages import VARIANT_HEADER, Problem

if TYPE_CHECKING:
    import random

    from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig, Variant


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


def choose(config: ForwarderConfig, asked: str | None, generator: random.Random) -> Target:
    """The target of a request: the requested variant, otherwise one drawn by weight.

    SageMaker draws among variants that share an endpoint. Raises Problem 400 for an unknown name.
    """
    if asked is not None:
        return _target(config, _named(config, asked))
    if config.shares_endpoint:
        return Target(config.variants[0].endpoint_name, None, shared=True)
    weights = [variant.weight for variant in config.variants]
    [variant] = generator.choices(config.variants, weights)
    return _target(config, variant)


def are_apart(config: ForwarderConfig) -> bool:
    """Whether there are several variants, with an endpoint each."""
    return len(config.variants) > 1 and not config.shares_endpoint


def in_use(config: ForwarderConfig, asked: str | None) -> list[Target]:
    """The targets that must answer for the route to be ready: the requested one, otherwise all that get requests.

    Raises Problem 400 for an unknown name.
    """
    if asked is not None:
        return [_target(config, _named(config, asked))]
    return [_target(config, variant) for variant in config.variants if variant.weight]


def _named(config: ForwarderConfig, asked: str) -> Variant:
    for variant in config.variants:
        if variant.name == asked:
            return variant
    names = ", ".join(variant.name for variant in config.variants)
    detail = f"The {VARIANT_HEADER} header must be the name of a variant: {names}."
    raise Problem(HTTPStatus.BAD_REQUEST, "unknown-variant", detail)


def _target(config: ForwarderConfig, variant: Variant) -> Target:
    return Target(variant.endpoint_name, variant.name, config.shares_endpoint)
