from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import endpoint
from tests.features.capacity.test_accrual import rate

from ephemeral_endpoints.api.v1alpha1.budgets import MOST_SPENDERS, EndedCosts
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_status import Cost
from ephemeral_endpoints.features.capacity.accrual import accrued, month_to_date, updated
from ephemeral_endpoints.features.capacity.cost import HourlyCost
from ephemeral_endpoints.features.capacity.spending import EVERYTHING, Spent, by_group, of_month, of_object, with_ended

NOVEMBER = datetime(2026, 11, 21, 12, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOBODY: frozenset[str] = frozenset()


def costing(
    name: str, usd: str, repository: str = "acme/x", namespace: str = "nlp", at: datetime = NOVEMBER, **more: bool
) -> EphemeralEndpoint:
    """An object that has cost so much in the month of ``at``, and costs nothing any more."""
    cost = {"hourlyUSD": "0.00", "accruedUSD": usd, "monthStartUSD": "0.00", "since": at.isoformat(), **more}
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    return endpoint({"metadata": metadata, "spec": {"source": {"repository": repository}}, "status": {"cost": cost}})


def test_a_month_costs_what_accrued_since_its_first_second() -> None:
    cost = updated(None, rate("0.10"), DECEMBER - 10 * HOUR)
    assert month_to_date(cost, DECEMBER - 2 * HOUR) == Decimal("0.80"), "the month in which it began"
    assert month_to_date(cost, DECEMBER) == 0, "a new month begins at nothing, without a write"
    assert month_to_date(cost, DECEMBER + 3 * HOUR) == Decimal("0.30")
    cost = updated(cost, rate("0.20"), DECEMBER + 4 * HOUR)
    assert month_to_date(cost, DECEMBER + 5 * HOUR) == Decimal("0.60"), "another rate within the month"
    cost = updated(cost, HourlyCost(), DECEMBER + 6 * HOUR)
    assert month_to_date(cost, DECEMBER + 100 * HOUR) == Decimal("0.80")
    assert accrued(cost, DECEMBER + 100 * HOUR) == Decimal("1.80"), "the whole life is not shortened by it"
    assert month_to_date(cost, DECEMBER + timedelta(days=40)) == 0


@given(st.lists(st.tuples(st.integers(0, 40 * 86_400), st.integers(0, 99_999)), min_size=1, max_size=12))
def test_the_months_of_a_life_add_up_to_it(changes: list[tuple[int, int]]) -> None:
    at = NOVEMBER
    cost, total, before = updated(None, rate("0.10"), at), Decimal(0), NOVEMBER
    for seconds, units in changes:
        later = at + timedelta(seconds=seconds)
        while (before.year, before.month) != (later.year, later.month):
            end = (before.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0)
            last = month_to_date(cost, end - timedelta(seconds=1))
            assert last is not None
            total += last
            before = end
        at, cost = later, updated(cost, rate(str(Decimal(units + 1) / 10_000)), later)
    last, whole = month_to_date(cost, at), accrued(cost, at)
    assert last is not None
    assert whole is not None
    # A second of each month is missing, and each change rounds to a ten-thousandth of a dollar.
    assert abs(total + last - whole) <= Decimal("0.05") + Decimal("0.0002") * len(changes)


def test_a_status_of_an_earlier_version_does_not_tell_its_first_month() -> None:
    earlier = Cost(hourly_usd="0.10", accrued_usd="5.00", since=NOVEMBER)
    assert month_to_date(earlier, NOVEMBER + HOUR) is None
    assert month_to_date(earlier, DECEMBER + HOUR) == Decimal("0.10"), "the next one it does"
    written = updated(earlier, rate("0.20"), NOVEMBER + HOUR)
    assert month_to_date(written, NOVEMBER + HOUR) is None
    old = endpoint({"status": {"cost": earlier.to_wire()}})
    assert of_month(old, NOVEMBER) == Spent(is_complete=False)
    assert of_object(old, NOVEMBER) == Spent(Decimal("5.00"))


def test_an_object_counts_for_its_repository_its_namespace_and_the_class() -> None:
    found = by_group(
        [
            costing("a", "1.00"),
            costing("b", "2.00", "ACME/X"),
            costing("c", "4.00", "acme/y"),
            costing("d", "8.00", namespace="vision"),
            endpoint(),
        ],
        None,
        NOVEMBER,
    )
    assert {group: each.usd for group, each in found.items()} == {
        EVERYTHING: 15,
        ("nlp",): 7,
        ("vision",): 8,
        ("nlp", "acme/x"): 3,
        ("nlp", "acme/y"): 4,
        ("vision", "acme/x"): 8,
        ("nlp", "acme/sentiment"): 0,
    }
    assert all(each.is_complete for each in found.values())


def test_one_of_which_not_all_is_known_leaves_its_groups_at_least_that() -> None:
    found = by_group([costing("a", "1.00", incomplete=True), costing("b", "2.00", "acme/y")], None, NOVEMBER)
    assert found["nlp", "acme/x"] == Spent(Decimal("1.00"), is_complete=False)
    assert found["nlp", "acme/y"] == Spent(Decimal("2.00"))
    assert found[EVERYTHING] == Spent(Decimal("3.00"), is_complete=False)


def test_what_is_gone_counts_until_the_month_ends_and_only_once() -> None:
    gone = costing("a", "1.00")
    ended = with_ended(None, gone, NOVEMBER, still_there=NOBODY)
    assert by_group([], ended, NOVEMBER)["nlp", "acme/x"] == Spent(Decimal("1.00"))
    assert by_group([gone], ended, NOVEMBER)[EVERYTHING].usd == 1, "its finalizer is not removed yet"
    assert with_ended(ended, gone, NOVEMBER, still_there=NOBODY) == ended, "the answer to the write was lost"
    assert by_group([], ended, DECEMBER) == {}, "another month"
    next_month = with_ended(ended, costing("b", "3.00", at=DECEMBER), DECEMBER, still_there=NOBODY)
    assert [(each.usd, each.repository) for each in next_month.costs] == [("3.00", "acme/x")]
    assert with_ended(None, endpoint(), NOVEMBER, still_there=NOBODY).costs == (), "what cost nothing takes no room"


def test_who_was_counted_is_remembered_for_as_long_as_it_may_end_again() -> None:
    ended = with_ended(None, costing("a", "1.00"), NOVEMBER, still_there=NOBODY)
    ended = with_ended(ended, costing("b", "2.00"), NOVEMBER, still_there=frozenset({"uid-a"}))
    assert [each.uid for each in ended.counted] == ["uid-a", "uid-b"]
    ended = with_ended(ended, costing("c", "4.00", incomplete=True), NOVEMBER, still_there=frozenset({"uid-b"}))
    assert [each.uid for each in ended.counted] == ["uid-b", "uid-c"]
    assert by_group([], ended, NOVEMBER)[EVERYTHING] == Spent(Decimal(7), is_complete=False)


def test_beyond_so_many_repositories_the_namespace_alone_counts() -> None:
    ended = EndedCosts(month="2026-11")
    for number in range(MOST_SPENDERS + 2):
        ended = with_ended(ended, costing(f"a{number}", "0.01", f"acme/x{number}"), NOVEMBER, still_there=NOBODY)
    found = by_group([], ended, NOVEMBER)
    assert len(ended.costs) == MOST_SPENDERS + 1
    assert found["nlp",].usd == found[EVERYTHING].usd == Decimal("0.01") * (MOST_SPENDERS + 2)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10_000), st.booleans()), max_size=30))
def test_an_end_never_makes_a_group_cheaper(ends: list[tuple[int, int, bool]]) -> None:
    """So that no budget has room again because somebody deletes what has spent it."""
    living = [
        costing(f"o{number}", str(Decimal(units) / 10_000), f"acme/x{repository}", incomplete=unknown)
        for number, (repository, units, unknown) in enumerate(ends)
    ]
    before = by_group(living, None, NOVEMBER)
    ended: EndedCosts | None = None
    while living:
        ended = with_ended(ended, living.pop(), NOVEMBER, still_there=NOBODY)
        after = by_group(living, ended, NOVEMBER)
        for group, spent in before.items():
            assert after.get(group, Spent()) == spent


@pytest.mark.parametrize("nonsense", ["NaN", "-5", "x"])
def test_an_entry_that_was_tampered_with_is_not_believed(nonsense: str) -> None:
    ended = EndedCosts.model_validate(
        {"month": "2026-11", "costs": [{"namespace": "nlp", "repository": "acme/x", "usd": nonsense}]}
    )
    assert by_group([], ended, NOVEMBER)[EVERYTHING] == Spent(is_complete=False)
