"""The votes of an object in its status: read once an hour, of all objects at the same time, so that calls are few."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.api.v1alpha1.feedback import VariantVotes
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.engine.errors import AwsError
from ephemeral_endpoints.engine.resources import Phase
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.feedback.components import CountKey, FeedbackTableComponent
from ephemeral_endpoints.features.routing.feedback.desired import table
from ephemeral_endpoints.features.routing.forwarder.config import REVISION_DIGITS
from ephemeral_endpoints.features.routing.forwarder.feedback import count_id
from ephemeral_endpoints.features.serving.desired import variants_of

PERIOD_SECONDS: Final = 3600.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class FeedbackMemory:
    """The votes that were read last, on which revision, and when to read them again (monotonic seconds)."""

    votes: tuple[VariantVotes, ...] = ()
    revision: str | None = None
    due_at: float | None = None


class FeedbackStep(FollowUp[FeedbackMemory]):
    """Reads the votes of objects with ``spec.feedback``. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(FeedbackMemory)
        self._clock = clock

    @override
    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        # Waits for one call an hour. What cannot be read is read an hour later: nothing depends on it.
        memory, key = self.memory(reconciliation.uid), table(reconciliation.subject)
        found = reconciliation.account.inventory.all.get(key) if key else None
        if found is None or found.phase is not Phase.READY:
            memory.due_at = None
            return
        is_due = memory.due_at is not None and self._clock() >= memory.due_at
        memory.due_at = _next(self._clock())
        if is_due:
            await self._read(reconciliation, found.key.name, memory)

    @override
    def condition(self, reconciliation: Reconciliation) -> ConditionUpdate | None:
        return None

    @override
    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        memory, endpoint = self.memory(reconciliation.uid), reconciliation.subject.endpoint
        if endpoint.spec.feedback and memory.revision == endpoint.revision:
            return {"feedback": memory.votes}
        is_current = endpoint.spec.feedback and endpoint.status.revision == endpoint.revision
        return {} if is_current else {"feedback": ()}

    @override
    def due(self, reconciliation: Reconciliation) -> float | None:
        due_at = self.memory(reconciliation.uid).due_at
        return None if due_at is None else max(0.0, due_at - self._clock())

    async def _read(self, reconciliation: Reconciliation, name: str, memory: FeedbackMemory) -> None:
        component = reconciliation.account.component(FeedbackTableComponent)
        subject = reconciliation.subject
        revision = subject.endpoint.revision[:REVISION_DIGITS]
        variants = [each.name for each in variants_of(subject)]
        keys = [CountKey(name, count_id(revision, variant)) for variant in variants]
        try:
            # Asked at the same time, all are read by one call.
            counted = await asyncio.gather(*(component.votes(reconciliation.calls, key) for key in keys))
        except AwsError as error:
            extra = {**reconciliation.key.log_fields, "error": str(error)}
            logger.warning("the votes of an object could not be read; they are read again in an hour", extra=extra)
            return
        memory.votes = tuple(
            VariantVotes(variant=variant, up=votes.up, down=votes.down)
            for variant, votes in zip(variants, counted, strict=True)
            if votes.up or votes.down
        )
        memory.revision = subject.endpoint.revision


def _next(now: float) -> float:
    """The next full hour of the clock, which is the same for all objects."""
    return (now // PERIOD_SECONDS + 1) * PERIOD_SECONDS
