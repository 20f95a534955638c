"""The last lines of the model server of an endpoint that fails, which its condition shows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ephemeral_endpoints.engine.backoff import poll_delay
from ephemeral_endpoints.engine.names import endpoint_logs
from ephemeral_endpoints.engine.redaction import redacted
from ephemeral_endpoints.engine.resources import IN_FLIGHT, ObservedResource
from ephemeral_endpoints.features.monitoring.log_groups import last_lines
from ephemeral_endpoints.features.monitoring.policy import Attempt
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.serving.observe import EndpointRecovery
from ephemeral_endpoints.features.step import Step

COUNT: Final = 5
POLL_SECONDS: Final = (1.0, 30.0)
MAX_ATTEMPTS: Final = 8
LATE: Final = timedelta(minutes=5)
"""How long after the end of an attempt a log stream of it may begin, since logs arrive late."""


@dataclass(slots=True)
class LastLines:
    """The lines of one state of an endpoint, which ``version`` names. Times are monotonic seconds."""

    version: str | None = None
    lines: tuple[str, ...] = ()
    attempts: int = 0
    due_at: float | None = None
    """When to read again; None: not by itself."""


class LastLinesStep(Step[LastLines]):
    """Reads the lines once for every state of a failing endpoint.

    Logs arrive later than the failure that they explain: without any lines they are read again, a few times.
    """

    def __init__(self, endpoints: EndpointRecovery, clock: Callable[[], float]) -> None:
        super().__init__(LastLines)
        self._endpoints = endpoints
        self._clock = clock

    async def run(self, reconciliation: Reconciliation) -> None:
        """Read the last lines of the model server's log, if it is time. Raises an ``AwsError``."""
        memory = self.memory(reconciliation.uid)
        endpoint = self._endpoints.failing(reconciliation)
        if endpoint is None:
            memory.due_at = None
            return
        if memory.version != endpoint.version:
            memory.version, memory.lines, memory.attempts, memory.due_at = endpoint.version, (), 0, self._clock()
        if memory.due_at is None or self._clock() < memory.due_at:
            return
        client, group = reconciliation.account.clients.logs, endpoint_logs(endpoint.key.name)
        attempt = self._attempt(reconciliation, endpoint)
        memory.lines = tuple(map(redacted, await last_lines(reconciliation.calls, client, group, attempt, count=COUNT)))
        memory.attempts += 1
        first, longest = POLL_SECONDS
        is_done = memory.lines or memory.attempts >= MAX_ATTEMPTS
        memory.due_at = None if is_done else self._clock() + poll_delay(memory.attempts, first=first, longest=longest)

    def _attempt(self, reconciliation: Reconciliation, endpoint: ObservedResource) -> Attempt:
        until = endpoint.since + LATE if endpoint.since and endpoint.phase not in IN_FLIGHT else None
        return Attempt(self._endpoints.failed_since(reconciliation, endpoint), until, endpoint.detail)

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        due_at = self.memory(reconciliation.uid).due_at
        return None if due_at is None else max(0.0, due_at - self._clock())
