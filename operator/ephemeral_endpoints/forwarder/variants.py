"""Which variant a request goes to. Pure but for the generator that is drawn from."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from ephemeral_endpoints.forwarder.messages import VARIANT_HEADER, Problem

if TYPE_CHECKING:
    import random

    from ephemeral_endpoints.forwarder.config import ForwarderConfig, Variant


class Target(NamedTuple):
    """Where a request goes.

    Attributes:
        endpoint_name: the endpoint to invoke.
        variant: the name of the variant that will answer; None if SageMaker chooses among those of the endpoint.
        shared: whether other variants are behind the same endpoint.
    """

    endpoint_name: str
    variant: str | None
    shared: bool


def choose(config: ForwarderConfig, asked: str | None, generator: random.Random) -> Target:
    """The target of one request: the variant that the caller asked for, else one drawn by weight.

    Variants that share an endpoint are drawn by SageMaker. Raises Problem 400 for a name that no variant has.
    """
    if asked is not None:
        return _target(config, _named(config, asked))
    if config.shares_endpoint:
        return Target(config.variants[0].endpoint_name, None, shared=True)
    weights = [variant.weight for variant in config.variants]
    [variant] = generator.choices(config.variants, weights)
    return _target(config, variant)


def in_use(config: ForwarderConfig, asked: str | None) -> list[Target]:
    """The targets that must answer for the route to be ready: the one asked for, else all that get requests.

    Raises Problem 400 for a name that no variant has.
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
