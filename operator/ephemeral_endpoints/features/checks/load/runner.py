"""Runs the load checks of objects in Jobs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult
from ephemeral_endpoints.api.v1alpha1.load import BaseLoad, Load
from ephemeral_endpoints.features.checks.load.job_outcome import Ended, Running
from ephemeral_endpoints.features.checks.load.job_specs import LoadOrder
from ephemeral_endpoints.features.checks.load.jobs import LoadJobs
from ephemeral_endpoints.features.checks.load.plan import LoadPlan
from ephemeral_endpoints.features.checks.load.policy import base_of, capacity, refusal
from ephemeral_endpoints.features.checks.load.report import read
from ephemeral_endpoints.features.checks.load.verdict import judge
from ephemeral_endpoints.features.checks.requests import ModelRequest
from ephemeral_endpoints.features.routing.callers import needs_token
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key
from ephemeral_endpoints.kube.client import secret_name
from ephemeral_endpoints.kube.errors import Denied, KubernetesError, Unavailable

LOOK_SECONDS: Final = 2.0
SLACK_SECONDS: Final = 60.0
"""For so long after the end that Kubernetes sets to a Job its outcome is awaited."""


@dataclass(frozen=True, slots=True)
class LoadCheck:
    """A check with load, and the request that it sends."""

    name: str
    load: Load
    request: ModelRequest


class LoadRunner:
    """Runs load checks. ``jobs`` is None where the operator does not know its own image; ``clock`` is in seconds.

    Nothing is remembered: a Job is found again by its name, also by another replica.
    """

    def __init__(
        self,
        cluster_id: str,
        jobs: LoadJobs | None,
        store: Store,
        clock: Callable[[], float],
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._cluster_id = cluster_id
        self._jobs = jobs
        self._store = store
        self._clock = clock
        self._look_seconds = look_seconds

    async def run_load(self, key: ObjectKey, subject: Subject, check: LoadCheck, url: str, run_id: str) -> CheckResult:
        """Put the load of a check on ``url`` and wait for the result, for minutes; goes on where a Job runs already.

        ``run_id`` identifies the run of all checks of the object. Two checks of an object must not run at once. Never
        raises: what kept the check from being carried out is its result.
        """
        if (refused := refusal(subject, check.load, check.request)) is not None:
            return _inconclusive(check, refused)
        if self._jobs is None:
            return _inconclusive(
                check,
                "the operator does not know its own image, which the load is made with: ask the platform team to set "
                "EEP_IMAGE, as the Helm chart does",
            )
        order = self._order(key, subject, check, url, run_id)
        ended = await self._ended(self._jobs, order)
        return self._result(key, subject, check, ended, order) if ended.written else _inconclusive(check, ended.trouble)

    def _order(self, key: ObjectKey, subject: Subject, check: LoadCheck, url: str, run_id: str) -> LoadOrder:
        most, load, metadata = capacity(subject), check.load, subject.endpoint.metadata
        plan = LoadPlan(
            url,
            check.request,
            load.rate,
            load.duration.total_seconds(),
            load.warm_up,
            most.concurrency if most else None,
        )
        return LoadOrder(
            self._cluster_id,
            key.namespace or "",
            metadata.name,
            metadata.uid,
            run_id,
            check.name,
            plan,
            secret_name(metadata.name) if needs_token(subject) else None,
        )

    async def _ended(self, jobs: LoadJobs, order: LoadOrder) -> Ended:
        """How the Job ended, or why there is none."""
        until, has_begun, hindrance = self._clock() + order.deadline + SLACK_SECONDS, False, ""
        while self._clock() < until:
            try:
                if not has_begun:
                    await jobs.end_others(order)
                seen = await (jobs.look(order) if has_begun else jobs.begin(order))
                has_begun = True
            except Unavailable as error:
                seen = Running(f"the API server does not answer: {error.message}")
            except KubernetesError as error:
                return Ended(trouble=_explained(error, order.namespace))
            if isinstance(seen, Ended):
                return _with_hindrance(seen, hindrance)
            hindrance = seen.delay or hindrance
            await asyncio.sleep(self._look_seconds)
        return _with_hindrance(Ended(trouble=f"the Job {order.name} did not end in time", is_late=True), hindrance)

    def _result(
        self, key: ObjectKey, subject: Subject, check: LoadCheck, ended: Ended, order: LoadOrder
    ) -> CheckResult:
        try:
            report = read(ended.written, planned=order.plan.requests)
        except ValueError:
            return _inconclusive(
                check, f"what the Job {order.name} wrote is no result of a load check: find out who changed its Pod"
            )
        base = self._base(key, subject, check)
        verdict = judge(check.load, report, base, capacity(subject))
        result, figures = report.result, base if isinstance(base, BaseLoad) else None
        return CheckResult(
            name=check.name,
            outcome=verdict.outcome,
            message=verdict.message,
            latency_ms=round(result.p50_ms) if result and result.p50_ms is not None else None,
            load=result.model_copy(update={"base": figures}) if result else None,
        )

    def _base(self, key: ObjectKey, subject: Subject, check: LoadCheck) -> BaseLoad | str | None:
        """The base as it is now: the object's status is still that of its earlier run."""
        asked = check.load.base
        named = asked.endpoint if asked else None
        other = self._store.endpoint(endpoint_key(key.namespace or "", named)) if named else None
        own = self._store.endpoint(key) or subject.endpoint
        return base_of(asked, check.name, own, {named: other} if named and other else {})


def _inconclusive(check: LoadCheck, message: str) -> CheckResult:
    return CheckResult(name=check.name, outcome=CheckOutcome.INCONCLUSIVE, message=message)


def _explained(error: KubernetesError, namespace: str) -> str:
    if isinstance(error, Denied):
        return (
            f"the operator may not run Jobs in the namespace {namespace}: ask the platform team to add it to "
            f"load.namespaces of the Helm chart ({error.message})"
        )
    return f"Kubernetes refuses the Job of the load check: {error.message}"


def _with_hindrance(ended: Ended, hindrance: str) -> Ended:
    return Ended(trouble=f"{ended.trouble}: {hindrance}") if ended.is_late and hindrance else ended
