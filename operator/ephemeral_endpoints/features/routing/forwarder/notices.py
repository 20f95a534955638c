"""Tells the operator of what only the forwarder sees, through the queue that the operator reads anyway.

Nobody waits for a notice: it is sent while the model works, by a thread of its own. Lambda may freeze or end the
process before it has arrived; the next request then tells it again.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from ephemeral_endpoints.features.routing.forwarder.connection import CallError, Connection, Operation

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    import botocore.session

    from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig, NoticesConfig

USED = "used"
"""Somebody who may has called the model: at most once in ``USED_SECONDS`` for each process."""

USED_SECONDS = 300.0

WAKE = "wake"
"""Somebody who may has called the model, and its endpoint does not exist: at most once in ``WAKE_SECONDS``."""

WAKE_SECONDS = 60.0

SETTLE_SECONDS = 2.0
"""How long ``insist`` waits for each of two notices."""

RETRY_SECONDS = 60.0
"""How soon a notice is sent again that did not arrive."""

_SEND = Operation("sqs", "AmazonSQS.SendMessage", "1.0")


class Notices:
    """Sends notices of one object. ``clock`` is seconds of the time of day, which goes on while Lambda freezes."""

    def __init__(self, config: NoticesConfig, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._connection = connection
        self._clock = clock
        self._worker = ThreadPoolExecutor(1)
        self._due: dict[str, float] = {}
        self._pending: Future[None] | None = None
        self.error: str | None = None
        """Why the last notice did not arrive: a code of AWS, or of ours; None if it did."""

    @classmethod
    def of(cls, config: ForwarderConfig, session: botocore.session.Session) -> Notices | None:
        """The notices of a forwarder; None for one that is asked for none."""
        return cls(config.notices, Connection(session, config.region, _SEND)) if config.notices else None

    def tell(self, kind: str, every_seconds: float) -> None:
        """Send a notice, unless one of that kind was sent within ``every_seconds``. Neither waits nor raises."""
        now = self._clock()
        is_due = not now < self._due.get(kind, 0.0) <= now + every_seconds
        if is_due and not self.is_sending:
            self._due[kind] = now + every_seconds
            self._pending = self._worker.submit(self._send, kind, now)

    def insist(self, kind: str, every_seconds: float) -> None:
        """The same, after what is on its way, and wait until it has arrived or failed, though not for long.

        Where no model works meanwhile, Lambda would freeze the process before.
        """
        self._settle()
        self.tell(kind, every_seconds)
        self._settle()

    @property
    def is_sending(self) -> bool:
        """Whether a notice is on its way."""
        return self._pending is not None and not self._pending.done()

    def close(self) -> None:
        """End the thread and the connection."""
        self._worker.shutdown()
        self._connection.close()

    def _settle(self) -> None:
        if self._pending:
            wait([self._pending], timeout=SETTLE_SECONDS)

    def _send(self, kind: str, now: float) -> None:
        body = json.dumps({"notice": kind, "uid": self._config.uid, "at": int(now)})
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html
        url = f"{self._connection.url}/{self._config.account}/{self._config.queue}"
        try:
            self._connection.call({"QueueUrl": url, "MessageBody": body})
            self.error = None
        except CallError as error:
            self.error = error.code
            self._due[kind] = now + RETRY_SECONDS
