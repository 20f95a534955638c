"""What becomes of an object by its budgets: a function of what was spent, of the class, and of the object. Pure.

Nothing is done by an amount that is not known; what is known of it counts.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Final

from ephemeral_endpoints.api.v1alpha1.budgets import BudgetPolicy, WithoutSleep
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.features.capacity.cost import usd
from ephemeral_endpoints.features.capacity.spending import EVERYTHING, Group, Spent, by_group, of_object, repository_of
from ephemeral_endpoints.features.expiry.policy import is_pinned
from ephemeral_endpoints.features.sleep.policy import can_sleep
from ephemeral_endpoints.features.subject import Subject

_NONE: Final = Spent()


class Action(IntEnum):
    """What becomes of an object, the least first."""

    NOTHING = 0
    NOTIFY = 1
    SLEEP = 2
    EXPIRE = 3


class BudgetScope(StrEnum):
    """Whose budget it is."""

    OBJECT = "object"
    REPOSITORY = "repository"
    NAMESPACE = "namespace"
    CLASS = "class"

    @property
    def is_monthly(self) -> bool:
        """Whether it begins anew with each month."""
        return self is not BudgetScope.OBJECT


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget of ``limit`` USD that an object is part of. ``is_own``: the object names it, not its class."""

    scope: BudgetScope
    limit: Decimal
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class BudgetInput:
    """What the decision depends on: the budgets with what was spent, and the object.

    ``is_pinned``: somebody who may has the object stay; it is neither put to sleep nor expired.
    """

    policy: BudgetPolicy
    spent: Mapping[Budget, Spent]
    can_sleep: bool
    is_pinned: bool = False


@dataclass(frozen=True, slots=True)
class BudgetVerdict:
    """What becomes of the object, and by which budget: the one that asks for most. It is the same until that changes.

    ``percent`` is the threshold that was reached; ``unknown`` are budgets of which not all that was spent is known.
    """

    action: Action = Action.NOTHING
    budget: Budget | None = None
    percent: int = 0
    unknown: tuple[Budget, ...] = ()
    is_pinned: bool = False


def budgets_of(endpoint: EphemeralEndpoint, policy: BudgetPolicy) -> tuple[Budget, ...]:
    """The budgets of an object, the widest first. Of its own and its class's for an object, the smaller one counts."""
    limits = limits_of(policy)
    budgets = [Budget(scope, limit) for scope, limit in limits.items() if scope.is_monthly]
    of_class, own = limits.get(BudgetScope.OBJECT), usd(endpoint.spec.lifecycle.budget_usd)
    if own is not None and (of_class is None or own < of_class):
        budgets.append(Budget(BudgetScope.OBJECT, own, is_own=True))
    elif of_class is not None:
        budgets.append(Budget(BudgetScope.OBJECT, of_class))
    return tuple(budgets)


def limits_of(policy: BudgetPolicy) -> dict[BudgetScope, Decimal]:
    """The budgets of a class, the widest first."""
    found = {
        BudgetScope.CLASS: policy.class_usd,
        BudgetScope.NAMESPACE: policy.namespace_usd,
        BudgetScope.REPOSITORY: policy.repository_usd,
        BudgetScope.OBJECT: policy.object_usd,
    }
    return {scope: limit for scope, text in found.items() if (limit := usd(text)) is not None}


def furthest(
    endpoint_class: EphemeralEndpointClass, endpoints: Collection[EphemeralEndpoint], now: datetime
) -> dict[BudgetScope, tuple[Decimal, Decimal]]:
    """What was spent of each budget of a class where it is most, as far as that is known, and the limit."""
    limits, month = limits_of(endpoint_class.spec.budgets), by_group(endpoints, endpoint_class.status.ended_costs, now)
    spent: dict[BudgetScope, Iterable[Spent]] = {
        BudgetScope.CLASS: [month.get(EVERYTHING, _NONE)],
        BudgetScope.NAMESPACE: [each for group, each in month.items() if group and not group[1:]],
        BudgetScope.REPOSITORY: [each for group, each in month.items() if group[1:] and group[1]],
        BudgetScope.OBJECT: [of_object(each, now) for each in endpoints],
    }
    most = {scope: max((each.usd for each in spent[scope]), default=Decimal(0)) for scope in limits}
    return {scope: (most[scope], limit) for scope, limit in limits.items()}


def spent_of(
    endpoint: EphemeralEndpoint, budgets: Iterable[Budget], own: Spent, groups: Mapping[Group, Spent]
) -> dict[Budget, Spent]:
    """What was spent of each of an object's budgets: by itself in its life, and by its groups in the month."""
    repository = repository_of(endpoint)
    by_scope = {
        BudgetScope.OBJECT: own,
        BudgetScope.REPOSITORY: groups.get(repository, _NONE),
        BudgetScope.NAMESPACE: groups.get(repository[:1], _NONE),
        BudgetScope.CLASS: groups.get(EVERYTHING, _NONE),
    }
    return {each: by_scope[each.scope] for each in budgets}


def budget_input(subject: Subject, groups: Mapping[Group, Spent], now: datetime) -> BudgetInput:
    """The input of the decision about an object, by what its groups have spent in the month of ``now``."""
    endpoint, policy = subject.endpoint, subject.endpoint_class.spec.budgets
    spent = spent_of(endpoint, budgets_of(endpoint, policy), of_object(endpoint, now), groups)
    return BudgetInput(policy, spent, can_sleep(endpoint.spec.serving), is_pinned(endpoint))


def decide(given: BudgetInput) -> BudgetVerdict:
    """What becomes of the object. More that was spent never leads to less."""
    thresholds = _thresholds(given)
    reached = [
        (action, percent, budget)
        for budget, spent in given.spent.items()
        for percent, action in thresholds
        if percent and spent.usd and spent.usd * 100 >= budget.limit * percent
    ]
    unknown = tuple(budget for budget, spent in given.spent.items() if not spent.is_complete)
    if not reached:
        return BudgetVerdict(unknown=unknown)
    action, percent, budget = max(reached, key=lambda each: each[:2])
    if given.is_pinned:
        return BudgetVerdict(Action.NOTIFY, budget, percent, unknown, is_pinned=True)
    return BudgetVerdict(action, budget, percent, unknown)


def _thresholds(given: BudgetInput) -> tuple[tuple[int, Action], ...]:
    policy = given.policy
    otherwise = Action.EXPIRE if policy.without_sleep is WithoutSleep.EXPIRE else Action.NOTIFY
    return (
        (policy.notify_at, Action.NOTIFY),
        (policy.sleep_at, Action.SLEEP if given.can_sleep else otherwise),
        (policy.expire_at, Action.EXPIRE),
    )
