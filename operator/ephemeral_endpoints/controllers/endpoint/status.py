"""The fields of an object's status beside its conditions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_status import (
    Cost,
    LatestRevision,
    ResolvedImage,
    Resource,
    RouteStatus,
    ServedVariant,
)
from ephemeral_endpoints.engine.resources import ObservedResources
from ephemeral_endpoints.features.capacity import accrual
from ephemeral_endpoints.features.capacity.cost import HourlyCost
from ephemeral_endpoints.features.expiry.activity import Activity
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


def route(endpoint: EphemeralEndpoint, path: PathState, auth: AuthType | None) -> RouteStatus:
    """Which object has the path, the first ones that wait for it, and how its callers authenticate.

    They do so as before where ``auth`` is None.
    """
    own = f"{endpoint.metadata.namespace}/{endpoint.metadata.name}" if path.is_owned else None
    before = endpoint.status.route
    return RouteStatus(
        path=endpoint.path,
        holder=path.holder or own,
        waiting=path.waiting[:MOST_WAITING],
        auth=auth or (before and before.auth),
    )


def latest_revision(activity: Activity) -> LatestRevision | None:
    """Since when the object has its revision, as far as that is known."""
    return LatestRevision(revision=activity.revision, since=activity.since) if activity.since else None


def cost(
    hourly_cost: HourlyCost | None,
    observed_resources: ObservedResources | None,
    before: Cost | None,
    now: datetime,
) -> Cost | None:
    """The cost of existing resources; the previous value while it is not known."""
    if observed_resources is not None and not any(key.kind is ENDPOINT for key in observed_resources):
        hourly_cost = HourlyCost()
    return before if hourly_cost is None else accrual.updated(before, hourly_cost, now)
