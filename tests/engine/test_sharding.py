from itertools import chain, islice

from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.sharding import WHOLE, Shard

COUNTS = st.integers(1, 64)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=63)


@given(count=COUNTS, namespace=NAMES)
def test_every_namespace_falls_to_exactly_one_shard(count: int, namespace: str) -> None:
    assert sum(Shard(index, count).takes(namespace) for index in range(count)) == 1


@given(count=COUNTS)
def test_what_is_in_no_namespace_falls_to_the_first(count: int) -> None:
    assert [Shard(index, count).takes(None) for index in range(count)] == [True, *[False] * (count - 1)]


@given(count=COUNTS)
def test_no_two_shards_count_with_the_same_numbers(count: int) -> None:
    numbers = [list(islice(Shard(index, count).numbers(), 3)) for index in range(count)]
    assert sorted(chain.from_iterable(numbers)) == list(range(3 * count))
    assert all(Shard(index, count).has(number) for index in range(count) for number in numbers[index])


def test_namespaces_are_spread_evenly() -> None:
    taken = [sum(Shard(index, 4).takes(f"team-{number}") for number in range(1000)) for index in range(4)]
    assert min(taken) > 200


def test_where_a_namespace_falls_does_not_depend_on_the_process() -> None:
    assert [name for name in ("nlp", "fraud", "speech", "team-a") if Shard(1, 2).takes(name)] == ["nlp", "speech"]


def test_one_alone_takes_everything() -> None:
    assert WHOLE.is_whole
    assert WHOLE.is_first
    assert WHOLE.takes("nlp")
    assert str(WHOLE) == "0/1"
