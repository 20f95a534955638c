"""The condition ``WithinBudget``, and what else people are told of budgets. Pure.

Messages name the threshold that was reached and no amount, which would change all the time.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.reasons import Finality, ReasonGroup
from ephemeral_endpoints.features.capacity.accrual import month_start
from ephemeral_endpoints.features.capacity.budgets import Action, Budget, BudgetScope, BudgetVerdict
from ephemeral_endpoints.features.capacity.cost import amount
from ephemeral_endpoints.features.capacity.spending import Spent
from ephemeral_endpoints.features.sleep.policy import AWAKE, Rest, is_asleep
from ephemeral_endpoints.features.subject import Subject

WITHIN_BUDGET: Final = "WithinBudget"

REASONS: Final = ReasonGroup(WITHIN_BUDGET)

HAS_ROOM: Final = REASONS.normal(
    "BudgetHasRoom", meaning="No budget of the object is spent so far that anything happens. See [budgets](budgets.md)."
)
NEARLY_SPENT: Final = REASONS.for_author(
    "BudgetNearlySpent",
    finality=Finality.RECOVERABLE,
    meaning="A budget is spent to the share at which the class wants people to be told. The message names the budget, "
    "and what happens next.",
    remedy="delete or put to sleep what is not needed, or have a platform engineer raise the budget",
)
SPENT: Final = REASONS.for_author(
    "BudgetSpent",
    finality=Finality.RECOVERABLE,
    meaning="A budget is spent: an endpoint that can sleep does, and nothing wakes it before the budget has room "
    "again. One that is pinned goes on.",
    remedy="delete what is not needed, wait for the next month, or have a platform engineer raise the budget",
)
SPENDING_UNKNOWN: Final = REASONS.for_platform(
    "SpendingUnknown",
    meaning="The price of some capacity is not known, so that a budget may be spent further than the operator knows. "
    "By what is not known, nothing happens.",
    remedy="set the price of the type that `status.cost.unpriced` names in `prices` of the class",
)

_FIELDS: Final = {
    BudgetScope.OBJECT: "objectUSD",
    BudgetScope.REPOSITORY: "repositoryUSD",
    BudgetScope.NAMESPACE: "namespaceUSD",
    BudgetScope.CLASS: "classUSD",
}


def within_budget(subject: Subject, verdict: BudgetVerdict, now: datetime) -> ConditionUpdate:
    """How the budgets of an object stand. It has one at least."""
    unknown = _unknown(subject, verdict.unknown)
    if verdict.budget is None:
        if unknown:
            return ConditionUpdate.of(WITHIN_BUDGET, ConditionStatus.UNKNOWN, Cause(SPENDING_UNKNOWN, unknown))
        return ConditionUpdate.of(WITHIN_BUDGET, ConditionStatus.TRUE, Cause(HAS_ROOM, "all budgets have room"))
    reason = SPENT if _is_spent(subject, verdict) else NEARLY_SPENT
    parts = (_reached(subject, verdict.budget, verdict.percent), _consequence(subject, verdict, now), unknown)
    return ConditionUpdate.of(WITHIN_BUDGET, ConditionStatus.FALSE, Cause(reason, "; ".join(filter(None, parts))))


def forced_rest(subject: Subject, verdict: BudgetVerdict, now: datetime) -> Rest:
    """Whether a budget puts the object to sleep, why, and what wakes it."""
    budget = verdict.budget
    if verdict.action is not Action.SLEEP or budget is None:
        return AWAKE
    why = f"{_reached(subject, budget, verdict.percent)}; it wakes {_room(subject, budget, now)}"
    return Rest(is_asleep=True, why=why, next_at=next_month(budget.scope, now), is_forced=True)


def standings(subject: Subject, spent: Mapping[Budget, Spent]) -> Iterator[str]:
    """How far each budget of an object is spent at this moment, for people."""
    for budget, each in spent.items():
        least = "" if each.is_complete else "at least "
        share = f" ({each.usd * 100 // budget.limit} %)" if budget.limit else ""
        yield f"{in_words(subject, budget)}: {least}${amount(each.usd)} is spent{share}"


def told(endpoint: EphemeralEndpoint) -> Condition | None:
    """What the status says of a budget that is spent, or nearly; None if there is nothing to tell."""
    is_false = ConditionStatus.FALSE.value
    found = (each for each in endpoint.status.conditions if each.type == WITHIN_BUDGET and each.status == is_false)
    return next(found, None)


def keeps_asleep(endpoint: EphemeralEndpoint) -> Condition | None:
    """What the status says of a budget that keeps the object asleep."""
    condition = told(endpoint)
    return condition if condition and condition.reason == SPENT.name and is_asleep(endpoint) else None


def next_month(scope: BudgetScope, now: datetime) -> datetime | None:
    """When the budget has room again by itself; None for one that lasts as long as its object."""
    return month_start(month_start(now) + timedelta(days=32)) if scope.is_monthly else None


def in_words(subject: Subject, budget: Budget) -> str:
    """The budget for people."""
    endpoint, namespace = subject.endpoint, subject.endpoint.metadata.namespace
    whose = {
        BudgetScope.OBJECT: "the object",
        BudgetScope.REPOSITORY: f"repository {endpoint.spec.source.repository} in namespace {namespace}",
        BudgetScope.NAMESPACE: f"namespace {namespace}",
        BudgetScope.CLASS: f"class {subject.endpoint_class.metadata.name}",
    }[budget.scope]
    return f"the budget of {whose}, ${amount(budget.limit)}{' a month' if budget.scope.is_monthly else ''}"


def _reached(subject: Subject, budget: Budget, percent: int) -> str:
    return f"{in_words(subject, budget)}, is spent to {percent} %"


def _is_spent(subject: Subject, verdict: BudgetVerdict) -> bool:
    at = subject.endpoint_class.spec.budgets.sleep_at
    return verdict.action >= Action.SLEEP or (0 < at <= verdict.percent)


def _consequence(subject: Subject, verdict: BudgetVerdict, now: datetime) -> str:
    policy, budget = subject.endpoint_class.spec.budgets, verdict.budget
    if budget is None:
        return ""
    if verdict.is_pinned:
        return "the object is pinned, and goes on"
    if verdict.action is Action.EXPIRE:
        return "the object expires"
    expiry = f"at {policy.expire_at} % the object expires" if policy.expire_at > verdict.percent else ""
    if verdict.action is Action.SLEEP:
        return "; ".join(filter(None, (f"the endpoint sleeps, and wakes {_room(subject, budget, now)}", expiry)))
    sleep = f"at {policy.sleep_at} % the endpoint sleeps, if it can" if policy.sleep_at > verdict.percent else ""
    return "; ".join(filter(None, (sleep, expiry)))


def _room(subject: Subject, budget: Budget, now: datetime) -> str:
    """When the budget has room again."""
    field = f"spec.budgets.{_FIELDS[budget.scope]} of class {subject.endpoint_class.metadata.name}"
    where = "spec.lifecycle.budgetUSD" if budget.is_own else field
    at = next_month(budget.scope, now)
    return f"once {where} is raised" + (f", at the latest at {at:%Y-%m-%d %H:%M} UTC" if at else "")


def _unknown(subject: Subject, budgets: Iterable[Budget]) -> str:
    named = " and ".join(in_words(subject, each) for each in budgets)
    if not named:
        return ""
    return (
        f"{named}: what is spent of it is not known, because prices are missing in the class, so that it may be more. "
        "Have a platform engineer set them in spec.prices of the class"
    )
