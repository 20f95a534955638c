from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import CLUSTER, make_class

from ephemeral_endpoints.engine.names import owner_hash, owner_of
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.features.routing.apis import Load, Place, api_key, api_number, api_with_room, loads
from ephemeral_endpoints.features.routing.specs import FUNCTION, INTEGRATION, ROUTE, IntegrationSpec, RouteSpec

CLASS = make_class()
FIRST, SECOND, THIRD = (api_key(CLUSTER, CLASS, number) for number in range(3))


@given(number=st.integers(0, 10_000))
def test_every_api_of_a_class_names_its_class(number: int) -> None:
    assert owner_of(CLUSTER, api_key(CLUSTER, CLASS, number).name) == owner_hash(CLASS.metadata.uid)


def test_the_apis_of_a_class_have_different_names() -> None:
    assert len({api_key(CLUSTER, CLASS, number) for number in range(1000)}) == 1000


@given(number=st.integers(0, 10_000))
def test_the_number_of_an_api_is_in_its_name(number: int) -> None:
    assert api_number(api_key(CLUSTER, CLASS, number)) == number


def test_shards_fill_apis_of_their_own() -> None:
    assert api_with_room(CLUSTER, CLASS, {}, shard=Shard(1, 2), most=Load(1, 298)) == SECOND
    assert api_with_room(CLUSTER, CLASS, {SECOND: Load(2)}, shard=Shard(1, 2), most=Load(1, 298)) == api_key(
        CLUSTER, CLASS, 3
    )
    assert api_with_room(CLUSTER, CLASS, {FIRST: Load(2)}, shard=Shard(0, 2), most=Load(1, 298)) == THIRD


def test_an_api_is_filled_before_another_one_is_made() -> None:
    assert api_with_room(CLUSTER, CLASS, {}, most=Load(1, 298)) == FIRST
    assert api_with_room(CLUSTER, CLASS, {FIRST: Load(1)}, most=Load(1, 298)) == FIRST
    assert api_with_room(CLUSTER, CLASS, {FIRST: Load(2)}, most=Load(1, 298)) == SECOND
    assert api_with_room(CLUSTER, CLASS, {FIRST: Load(2), SECOND: Load(2)}, most=Load(1, 298)) == THIRD


def test_room_that_came_free_is_used_again() -> None:
    assert api_with_room(CLUSTER, CLASS, {FIRST: Load(1), SECOND: Load(2)}, most=Load(1, 298)) == FIRST


def test_an_api_without_room_for_the_routes_is_full_too() -> None:
    assert api_with_room(CLUSTER, CLASS, {FIRST: Load(149, 298), SECOND: Load(1, 299)}) == FIRST
    assert api_with_room(CLUSTER, CLASS, {FIRST: Load(150, 300), SECOND: Load(1, 299)}) == THIRD


def test_the_load_of_an_api_is_what_it_has_and_what_its_objects_are_to_get() -> None:
    function = Key(FUNCTION, "f")
    integrations = [
        ObservedResource(Key(INTEGRATION, name), Phase.READY, IntegrationSpec(api, function, "role"), owner=name)
        for name, api in (("a", FIRST), ("b", FIRST), ("c", SECOND))
    ]
    routes = [
        ObservedResource(Key(ROUTE, f"{api.name} {key}"), Phase.READY, RouteSpec(api, key, None), owner=owner)
        for owner, api, keys in (("a", FIRST, ("ANY /a",)), ("c", SECOND, ("1", "2", "3")), (None, SECOND, ("GET /x",)))
        for key in keys
    ]
    observed_resources = [*integrations, *routes, ObservedResource(function, Phase.READY)]
    assert loads(observed_resources, {}) == {FIRST: Load(2, 4), SECOND: Load(1, 4)}
    placed = {"a": Place(FIRST, 5), "d": Place(SECOND), "e": Place(THIRD, 5)}
    assert loads(observed_resources, placed) == {FIRST: Load(2, 7), SECOND: Load(2, 6), THIRD: Load(1, 5)}
