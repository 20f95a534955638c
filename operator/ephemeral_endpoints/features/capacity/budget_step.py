"""Budgets at work: what was spent is looked at regularly, and an object is reconciled when that changes its fate."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.api import OVER_BUDGET_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.features.capacity import spending
from ephemeral_endpoints.features.capacity.budget_stage import forced_rest, within_budget
from ephemeral_endpoints.features.capacity.budgets import (
    Action,
    BudgetVerdict,
    budget_input,
    budgets_of,
    decide,
)
from ephemeral_endpoints.features.capacity.spending import Group, Spent
from ephemeral_endpoints.features.expiry.policy import over_budget
from ephemeral_endpoints.features.expiry.stage import OVER_BUDGET
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.sleep.policy import Rest
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube

LOOK_SECONDS: Final = 30.0


@dataclass(slots=True)
class Told:
    """The verdict that the last reconciliation of an object acted upon."""

    verdict: BudgetVerdict = field(default_factory=BudgetVerdict)


class BudgetStep(FollowUp[Told]):
    """Puts objects to sleep and ends them by their budgets, and reports how these stand.

    ``subjects`` are the objects of this operator, ``enqueue`` has one reconciled. Nothing must survive the process:
    what was spent is in statuses.
    """

    def __init__(
        self,
        kube: Kube,
        store: Store,
        subjects: Callable[[], Iterable[tuple[ObjectKey, Subject]]],
        enqueue: Callable[[ObjectKey], None],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(Told)
        self._kube = kube
        self._store = store
        self._subjects = subjects
        self._enqueue = enqueue
        self._now = now
        self._groups: dict[str, Mapping[Group, Spent]] = {}

    def look(self) -> None:
        """Sum up anew, and enqueue the objects of which something else is to become now."""
        self._groups.clear()
        for key, subject in self._subjects():
            uid = subject.endpoint.metadata.uid
            if uid in self._memories and self._verdict(subject) != self.memory(uid).verdict:
                self._enqueue(key)

    async def annotate(self, key: ObjectKey, subject: Subject) -> EphemeralEndpoint:
        """End an object whose budget asks for it, before anything else is done for it; returns it as it is then.

        Raises a ``KubernetesError``.
        """
        now, endpoint = self._now(), subject.endpoint
        self.memory(endpoint.metadata.uid).verdict = verdict = self._verdict(subject)
        if verdict.action is not Action.EXPIRE or subject.is_terminating(now):
            return endpoint
        raw, message = self._store.raw(key), within_budget(subject, verdict, now).message
        await self._kube.event(raw, type_="Warning", reason=OVER_BUDGET, message=message)
        self._store.put(await self._kube.annotate(raw, {OVER_BUDGET_ANNOTATION: over_budget(endpoint, now)}))
        return self._store.endpoint(key) or endpoint

    def rest(self, subject: Subject) -> Rest:
        """Whether the budgets put the object to sleep, whatever its own rules say."""
        return forced_rest(subject, self._verdict(subject), self._now())

    @override
    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        pass

    @override
    def condition(self, reconciliation: Reconciliation) -> ConditionUpdate | None:
        subject = reconciliation.subject
        if not budgets_of(subject.endpoint, subject.endpoint_class.spec.budgets):
            return None
        return within_budget(subject, self._verdict(subject), self._now())

    @override
    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        return {}

    def _verdict(self, subject: Subject) -> BudgetVerdict:
        is_monthly = subject.endpoint_class.spec.budgets.is_monthly
        groups = self._spent_by(subject.endpoint_class) if is_monthly else {}
        return decide(budget_input(subject, groups, self._now()))

    def _spent_by(self, endpoint_class: EphemeralEndpointClass) -> Mapping[Group, Spent]:
        """What the groups of a class had spent when it was looked at last."""
        name = endpoint_class.metadata.name
        if name not in self._groups:
            objects = (each for _, each in self._store.of_class(name))
            self._groups[name] = spending.by_group(objects, endpoint_class.status.ended_costs, self._now())
        return self._groups[name]


async def look_regularly(step: BudgetStep, sleep: Sleep = asyncio.sleep) -> None:
    """Until cancelled, look at what was spent: the sums change with time, and with what others do."""
    while True:
        await sleep(LOOK_SECONDS)
        step.look()
