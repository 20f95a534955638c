from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import endpoint, make_class, subject
from tests.features.capacity.test_accrual import rate
from tests.features.capacity.test_spending import NOBODY, costing

from ephemeral_endpoints.api.v1alpha1.budgets import BudgetPolicy
from ephemeral_endpoints.features.capacity.accrual import updated
from ephemeral_endpoints.features.capacity.budget_stage import forced_rest, next_month, standings, within_budget
from ephemeral_endpoints.features.capacity.budgets import (
    Action,
    Budget,
    BudgetInput,
    BudgetScope,
    BudgetVerdict,
    budgets_of,
    decide,
    furthest,
)
from ephemeral_endpoints.features.capacity.cost import HourlyCost
from ephemeral_endpoints.features.capacity.spending import Spent, of_month, of_object, with_ended
from ephemeral_endpoints.features.sleep.policy import AWAKE
from ephemeral_endpoints.features.subject import Subject

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HUNDRED = Budget(BudgetScope.NAMESPACE, Decimal(100))
TEN = Budget(BudgetScope.OBJECT, Decimal(10))

NEARLY = (
    "the budget of namespace nlp, $100.00 a month, is spent to 80 %; at 100 % the endpoint sleeps, if it can; at 120 % "
    "the object expires"
)
ASLEEP = (
    "the budget of namespace nlp, $100.00 a month, is spent to 100 %; the endpoint sleeps, and wakes once "
    "spec.budgets.namespaceUSD of class default is raised, at the latest at 2026-12-01 00:00 UTC; at 120 % the object "
    "expires"
)
UNKNOWN = (
    "the budget of the object, $10.00: what is spent of it is not known, because prices are missing in the class, so "
    "that it may be more. Have a platform engineer set them in spec.prices of the class"
)

policies = st.builds(
    BudgetPolicy,
    notify_at=st.integers(0, 1000),
    sleep_at=st.integers(0, 1000),
    expire_at=st.integers(0, 1000),
    without_sleep=st.sampled_from(["Notify", "Expire"]),
)
amounts = st.decimals(0, 1000, places=4)


def given_spent(
    *spent: tuple[Budget, str],
    can_sleep: bool = True,
    is_pinned: bool = False,
    unknown: bool = False,
    **policy: str | int,
) -> BudgetInput:
    amounts = {budget: Spent(Decimal(usd), is_complete=not unknown) for budget, usd in spent}
    return BudgetInput(BudgetPolicy.model_validate(policy), amounts, can_sleep, is_pinned)


@pytest.mark.parametrize(
    ("given_input", "action", "percent", "reason"),
    [
        (given_spent(), Action.NOTHING, 0, "no budget"),
        (given_spent((HUNDRED, "79.9999")), Action.NOTHING, 0, "below the first threshold"),
        (given_spent((HUNDRED, "80")), Action.NOTIFY, 80, "at the threshold it is reached"),
        (given_spent((HUNDRED, "99.9999")), Action.NOTIFY, 80, "not spent yet"),
        (given_spent((HUNDRED, "100")), Action.SLEEP, 100, "spent"),
        (given_spent((HUNDRED, "120")), Action.EXPIRE, 120, "far over it"),
        (given_spent((HUNDRED, "90"), (TEN, "12")), Action.EXPIRE, 120, "the budget that asks for most decides"),
        (given_spent((HUNDRED, "110"), can_sleep=False), Action.NOTIFY, 100, "what cannot sleep is told"),
        (
            given_spent((HUNDRED, "110"), can_sleep=False, withoutSleep="Expire"),
            Action.EXPIRE,
            100,
            "or expires, as the class says",
        ),
        (given_spent((HUNDRED, "500"), is_pinned=True), Action.NOTIFY, 120, "what is pinned is only told"),
        (given_spent((HUNDRED, "500"), expireAt=0), Action.SLEEP, 100, "0 is never"),
        (given_spent((HUNDRED, "500"), expireAt=0, sleepAt=0), Action.NOTIFY, 80, "twice"),
        (given_spent((HUNDRED, "500"), expireAt=0, sleepAt=0, notifyAt=0), Action.NOTHING, 0, "three times"),
        (given_spent((HUNDRED, "50"), notifyAt=50), Action.NOTIFY, 50, "the class moves thresholds"),
        (given_spent((HUNDRED, "79"), unknown=True), Action.NOTHING, 0, "by what is not known nothing happens"),
        (given_spent((HUNDRED, "100"), unknown=True), Action.SLEEP, 100, "what is known counts: it is more at most"),
        (given_spent((Budget(BudgetScope.OBJECT, Decimal(0)), "0")), Action.NOTHING, 0, "nothing is spent of nothing"),
        (given_spent((Budget(BudgetScope.OBJECT, Decimal(0)), "0.0001")), Action.EXPIRE, 120, "the first cent is over"),
    ],
)
def test_what_becomes_of_an_object(given_input: BudgetInput, action: Action, percent: int, reason: str) -> None:
    verdict = decide(given_input)
    assert (verdict.action, verdict.percent) == (action, percent), reason
    assert (verdict.budget is None) == (percent == 0)


@given(policy=policies, less=amounts, more=amounts, can_sleep=st.booleans(), is_pinned=st.booleans())
def test_more_spent_never_leads_to_less(
    *, policy: BudgetPolicy, less: Decimal, more: Decimal, can_sleep: bool, is_pinned: bool
) -> None:
    less, more = sorted((less, more))
    before, after = (decide(BudgetInput(policy, {HUNDRED: Spent(each)}, can_sleep, is_pinned)) for each in (less, more))
    assert before.action <= after.action
    assert before.percent <= after.percent or before.action < after.action


@given(policy=policies, spent=st.dictionaries(st.sampled_from([HUNDRED, TEN]), amounts), can_sleep=st.booleans())
def test_nothing_but_telling_happens_to_what_is_pinned(
    *, policy: BudgetPolicy, spent: dict[Budget, Decimal], can_sleep: bool
) -> None:
    given_input = BudgetInput(policy, {budget: Spent(usd) for budget, usd in spent.items()}, can_sleep)
    free, pinned = decide(given_input), decide(replace(given_input, is_pinned=True))
    assert pinned.action == min(free.action, Action.NOTIFY)


@given(
    st.decimals(Decimal("0.01"), 100, places=2),
    st.integers(1, 99_999),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from([80, 100, 120]),
)
def test_what_has_reached_a_threshold_stays_there_once_it_sleeps(
    limit: Decimal, units: int, first: int, later: int, percent: int
) -> None:
    """Whatever the recorded amounts are rounded to."""
    cost = updated(None, rate(str(Decimal(units) / 10_000)), NOON)
    at = NOON + timedelta(seconds=first)
    awake = endpoint({"status": {"cost": cost.to_wire()}})
    budget = Budget(BudgetScope.OBJECT, limit)
    policy = BudgetPolicy(sleep_at=percent, notify_at=0, expire_at=0)

    def sleeps(spent: Spent) -> bool:
        return decide(BudgetInput(policy, {budget: spent}, can_sleep=True)).action is Action.SLEEP

    asleep = endpoint({"status": {"cost": updated(cost, HourlyCost(), at).to_wire()}})
    for of in (of_object, of_month):
        if sleeps(of(awake, at)):
            assert sleeps(of(asleep, at + timedelta(seconds=later))) or of is of_month
            assert sleeps(of(asleep, at))


@pytest.mark.parametrize(
    ("own", "policy", "expected", "reason"),
    [
        (None, {}, "", "no budgets"),
        (None, {"objectUSD": "10"}, "object:10", "the class's"),
        ("7.50", {"objectUSD": "10"}, "object:7.50*", "a smaller one of its own"),
        ("20", {"objectUSD": "10"}, "object:10", "a larger one is capped"),
        ("20", {}, "object:20*", "one of its own where the class has none"),
        (
            None,
            {"classUSD": "1000", "namespaceUSD": "300", "repositoryUSD": "100"},
            "class:1000 namespace:300 repository:100",
            "those of its groups",
        ),
    ],
)
def test_the_budgets_of_an_object(own: str | None, policy: dict[str, str], expected: str, reason: str) -> None:
    lifecycle = {"budgetUSD": own} if own else {}
    found = budgets_of(endpoint({"spec": {"lifecycle": lifecycle}}), BudgetPolicy.model_validate(policy))
    assert " ".join(f"{each.scope}:{each.limit}{'*' if each.is_own else ''}" for each in found) == expected, reason


def of_budgets(**policy: str | int) -> Subject:
    return subject(endpoint_class={"budgets": policy})


@pytest.mark.parametrize(
    ("verdict", "status", "reason", "words"),
    [
        (BudgetVerdict(), "True", "BudgetHasRoom", "all budgets have room"),
        (
            BudgetVerdict(Action.NOTIFY, HUNDRED, 80),
            "False",
            "BudgetNearlySpent",
            NEARLY,
        ),
        (
            BudgetVerdict(Action.SLEEP, HUNDRED, 100),
            "False",
            "BudgetSpent",
            ASLEEP,
        ),
        (
            BudgetVerdict(Action.NOTIFY, TEN, 100),
            "False",
            "BudgetSpent",
            "the budget of the object, $10.00, is spent to 100 %; at 120 % the object expires",
        ),
        (
            BudgetVerdict(Action.NOTIFY, TEN, 120, is_pinned=True),
            "False",
            "BudgetSpent",
            "the budget of the object, $10.00, is spent to 120 %; the object is pinned, and goes on",
        ),
        (
            BudgetVerdict(Action.EXPIRE, TEN, 120),
            "False",
            "BudgetSpent",
            "the budget of the object, $10.00, is spent to 120 %; the object expires",
        ),
        (
            BudgetVerdict(unknown=(TEN,)),
            "Unknown",
            "SpendingUnknown",
            UNKNOWN,
        ),
    ],
)
def test_what_people_are_told(verdict: BudgetVerdict, status: str, reason: str, words: str) -> None:
    update = within_budget(of_budgets(), verdict, NOON)
    assert (update.status.value, update.reason.name, update.message) == (status, reason, words)


def test_an_object_that_sleeps_for_its_own_budget_wakes_only_when_that_is_raised() -> None:
    own = Budget(BudgetScope.OBJECT, Decimal("7.5"), is_own=True)
    rest = forced_rest(of_budgets(), BudgetVerdict(Action.SLEEP, own, 100), NOON)
    assert (rest.is_asleep, rest.is_forced, rest.next_at) == (True, True, None)
    assert (
        rest.why
        == "the budget of the object, $7.50, is spent to 100 %; it wakes once spec.lifecycle.budgetUSD is raised"
    )


@pytest.mark.parametrize("action", [Action.NOTHING, Action.NOTIFY, Action.EXPIRE])
def test_nothing_else_puts_an_object_to_sleep(action: Action) -> None:
    assert forced_rest(of_budgets(), BudgetVerdict(action, TEN, 100), NOON) is AWAKE


def test_people_see_how_far_budgets_are_spent() -> None:
    nothing = Budget(BudgetScope.OBJECT, Decimal(0))
    spent = {HUNDRED: Spent(Decimal("63.2")), TEN: Spent(Decimal("12.9999"), is_complete=False), nothing: Spent()}
    assert list(standings(of_budgets(), spent)) == [
        "the budget of namespace nlp, $100.00 a month: $63.20 is spent (63 %)",
        "the budget of the object, $10.00: at least $12.9999 is spent (129 %)",
        "the budget of the object, $0.00: $0.00 is spent",
    ]


@pytest.mark.parametrize("month", range(1, 13))
def test_a_month_ends_with_its_last_second(month: int) -> None:
    for day, second in ((1, 0), (28, 59)):
        at = datetime(2026, month, day, 23, 59, second, tzinfo=UTC)
        found = next_month(BudgetScope.CLASS, at)
        assert found == datetime(2026 + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    assert next_month(BudgetScope.OBJECT, NOON) is None


@pytest.mark.parametrize("nonsense", ["-1", "1e3", "1.234", "", "99999999", "ten"])
def test_an_amount_has_cents_at_most(nonsense: str) -> None:
    with pytest.raises(ValueError, match="must be an amount in USD"):
        make_class({"spec": {"budgets": {"classUSD": nonsense}}})


def test_of_each_budget_the_one_that_is_spent_furthest_is_told() -> None:
    budgets = {"objectUSD": "10", "repositoryUSD": "100", "classUSD": "1000"}
    ended = with_ended(None, costing("gone", "4.00", "acme/y", namespace="vision"), NOON, still_there=NOBODY)
    one = make_class({"spec": {"budgets": budgets}, "status": {"endedCosts": ended.to_wire()}})
    found = [costing("a", "5.00", "acme/x"), costing("b", "3.00", "acme/y"), costing("c", "2.00", "acme/y", "vision")]
    assert furthest(one, found, NOON) == {
        BudgetScope.CLASS: (Decimal(14), Decimal(1000)),
        BudgetScope.REPOSITORY: (Decimal(6), Decimal(100)),
        BudgetScope.OBJECT: (Decimal(5), Decimal(10)),
    }, "those that are gone count, except by object"
    assert furthest(make_class({"spec": {"budgets": {"namespaceUSD": "7"}}}), [], NOON) == {
        BudgetScope.NAMESPACE: (Decimal(0), Decimal(7))
    }
    assert furthest(make_class(), found, NOON) == {}, "a class without budgets has no series"
