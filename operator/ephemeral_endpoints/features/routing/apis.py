"""The HTTP APIs that the objects of a class share: as many as their integrations need, and no more."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.names import NUMBER_LENGTH, api_name
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource
from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.engine.tags import class_tags
from ephemeral_endpoints.features.routing.specs import HTTP_API, HttpApiSpec, IntegrationSpec, ThrottleSpec

INTEGRATIONS_PER_API: Final = 300
"""A limit that AWS does not raise (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html)."""


def api_key(cluster_id: str, endpoint_class: EphemeralEndpointClass, number: int = 0) -> Key:
    """The API of a class with that number; most classes need only the first."""
    return Key(HTTP_API, api_name(cluster_id, endpoint_class.metadata.name, endpoint_class.metadata.uid, number))


def api_number(key: Key) -> int:
    """The number of an API of a class, by its name."""
    last = key.name.rpartition("-")[2]
    return int(last, 16) if len(last) == NUMBER_LENGTH else 0


def loads(observed_resources: Iterable[ObservedResource]) -> Counter[Key]:
    """How many integrations each API has."""
    return Counter(observed.spec.api for observed in observed_resources if isinstance(observed.spec, IntegrationSpec))


def api_with_room(
    cluster_id: str,
    endpoint_class: EphemeralEndpointClass,
    taken: Mapping[Key, int],
    *,
    shard: Shard = WHOLE,
    limit: int = INTEGRATIONS_PER_API,
) -> Key:
    """The first API of the class, existing or to be made, that takes one more integration.

    Shards fill APIs of their own: two that cannot coordinate would overfill one, or create it twice.
    """
    keys = (api_key(cluster_id, endpoint_class, number) for number in shard.numbers())
    return next(key for key in keys if taken.get(key, 0) < limit)


def apis_of_class(
    cluster_id: str, endpoint_class: EphemeralEndpointClass, used: Iterable[Key]
) -> list[DesiredResource]:
    """The APIs in which the active objects of a class are placed."""
    tags = class_tags(cluster_id=cluster_id, name=endpoint_class.metadata.name, uid=endpoint_class.metadata.uid)
    asked = endpoint_class.spec.routing.throttle
    throttle = ThrottleSpec(asked.rate_limit, asked.burst_limit)
    return [DesiredResource(key, HttpApiSpec(staged=True, throttle=throttle, tags=tags)) for key in sorted(set(used))]
