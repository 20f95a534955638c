"""The fields of an object's status beside its conditions."""

from collections.abc import Mapping
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import (
    Cost,
    EphemeralEndpoint,
    ResolvedImage,
    Resource,
    RouteStatus,
    ServedVariant,
)
from ephemeral_endpoints.engine.resources import ObservedResources
from ephemeral_endpoints.features.capacity.cost import HourlyCost
from ephemeral_endpoints.features.routing.policy import PathState
from ephemeral_endpoints.features.serving.desired import Served
from ephemeral_endpoints.features.serving.specs import ENDPOINT

MOST_WAITING: Final = 10


def inventory(observed_resources: ObservedResources) -> tuple[Resource, ...]:
    """The existing resources, for people: sorted, so that equal inventories are equal."""
    return tuple(
        Resource(kind=key.kind.name, name=key.name, arn=observed_resources[key].arn or None)
        for key in sorted(observed_resources)
    )


def resolved_image(uri: str, digests: Mapping[str, str]) -> ResolvedImage | None:
    """The pin, once there is one; ``digests`` are by image."""
    digest = digests.get(uri)
    return ResolvedImage(uri=uri, digest=digest) if digest else None


def served_variants(variants: tuple[Served, ...], digests: Mapping[str, str]) -> tuple[ServedVariant, ...]:
    """The models behind the URL, where there are several."""
    if len(variants) == 1:
        return ()
    return tuple(
        ServedVariant(
            name=each.name,
            weight=each.weight,
            endpoint_name=each.endpoint,
            image=resolved_image(each.image, digests),
        )
        for each in variants
    )


def route(endpoint: EphemeralEndpoint, path: PathState) -> RouteStatus:
    """Which object has the path, and the first ones that wait for it."""
    own = f"{endpoint.metadata.namespace}/{endpoint.metadata.name}" if path.is_owned else None
    return RouteStatus(path=endpoint.path, holder=path.holder or own, waiting=path.waiting[:MOST_WAITING])


def cost(
    hourly_cost: HourlyCost | None, observed_resources: ObservedResources | None, before: Cost | None
) -> Cost | None:
    """The cost of existing resources; the previous value while it is not known."""
    if observed_resources is not None and not any(key.kind is ENDPOINT for key in observed_resources):
        hourly_cost = HourlyCost()
    return before if hourly_cost is None else Cost(hourly_usd=hourly_cost.hourly)
