from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import CLUSTER, make_class

from ephemeral_endpoints.engine.names import owner_hash, owner_of
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.features.routing.apis import api_key, api_number, api_with_room, loads
from ephemeral_endpoints.features.routing.specs import FUNCTION, INTEGRATION, IntegrationSpec

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
    assert api_with_room(CLUSTER, CLASS, {}, shard=Shard(1, 2), limit=2) == SECOND
    assert api_with_room(CLUSTER, CLASS, {SECOND: 2}, shard=Shard(1, 2), limit=2) == api_key(CLUSTER, CLASS, 3)
    assert api_with_room(CLUSTER, CLASS, {FIRST: 2}, shard=Shard(0, 2), limit=2) == THIRD


def test_an_api_is_filled_before_another_one_is_made() -> None:
    assert api_with_room(CLUSTER, CLASS, {}, limit=2) == FIRST
    assert api_with_room(CLUSTER, CLASS, {FIRST: 1}, limit=2) == FIRST
    assert api_with_room(CLUSTER, CLASS, {FIRST: 2}, limit=2) == SECOND
    assert api_with_room(CLUSTER, CLASS, {FIRST: 2, SECOND: 2}, limit=2) == THIRD


def test_room_that_came_free_is_used_again() -> None:
    assert api_with_room(CLUSTER, CLASS, {FIRST: 1, SECOND: 2}, limit=2) == FIRST


def test_the_load_of_an_api_is_its_integrations() -> None:
    function = Key(FUNCTION, "f")
    observed_resources = [
        ObservedResource(Key(INTEGRATION, name), Phase.READY, IntegrationSpec(api, function, "role"))
        for name, api in (("a", FIRST), ("b", FIRST), ("c", SECOND))
    ]
    assert loads([*observed_resources, ObservedResource(function, Phase.READY)]) == Counter({FIRST: 2, SECOND: 1})
