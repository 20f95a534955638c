"""What objects may cost, and what happens when they have cost as much."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from ephemeral_endpoints.api.rules import matches
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel
from ephemeral_endpoints.api.v1alpha1.types import Integer

MOST_SPENDERS: Final = 500
"""Of so many repositories the class keeps what objects cost that are gone; those of others count for the namespace."""

# With cents, a percentage of it has the four decimals that costs are recorded with.
BudgetAmount = Annotated[
    str,
    Field(max_length=10),
    matches("[0-9]{1,7}([.][0-9]{1,2})?", 'must be an amount in USD, in quotes: "25" or "7.50"'),
]

Percent = Annotated[Integer, Field(ge=0, le=1000)]


class WithoutSleep(StrEnum):
    """What becomes of an object that should sleep, and cannot."""

    NOTIFY = "Notify"
    EXPIRE = "Expire"


class BudgetPolicy(ApiModel):
    """What objects of the class may cost, in USD, and what happens then.

    The capacity counts that is charged by time, as status.cost of objects tells it. The budgets of repositories,
    namespaces and the class are of a calendar month in UTC, and count objects that ended in it; that of an object is
    of its whole life.
    """

    object_usd: Annotated[BudgetAmount | None, Field(alias="objectUSD")] = None
    """What an object may cost; it may name a smaller amount in spec.lifecycle.budgetUSD. Absent: no budget."""

    repository_usd: Annotated[BudgetAmount | None, Field(alias="repositoryUSD")] = None
    """What the objects of the same source.repository in a namespace may cost in a month. Absent: no budget."""

    namespace_usd: Annotated[BudgetAmount | None, Field(alias="namespaceUSD")] = None
    """What the objects of a namespace may cost in a month. Absent: no budget."""

    class_usd: Annotated[BudgetAmount | None, Field(alias="classUSD")] = None
    """What all objects of the class may cost in a month. Absent: no budget."""

    notify_at: Percent = 80
    """At how many percent of a budget people are told, by a condition, an Event, a notification and the comment on the
    pull request, 0 to 1000; 0: never. Default 80."""

    sleep_at: Percent = 100
    """At how many percent endpoints are put to sleep until the month ends or the budget is raised, 0 to 1000; 0: never.
    Default 100."""

    expire_at: Percent = 120
    """At how many percent objects expire, 0 to 1000; 0: never. Default 120."""

    without_sleep: WithoutSleep = WithoutSleep.NOTIFY
    """What happens at sleepAt to an object that cannot sleep, because it is serverless or asynchronous. Notify: people
    are told. Expire: it expires. Default Notify."""

    @property
    def is_monthly(self) -> bool:
        """Whether any budget is of a month."""
        return any((self.repository_usd, self.namespace_usd, self.class_usd))


class EndedCost(ApiModel):
    """What the objects of a repository cost in the month that are gone."""

    model_config = TOLERANT

    namespace: str
    """Their namespace."""

    repository: str = ""
    """Their source.repository, in lower case; empty for those beyond 500 repositories."""

    usd: str
    """What they cost in the month, in USD."""

    incomplete: bool = False
    """Whether the price of some of their capacity was not known, so that it is at least that."""

    always_on_hourly_usd: Annotated[str | None, Field(alias="alwaysOnHourlyUSD")] = None
    """What they would cost an hour together in USD if they were on still. Absent if that is not known of all of
    them."""

    always_on_late_usd: Annotated[str | None, Field(alias="alwaysOnLateUSD")] = None
    """What alwaysOnHourlyUSD comes to between the beginning of the month and their creation. Each hour of the month so
    far costs alwaysOnHourlyUSD; what that is beyond alwaysOnLateUSD and usd is saved."""


class CountedObject(ApiModel):
    """An object that is counted already, and may not be gone yet."""

    model_config = TOLERANT

    uid: str
    """Its UID."""

    namespace: str
    """Its namespace."""


class EndedCosts(ApiModel):
    """What objects that are gone cost in a month."""

    model_config = TOLERANT

    month: str
    """The month, such as 2026-11."""

    costs: tuple[EndedCost, ...] = ()
    """The costs by namespace and repository."""

    counted: tuple[CountedObject, ...] = ()
    """The objects counted last, so that none counts twice."""
