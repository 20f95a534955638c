"""Observe: what is not in the shared inventory and concerns one object alone. It is asked for once and remembered."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from ephemeral_endpoints.api.endpoint import EphemeralEndpointStatus
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.logs import last_lines
from ephemeral_endpoints.core import conditions
from ephemeral_endpoints.core.backoff import poll_delay
from ephemeral_endpoints.core.desired import Subject
from ephemeral_endpoints.core.names import endpoint_logs
from ephemeral_endpoints.core.redaction import redacted
from ephemeral_endpoints.core.resources import Have
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.reconcile.memory import Memory
from ephemeral_endpoints.reconcile.probe import Probe

PROBE_POLL_SECONDS: Final = (0.25, 10.0)
TOKEN_KEPT_SECONDS: Final = 300.0
LAST_LINES: Final = 5
LINES_POLL_SECONDS: Final = (1.0, 30.0)
LINES_LOOKS: Final = 8


class Observer:
    """Fills an object's memory. Times are monotonic seconds."""

    def __init__(self, kube: Kube, probe: Probe, clock: Callable[[], float]) -> None:
        self._kube = kube
        self._probe = probe
        self._clock = clock

    async def token(self, subject: Subject, raw: Mapping[str, Any], memory: Memory) -> None:
        """Read the object's token, so that a Secret that was changed or deleted counts within minutes."""
        if not subject.needs_token:
            memory.token = memory.token_sha256 = None
        elif memory.token is None or self._clock() - memory.token_read_at > TOKEN_KEPT_SECONDS:
            memory.token = await self._kube.token(raw)
            memory.token_sha256 = hashlib.sha256(memory.token.encode()).hexdigest()
            memory.token_read_at = self._clock()

    async def answer(self, subject: Subject, url: str, serving: tuple[str, ...], memory: Memory) -> None:
        """Ask the URL until it answers, once for everything that could change the answer, which ``serving`` names."""
        if memory.answered_by is None and _was_ready(subject.endpoint.status, subject.endpoint.metadata.generation):
            memory.answered_by = serving
        if memory.answered_by == serving:
            return
        answer = await self._probe(url, memory.token if subject.needs_token else None)
        memory.answer = answer.message
        memory.probes += 1
        if answer.ok:
            memory.answered_by, memory.probes = serving, 0

    async def last_lines(self, subject: Subject, account: Account, endpoint: Have, memory: Memory) -> None:
        """Read what the model server said last, for every state of a failed endpoint. Raises AwsError.

        Logs arrive later than the failure that they explain: without any lines it is looked again, a few times.
        """
        if memory.last_lines_of != endpoint.version:
            memory.last_lines_of, memory.last_lines = endpoint.version, ()
            memory.last_lines_looks, memory.last_lines_due = 0, self._clock()
        if memory.last_lines_due is None or self._clock() < memory.last_lines_due:
            return
        calls = account.calls.on_behalf_of(subject.names.owner, account.calls.lane)
        lines = await last_lines(calls, account.clients.logs, endpoint_logs(endpoint.key.name), count=LAST_LINES)
        memory.last_lines = tuple(map(redacted, lines))
        memory.last_lines_looks += 1
        first, longest = LINES_POLL_SECONDS
        delay = poll_delay(memory.last_lines_looks, first=first, longest=longest)
        is_enough = memory.last_lines or memory.last_lines_looks >= LINES_LOOKS
        memory.last_lines_due = None if is_enough else self._clock() + delay


def probe_delay(memory: Memory) -> float:
    """Seconds until the URL is asked again."""
    first, longest = PROBE_POLL_SECONDS
    return poll_delay(max(memory.probes, 1), first=first, longest=longest)


def _was_ready(status: EphemeralEndpointStatus, generation: int) -> bool:
    return any(
        each.type == conditions.Type.READY and each.status == "True" and each.observed_generation == generation
        for each in status.conditions
    )
