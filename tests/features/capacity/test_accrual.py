from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.endpoint_status import Cost
from ephemeral_endpoints.features.capacity.accrual import accrued, is_incomplete, updated
from ephemeral_endpoints.features.capacity.cost import HourlyCost, Part
from ephemeral_endpoints.features.capacity.prices import Price, Unit

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rate(usd: str | None) -> HourlyCost:
    price = Price(Decimal(usd), Unit.HOUR, "2026", "a test") if usd else None
    return HourlyCost((Part("ml.x.y", "1 x ml.x.y", Decimal(1), price),))


def test_a_life_costs_each_of_its_hours_at_its_own_rate() -> None:
    cost = updated(None, rate("0.10"), START)
    cost = updated(cost, rate("0.30"), START + 10 * HOUR)
    cost = updated(cost, HourlyCost(), START + 12 * HOUR)
    assert (cost.hourly_usd, cost.accrued_usd, cost.since) == ("0.00", "1.60", START + 12 * HOUR)
    assert accrued(cost, START + 1000 * HOUR) == Decimal("1.60"), "nothing runs any more"


def test_nothing_is_written_while_the_rate_stays() -> None:
    cost = updated(None, rate("0.10"), START)
    assert updated(cost, rate("0.10"), START + 9 * HOUR) is cost
    read_again = Cost.model_validate(cost.to_wire())
    assert updated(read_again, rate("0.10"), START + 9 * HOUR) is read_again, "nor after a restart"


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 99_999)), min_size=1, max_size=20),
    st.integers(0, 10**6),
)
def test_what_accrues_is_the_integral_of_the_rate(changes: list[tuple[int, int]], last: int) -> None:
    """Independently computed, second by second; each change rounds to a ten-thousandth of a dollar at most."""
    cost, at, exact, current = None, START, Decimal(0), Decimal(0)
    for seconds, units in changes:
        exact += current * seconds / 3600
        at += timedelta(seconds=seconds)
        current = Decimal(units) / 10_000
        cost = updated(cost, rate(str(current) if units else None) if units else HourlyCost(), at)
    exact += current * last / 3600
    found = accrued(cost, at + timedelta(seconds=last))
    assert found is not None
    assert abs(found - exact) <= Decimal("0.0001") * len(changes)


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6))
def test_it_never_becomes_less(seconds: int, more: int) -> None:
    cost = updated(None, rate("0.10"), START)
    first, second = (accrued(cost, START + timedelta(seconds=each)) for each in (seconds, seconds + more))
    assert first is not None
    assert second is not None
    assert 0 <= first <= second


def test_what_is_not_known_stays_unknown() -> None:
    unknown = updated(None, rate(None), START)
    assert (unknown.hourly_usd, unknown.unpriced, unknown.accrued_usd) == (None, ("ml.x.y",), "0.00")
    assert is_incomplete(unknown)
    priced = updated(unknown, rate("0.10"), START + HOUR)
    assert accrued(priced, START + 2 * HOUR) == Decimal("0.10")
    assert is_incomplete(priced), "an hour of it"
    assert is_incomplete(updated(priced, rate("0.20"), START + 2 * HOUR)), "for ever"
    assert not is_incomplete(updated(None, rate("0.10"), START))


def test_a_status_of_an_earlier_version_says_nothing_about_the_past() -> None:
    earlier = Cost.model_validate({"hourlyUSD": "0.10"})
    assert accrued(earlier, START) is None
    found = updated(earlier, rate("0.10"), START)
    assert (found.since, found.accrued_usd, found.incomplete) == (START, "0.00", True)
    assert accrued(None, START) is None


@pytest.mark.parametrize("nonsense", ["NaN", "-1", "x"])
def test_a_status_that_was_tampered_with_is_not_believed(nonsense: str) -> None:
    cost = Cost.model_validate({"hourlyUSD": nonsense, "accruedUSD": "1.00", "since": "2026-11-01T12:00:00Z"})
    assert accrued(cost, START + HOUR) == Decimal("1.00")
    assert accrued(cost.model_copy(update={"accrued_usd": nonsense}), START) is None
