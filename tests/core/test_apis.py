from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from tests.core.objects import CLUSTER, endpoint_class

from ephemeral_endpoints.core.apis import api_key, api_number, api_with_room, loads
from ephemeral_endpoints.core.names import owner_hash, owner_of
from ephemeral_endpoints.core.resources import Have, IntegrationSpec, Key, Kind, Phase
from ephemeral_endpoints.core.sharding import Shard

CLASS = endpoint_class()
FIRST, SECOND, THIRD = (api_key(CLUSTER, CLASS, number) for number in range(3))


@given(number=st.integers(0, 10_000))
def test_every_api_of_a_class_is_told_to_be_the_classes(number: int) -> None:
    assert owner_of(CLUSTER, api_key(CLUSTER, CLASS, number).name) == owner_hash(CLASS.metadata.uid)


def test_the_apis_of_a_class_are_told_apart() -> None:
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
    function = Key(Kind.FUNCTION, "f")
    haves = [
        Have(Key(Kind.INTEGRATION, name), Phase.READY, IntegrationSpec(api, function, "role"))
        for name, api in (("a", FIRST), ("b", FIRST), ("c", SECOND))
    ]
    assert loads([*haves, Have(function, Phase.READY)]) == Counter({FIRST: 2, SECOND: 1})
