"""One request to the forwarder, and what is noted while it is answered."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ephemeral_endpoints.features.routing.forwarder import messages
from ephemeral_endpoints.features.routing.forwarder.messages import Problem

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from ephemeral_endpoints.features.routing.forwarder.config import Base
    from ephemeral_endpoints.features.routing.forwarder.invocation import Context
    from ephemeral_endpoints.features.routing.forwarder.messages import Answer
    from ephemeral_endpoints.features.routing.forwarder.outlet import Delivery

PAUSES = (0.3, 0.6, 1.2, 2.4, 4.0)
"""The pauses between attempts in seconds, each with a quarter of it more or less; the last one again and again."""

LEAST_SECONDS = 2.0
"""An attempt that had less time left would hardly be answered."""

RESERVE_SECONDS = 1.0
"""What is kept of Lambda's time for the response."""

_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?([0-9]{1,4})\"?\s*(?=[,;]|$)", re.IGNORECASE)


@dataclass(slots=True)
class Exchange:
    """A request with its deadline, in seconds of ``time.monotonic``, and the attempts to have a model answer it.

    ``folder`` is the last segment of the URL below which it came, for references to its neighbours.
    ``base`` is the object whose models are asked in place of the own ones, and ``base_revision`` the commit that it
    serves, as far as that is known. ``postprocess`` is what became of the second model: ``done``, or the kind of its
    problem; None if it was not asked. ``deliveries`` is what became of the messages of the answer, by the outlets'
    members of the log line.
    """

    event: Mapping[str, Any]
    context: Context
    child: str
    sent: Mapping[str, str]
    folder: str = ""
    started: float = field(default_factory=time.monotonic)
    deadline: float = 0.0
    attempts: int = 0
    model_seconds: float = 0.0
    base: Base | None = None
    post_seconds: float = 0.0
    postprocess: str | None = None
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    base_revision: str | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any], context: Context, path: str) -> Exchange:
        """The exchange that an event of API Gateway begins."""
        child, folder = messages.child(event, path), messages.folder(event, path)
        return cls(event, context, child, messages.headers(event), folder)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """How many seconds the caller is still ready to wait, once a model was asked."""
        return self.deadline - time.monotonic()

    @property
    def preferred_wait(self) -> int | None:
        """How many seconds the caller is ready to wait, by ``Prefer: wait`` (RFC 7240, section 4.3); None if unsaid."""
        found = _WAIT.search(self.sent.get("prefer", ""))
        return int(found[1]) if found and int(found[1]) else None

    def ask(self, send: Callable[[float], Answer], timeout_seconds: float, generator: random.Random) -> Answer:
        """The first answer of ``send``, which gets the seconds that it may take.

        Sends again, after a pause, as long as there is time and the model cannot have seen the request. Raises the
        Problem of the last attempt.
        """
        left = self.context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
        self.deadline = self.started + min(timeout_seconds, self.preferred_wait or timeout_seconds, left)
        while True:
            pause = PAUSES[min(self.attempts, len(PAUSES) - 1)] * generator.uniform(0.75, 1.25)
            self.attempts += 1
            began = time.monotonic()
            try:
                return send(self.deadline - began)
            except Problem as problem:
                if not problem.is_transient or self.deadline - time.monotonic() - pause < LEAST_SECONDS:
                    raise
            finally:
                self.model_seconds += time.monotonic() - began
            time.sleep(pause)
