"""Endpoints that are deleted and created again instead of being updated: they are down meanwhile.

An update on instances needs room for a second fleet, or a part of one
(https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html). Where there is none, recreating is the
only way on. AWS alone shows how far it is: an endpoint that is gone is created, whoever deleted it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.v1alpha1.serving import Strategy
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import (
    CREATING,
    DesiredResource,
    Key,
    ObservedResource,
    ObservedResources,
    Phase,
)
from ephemeral_endpoints.features.serving.specs import EndpointSpec

_BY_SPEC: Final = "spec.serving.rollout.strategy is Recreate"


@dataclass(frozen=True, slots=True)
class Recreation:
    """The decision to recreate an endpoint with ``config``: why, in words, and since when."""

    config: str
    why: str
    since: datetime

    @property
    def message(self) -> str:
        """What happens to the endpoint, and why."""
        return (
            "the endpoint is being recreated with the new configuration and serves nothing from "
            f"{self.since:%H:%M:%S} UTC until SageMaker has created it: {self.why}"
        )


def recreations(
    wanted: DesiredState, own: ObservedResources, known: Mapping[Key, Recreation], now: datetime
) -> dict[Key, Recreation]:
    """The endpoints that are being recreated, after what was ``known`` of them."""
    found = (
        (resource.key, _recreation(resource, resource.spec, own, known.get(resource.key), now))
        for resource in wanted.resources
        if isinstance(resource.spec, EndpointSpec)
    )
    return {key: each for key, each in found if each}


def recreating(wanted: DesiredState, own: ObservedResources, decided: Mapping[Key, Recreation]) -> DesiredState:
    """The desired state with these endpoints recreated: deleted only once all that the new one needs is there."""
    resources = tuple(
        replace(resource, spec=replace(resource.spec, recreates=True))
        if isinstance(resource.spec, EndpointSpec) and resource.key in decided and _can_begin(resource, own)
        else resource
        for resource in wanted.resources
    )
    return replace(wanted, resources=resources)


def _recreation(
    resource: DesiredResource, spec: EndpointSpec, own: ObservedResources, known: Recreation | None, now: datetime
) -> Recreation | None:
    endpoint = own.get(resource.key)
    if endpoint is None or not _serves_something(endpoint):
        return replace(known, config=spec.config) if known else None
    if isinstance(endpoint.spec, EndpointSpec) and endpoint.spec.config == spec.config:
        return None
    if known and known.config == spec.config:
        return known
    is_asked = spec.rollout is not None and spec.rollout.strategy is Strategy.RECREATE
    return Recreation(spec.config, _BY_SPEC, now) if is_asked and _can_begin(resource, own) else None


def _serves_something(endpoint: ObservedResource) -> bool:
    return endpoint.phase not in {Phase.DELETING, Phase.FAILED} and endpoint.status != CREATING


def _can_begin(resource: DesiredResource, own: ObservedResources) -> bool:
    return all(key in own and own[key].phase is Phase.READY for key in resource.needs)
