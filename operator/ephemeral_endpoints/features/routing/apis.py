"""The HTTP APIs that the objects of a class share: as many as their integrations and routes need, and no more."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.routing import JwtIssuer
from ephemeral_endpoints.engine.names import NUMBER_LENGTH, api_name
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource
from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.engine.tags import class_tags
from ephemeral_endpoints.features.routing.specs import (
    HTTP_API,
    AuthorizerSpec,
    HttpApiSpec,
    IntegrationSpec,
    RouteSpec,
    ThrottleSpec,
    authorizer_key,
    route_keys,
)

LEAST_ROUTES: Final = len(route_keys(""))
"""How many routes every object has, or is to get."""


class Load(NamedTuple):
    """What an API has of that of which AWS limits the number; of an object, what it takes of it."""

    integrations: int = 0
    routes: int = 0


LIMIT: Final = Load(integrations=300, routes=300)
"""AWS does not raise the first, and the second on request only
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html)."""


class Place(NamedTuple):
    """Where an object is placed, and how many routes it has there once it is complete."""

    api: Key
    routes: int = LEAST_ROUTES


def api_key(cluster_id: str, endpoint_class: EphemeralEndpointClass, number: int = 0) -> Key:
    """The API of a class with that number; most classes need only the first."""
    return Key(HTTP_API, api_name(cluster_id, endpoint_class.metadata.name, endpoint_class.metadata.uid, number))


def api_number(key: Key) -> int:
    """The number of an API of a class, by its name or that of its authorizer."""
    last = key.name.partition(" ")[0].rpartition("-")[2]
    return int(last, 16) if len(last) == NUMBER_LENGTH else 0


def loads(observed_resources: Iterable[ObservedResource], placed: Mapping[str, Place]) -> Mapping[Key, Load]:
    """What each API has and is to get. ``placed`` are objects by their owner hash, which exist already or are to.

    Whoever has an integration counts with the routes that it lacks, too: they must find room.
    """
    integrations: Counter[tuple[Key, str | None]] = Counter()
    routes: Counter[tuple[Key, str | None]] = Counter()
    for observed in observed_resources:
        if isinstance(observed.spec, IntegrationSpec):
            integrations[observed.spec.api, observed.owner] += 1
        elif isinstance(observed.spec, RouteSpec):
            routes[observed.spec.api, observed.owner] += 1
    expected = dict.fromkeys(integrations, Load(0, LEAST_ROUTES))
    expected |= {(place.api, owner): Load(1, place.routes) for owner, place in placed.items()}
    found: dict[Key, Load] = {}
    for at in {*expected, *routes}:
        least, before = expected.get(at, Load()), found.get(at[0], Load())
        found[at[0]] = Load(
            before.integrations + max(least.integrations, integrations[at]),
            before.routes + max(least.routes, routes[at]),
        )
    return found


def room_for(routes: int, limit: Load = LIMIT) -> Load:
    """What an API may have at most, that an object with so many routes is to be placed in."""
    return Load(limit.integrations - 1, limit.routes - routes)


ROOM: Final = room_for(LEAST_ROUTES)


def api_with_room(
    cluster_id: str,
    endpoint_class: EphemeralEndpointClass,
    taken: Mapping[Key, Load],
    *,
    shard: Shard = WHOLE,
    most: Load = ROOM,
) -> Key:
    """The first API of the class, existing or to be made, that has no more than ``most``.

    Shards fill APIs of their own: two that cannot coordinate would overfill one, or create it twice.
    """
    keys = (api_key(cluster_id, endpoint_class, number) for number in shard.numbers())
    loaded = ((key, taken.get(key, Load())) for key in keys)
    return next(key for key, load in loaded if load.integrations <= most.integrations and load.routes <= most.routes)


def apis_of_class(
    cluster_id: str, endpoint_class: EphemeralEndpointClass, used: Iterable[Key]
) -> list[DesiredResource]:
    """The APIs in which the active objects of a class are placed, with their authorizers."""
    tags = class_tags(cluster_id=cluster_id, name=endpoint_class.metadata.name, uid=endpoint_class.metadata.uid)
    asked = endpoint_class.spec.routing.throttle
    throttle = ThrottleSpec(asked.rate_limit, asked.burst_limit)
    keys, issuer = sorted(set(used)), endpoint_class.spec.routing.auth.jwt
    apis = [DesiredResource(key, HttpApiSpec(staged=True, throttle=throttle, tags=tags)) for key in keys]
    if issuer is None:
        return apis
    return [*apis, *(authorizer(key, issuer) for key in keys)]


def authorizer(api: Key, issuer: JwtIssuer) -> DesiredResource:
    """The authorizer of an API, with which API Gateway checks the JWTs of an issuer."""
    spec = AuthorizerSpec(api, issuer.issuer, tuple(sorted(issuer.audiences)))
    return DesiredResource(authorizer_key(api), spec, frozenset({api}))
