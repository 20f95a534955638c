from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from eep_platform.sagemaker.listing import Fields, listed

START = datetime(2026, 1, 1, tzinfo=UTC)
Item = tuple[str, int]
FIELDS: Fields[Item] = Fields(
    name=lambda item: item[0],
    times={"CreationTime": lambda item: START + timedelta(seconds=item[1])},
    sort_keys={"Name": lambda item: item[0], "CreationTime": lambda item: item[1]},
)
ITEMS = st.dictionaries(st.text("abc-", min_size=1, max_size=4), st.integers(0, 5), max_size=30)


@given(
    items=ITEMS,
    size=st.integers(1, 7),
    sort=st.sampled_from(["Name", "CreationTime"]),
    order=st.sampled_from(["Ascending", "Descending"]),
)
def test_pages_put_together_are_the_whole_list_in_order(
    items: dict[str, int], size: int, sort: str, order: str
) -> None:
    request: dict[str, Any] = {"MaxResults": size, "SortBy": sort, "SortOrder": order}
    got: list[Item] = []
    while True:
        part, token = listed(items.items(), request, FIELDS)
        assert len(part) <= size
        got += part
        if token is None:
            break
        request["NextToken"] = token
    expected = sorted(items.items(), key=lambda item: (item[0] if sort == "Name" else item[1], item[0]))
    assert got == (expected if order == "Ascending" else expected[::-1])


@given(items=ITEMS, removed=st.integers(0, 29))
def test_what_is_deleted_between_pages_makes_no_other_item_appear_twice_or_never(
    items: dict[str, int], removed: int
) -> None:
    request: dict[str, Any] = {"MaxResults": 5, "SortBy": "Name", "SortOrder": "Ascending"}
    first, token = listed(items.items(), request, FIELDS)
    gone = sorted(items)[removed : removed + 1]
    left = {name: time for name, time in items.items() if name not in gone}
    rest: list[Item] = []
    if token:
        rest, _ = listed(left.items(), request | {"NextToken": token, "MaxResults": 100}, FIELDS)
    names = [name for name, _ in first + rest]
    assert len(set(names)) == len(names)
    assert set(names) >= set(left)


def test_times_filter_from_a_time_on_and_before_a_time() -> None:
    items = {"a": 1, "b": 2, "c": 3}
    request = {"CreationTimeAfter": START + timedelta(seconds=2), "CreationTimeBefore": START + timedelta(seconds=3)}
    assert listed(items.items(), request, FIELDS)[0] == [("b", 2)]
