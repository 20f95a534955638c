from tests.engine.objects import CLUSTER, make_class

from ephemeral_endpoints.engine.resources import Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.features.routing.apis import api_key
from ephemeral_endpoints.features.routing.placements import Placements
from ephemeral_endpoints.features.routing.specs import FUNCTION, INTEGRATION, IntegrationSpec

CLASS = make_class()
FIRST, SECOND = (api_key(CLUSTER, CLASS, number) for number in range(2))


def integrations(**apis: Key) -> ObservedResources:
    found = {Key(INTEGRATION, name): IntegrationSpec(api, Key(FUNCTION, name), "r") for name, api in apis.items()}
    return {key: ObservedResource(key, Phase.READY, spec, owner=f"owner-{key.name}") for key, spec in found.items()}


def test_many_at_once_do_not_overfill_an_api_though_none_of_them_has_an_integration_yet() -> None:
    placements = Placements(CLUSTER, limit=2)
    assert [placements.place(f"owner-{name}", name, CLASS, {}) for name in "abc"] == [FIRST, FIRST, SECOND]


def test_what_exists_counts_once() -> None:
    placements = Placements(CLUSTER, limit=2)
    placements.place("owner-a", "a", CLASS, {})
    assert placements.place("owner-b", "b", CLASS, integrations(a=FIRST)) == FIRST
    assert placements.place("owner-c", "c", CLASS, integrations(a=FIRST, b=FIRST)) == SECOND


def test_an_object_stays_where_its_integration_is_even_if_room_comes_free() -> None:
    placements = Placements(CLUSTER, limit=1)
    assert placements.place("owner-b", "b", CLASS, integrations(b=SECOND)) == SECOND
    assert placements.of(frozenset({"owner-b"})) == (frozenset({SECOND}), True)


def test_an_object_stays_in_another_shards_api_only_for_as_long_as_its_integration_is_there() -> None:
    placements = Placements(CLUSTER, shard=Shard(1, 2))
    assert placements.place("owner-a", "a", CLASS, integrations(a=FIRST)) == FIRST
    assert placements.place("owner-a", "a", CLASS, {}) == SECOND


def test_the_apis_of_owners_are_incomplete_until_all_are_placed() -> None:
    placements = Placements(CLUSTER)
    placements.place("owner-a", "a", CLASS, {})
    assert placements.of(frozenset({"owner-a", "owner-b"})) == (frozenset({FIRST}), False)


def test_the_place_of_what_is_gone_comes_free() -> None:
    placements = Placements(CLUSTER, limit=1)
    placements.place("owner-a", "a", CLASS, {})
    placements.forget("owner-a")
    assert placements.place("owner-b", "b", CLASS, {}) == FIRST
    assert placements.of(frozenset({"owner-a"})) == (frozenset(), False)
