"""The HTTP APIs that the objects of a class share: as many as their integrations need, and no more."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.core.names import CONTENT_LENGTH, api_name
from ephemeral_endpoints.core.resources import Have, HttpApiSpec, IntegrationSpec, Key, Kind, Want
from ephemeral_endpoints.core.sharding import WHOLE, Shard
from ephemeral_endpoints.core.tags import class_tags

INTEGRATIONS_PER_API: Final = 300
"""A limit that AWS does not raise (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html)."""


def api_key(cluster_id: str, klass: EphemeralEndpointClass, number: int = 0) -> Key:
    """The API of a class with that number; most classes need only the first."""
    return Key(Kind.HTTP_API, api_name(cluster_id, klass.metadata.name, klass.metadata.uid, number))


def api_number(key: Key) -> int:
    """The number of an API of a class, by its name."""
    last = key.name.rpartition("-")[2]
    return int(last, 16) if len(last) == CONTENT_LENGTH else 0


def loads(haves: Iterable[Have]) -> Counter[Key]:
    """How many integrations each API has."""
    return Counter(have.spec.api for have in haves if isinstance(have.spec, IntegrationSpec))


def api_with_room(
    cluster_id: str,
    klass: EphemeralEndpointClass,
    taken: Mapping[Key, int],
    *,
    shard: Shard = WHOLE,
    limit: int = INTEGRATIONS_PER_API,
) -> Key:
    """The first API of the class, existing or to be made, that takes one more integration.

    Shards fill APIs of their own: two that cannot ask each other would overfill one, or make it twice.
    """
    keys = (api_key(cluster_id, klass, number) for number in shard.numbers())
    return next(key for key in keys if taken.get(key, 0) < limit)


def apis_of_class(cluster_id: str, klass: EphemeralEndpointClass, used: Iterable[Key]) -> list[Want]:
    """The APIs in which the living objects of a class are placed."""
    tags = class_tags(cluster_id=cluster_id, name=klass.metadata.name, uid=klass.metadata.uid)
    return [Want(key, HttpApiSpec(staged=True, tags=tags)) for key in sorted(set(used))]
