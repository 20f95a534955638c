from tests.engine.objects import CLUSTER, make_class

from ephemeral_endpoints.engine.resources import Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.features.routing.apis import Load, api_key
from ephemeral_endpoints.features.routing.placements import Placements
from ephemeral_endpoints.features.routing.specs import FUNCTION, INTEGRATION, IntegrationSpec

CLASS = make_class()
FIRST, SECOND = (api_key(CLUSTER, CLASS, number) for number in range(2))


def integrations(**apis: Key) -> ObservedResources:
    found = {Key(INTEGRATION, name): IntegrationSpec(api, Key(FUNCTION, name), "r") for name, api in apis.items()}
    return {key: ObservedResource(key, Phase.READY, spec, owner=f"owner-{key.name}") for key, spec in found.items()}


def place(placements: Placements, owner: str, base: str, observed_resources: ObservedResources) -> Key:
    return placements.place(owner, base, CLASS, observed_resources, routes=2)


def test_many_at_once_do_not_overfill_an_api_though_none_of_them_has_an_integration_yet() -> None:
    placements = Placements(CLUSTER, limit=Load(2, 100))
    assert [place(placements, f"owner-{name}", name, {}) for name in "abc"] == [FIRST, FIRST, SECOND]


def test_what_exists_counts_once() -> None:
    placements = Placements(CLUSTER, limit=Load(2, 100))
    place(placements, "owner-a", "a", {})
    assert place(placements, "owner-b", "b", integrations(a=FIRST)) == FIRST
    assert place(placements, "owner-c", "c", integrations(a=FIRST, b=FIRST)) == SECOND


def test_an_object_stays_where_its_integration_is_even_if_room_comes_free() -> None:
    placements = Placements(CLUSTER, limit=Load(1, 100))
    assert place(placements, "owner-b", "b", integrations(b=SECOND)) == SECOND
    assert placements.of(frozenset({"owner-b"})) == (frozenset({SECOND}), True)


def test_an_object_stays_in_another_shards_api_only_for_as_long_as_its_integration_is_there() -> None:
    placements = Placements(CLUSTER, shard=Shard(1, 2))
    assert place(placements, "owner-a", "a", integrations(a=FIRST)) == FIRST
    assert place(placements, "owner-a", "a", {}) == SECOND


def test_the_apis_of_owners_are_incomplete_until_all_are_placed() -> None:
    placements = Placements(CLUSTER)
    place(placements, "owner-a", "a", {})
    assert placements.of(frozenset({"owner-a", "owner-b"})) == (frozenset({FIRST}), False)


def test_the_place_of_what_is_gone_comes_free() -> None:
    placements = Placements(CLUSTER, limit=Load(1, 100))
    place(placements, "owner-a", "a", {})
    placements.forget("owner-a")
    assert place(placements, "owner-b", "b", {}) == FIRST
    assert placements.of(frozenset({"owner-a"})) == (frozenset(), False)


def test_the_routes_of_an_object_find_room_together_or_elsewhere() -> None:
    placements = Placements(CLUSTER, limit=Load(100, 5))
    assert [place(placements, f"owner-{name}", name, {}) for name in "abc"] == [FIRST, FIRST, SECOND]
    assert placements.place("owner-d", "d", CLASS, {}, routes=5) == api_key(CLUSTER, CLASS, 2)


def test_an_object_of_an_earlier_release_keeps_room_for_its_second_route() -> None:
    placements = Placements(CLUSTER, limit=Load(100, 4))
    assert place(placements, "owner-new", "new", integrations(old=FIRST, older=FIRST)) == SECOND
