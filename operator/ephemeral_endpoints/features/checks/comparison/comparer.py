"""One comparison from its requests to its report."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.v1alpha1.comparison import Comparison, ComparisonResult
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.serving import Serverless
from ephemeral_endpoints.engine.backoff import delay
from ephemeral_endpoints.engine.errors import ReconcileError, Transient
from ephemeral_endpoints.features.capacity import cost
from ephemeral_endpoints.features.capacity.prices import Prices, of_class
from ephemeral_endpoints.features.checks.comparison import report
from ephemeral_endpoints.features.checks.comparison.differences import Rules
from ephemeral_endpoints.features.checks.comparison.exchange import (
    Exchange,
    KeptSide,
    LiveSide,
    NamedRequest,
    Side,
    exchange,
)
from ephemeral_endpoints.features.checks.comparison.policy import Base, samples_of
from ephemeral_endpoints.features.checks.comparison.report import Kept
from ephemeral_endpoints.features.checks.comparison.storage import Storage
from ephemeral_endpoints.features.checks.comparison.summary import Reply, mean_seconds, summary
from ephemeral_endpoints.features.checks.requests import ModelRequest
from ephemeral_endpoints.features.routing.callers import invocation_url
from ephemeral_endpoints.features.subject import Subject

WRITES: Final = 5
"""Attempts to write a report."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is compared. ``base_endpoint`` is the other object; None for the previous revision.

    ``reports`` is the class's folder for reports, if it has one. ``token`` reads the base's token.
    """

    id: str
    subject: Subject
    spec: Comparison
    base: Base
    base_endpoint: EphemeralEndpoint | None
    head: LiveSide
    token: Callable[[], Awaitable[str | None]]
    storage: Callable[[], Awaitable[Storage]]

    @property
    def endpoint(self) -> EphemeralEndpoint:
        """The object that is compared."""
        return self.subject.endpoint

    @property
    def reports(self) -> str | None:
        """The class's folder for reports."""
        return self.subject.endpoint_class.spec.comparisons.reports_s3_uri

    def report_uri(self, revision: str) -> str | None:
        """Where the report of a revision of the object is."""
        metadata = self.endpoint.metadata
        return report.uri(self.reports, metadata.namespace or "", metadata.name, revision) if self.reports else None


@dataclass(frozen=True, slots=True)
class Comparer:
    """Carries out comparisons. ``now`` is the time of day in UTC, ``clock`` monotonic seconds."""

    now: Callable[[], datetime]
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def compare(self, task: Task) -> ComparisonResult:
        """Send the requests, compare the answers and write the report. Takes minutes.

        Raises a ``ReconcileError`` if recorded requests, the answers of the previous revision, or the token of the
        base cannot be read.
        """
        requests, skipped = await _requests(task)
        kept = await _kept(task)
        rules = Rules.of(task.spec)
        done = await exchange(
            await _base_side(task, kept),
            task.head,
            requests,
            rules,
            clock=self.clock,
            keeps=task.spec.with_.previous_revision,
        )
        result = self._result(task, kept, done, skipped)
        return await self._reported(task, result, done)

    def _result(self, task: Task, kept: Kept | None, done: Exchange, skipped: int) -> ComparisonResult:
        own, known = task.endpoint, of_class(task.subject.endpoint_class)
        if task.base_endpoint:
            bases = [each.base for each in done.pairs]
            kept = Kept({}, _hourly(task.base_endpoint), _per_thousand(task.base_endpoint, bases, known))
        return ComparisonResult(
            id=task.id,
            revision=own.revision,
            base=task.base.title,
            base_revision=task.base.revision,
            finished_at=self.now(),
            # Of the first revision, there is nothing that could have been compared.
            skipped=skipped + (done.skipped if task.base.revision else 0),
            hourly_usd=_hourly(own),
            per_thousand_usd=_per_thousand(own, done.heads, known),
            base_hourly_usd=kept.hourly_usd if kept else None,
            base_per_thousand_usd=kept.per_thousand_usd if kept else None,
            **summary(done.pairs).fields(),
        )

    async def _reported(self, task: Task, result: ComparisonResult, done: Exchange) -> ComparisonResult:
        """The result with where its report is, or why there is none."""
        uri, metadata = task.report_uri(result.revision), task.endpoint.metadata
        if uri is None:
            return result
        content = report.document(metadata.namespace or "", metadata.name, result, done.pairs, done.kept)
        try:
            await self._write(task, uri, content)
        except ReconcileError as error:
            return result.model_copy(update={"report_error": error.described})
        return result.model_copy(update={"report_uri": uri})

    async def _write(self, task: Task, uri: str, content: bytes) -> None:
        storage = await task.storage()
        for attempt in range(1, WRITES + 1):
            try:
                await storage.write(uri, content)
            except Transient as error:
                if attempt == WRITES:
                    raise
                await self.sleep(delay(error, attempt))
            else:
                return


async def _requests(task: Task) -> tuple[Sequence[NamedRequest], int]:
    """What is sent, and how many records are skipped."""
    samples = [
        NamedRequest(each.name, ModelRequest(each.request.encode(), each.content_type))
        for each in samples_of(task.endpoint, task.spec)
    ]
    if task.spec.recorded is None:
        return samples, 0
    found = await (await task.storage()).recorded(task.spec.recorded.s3_uri, task.spec.recorded.limit)
    recorded = [NamedRequest(f"recorded {number}", each) for number, each in enumerate(found.requests, start=1)]
    return [*samples, *recorded], found.skipped


async def _kept(task: Task) -> Kept | None:
    """What is kept of the previous revision, if that is the base and anything is."""
    if task.base_endpoint or task.base.revision is None:
        return None
    uri = task.report_uri(task.base.revision)
    content = await (await task.storage()).report(uri) if uri else None
    found = report.read(content) if content else None
    return found if found and found.answers else None


async def _base_side(task: Task, kept: Kept | None) -> Side:
    if task.base_endpoint is None:
        return KeptSide(kept.answers if kept else {})
    url = invocation_url(task.base_endpoint.served_auth, task.base_endpoint.status.url or "")
    return LiveSide(task.head.client, url, await task.token())


def _hourly(endpoint: EphemeralEndpoint) -> str | None:
    return endpoint.status.cost.hourly_usd if endpoint.status.cost else None


def _per_thousand(endpoint: EphemeralEndpoint, replies: Sequence[Reply], known: Prices) -> str | None:
    """What a thousand requests cost at most, as the time includes the way to the model; None if that is not known."""
    seconds, capacity = mean_seconds(replies), endpoint.spec.serving.capacity
    if seconds is None or not isinstance(capacity, Serverless) or capacity.provisioned_concurrency:
        return None
    usd = cost.of_serverless_requests(1000, capacity.memory_size_mb, seconds, known)
    return None if usd is None else cost.amount(usd)
