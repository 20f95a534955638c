"""The notifications that wait for one target: sent one after the other, tried again, and bounded.

One whose answer is lost is sent again, so that it may arrive twice, with the same id.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from typing import Final

from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.engine.backoff import poll_delay
from ephemeral_endpoints.features.notifications.messages import Notification, dropped
from ephemeral_endpoints.features.notifications.reasons import TargetError, TargetUnavailable

logger = logging.getLogger(__name__)

MOST_WAITING: Final = 50
PACE_SECONDS: Final = 1.0
"""Slack takes one message a second for each webhook: https://docs.slack.dev/apis/web-api/rate-limits."""

ATTEMPTS: Final = 18
RETRY_SECONDS: Final = (2.0, 300.0)
"""The first and the longest pause between attempts, which go on for an hour."""

QUIET_ATTEMPTS: Final = 5
"""Attempts within half a minute, after which a target counts as failing."""

END_SECONDS: Final = 5.0
"""How long the end of the operator waits for one more attempt of each."""


class DeliveryOutcome(StrEnum):
    """What became of a notification."""

    DELIVERED = "delivered"
    FAILED = "failed"
    RETRIED = "retried"
    DROPPED = "dropped"


class Outbox:
    """The notifications for one target.

    ``send`` raises a TargetError. ``ended`` is called with what became of each, and with the error if it failed, also
    where it is still being retried and the target counts as failing.
    """

    def __init__(
        self,
        send: Callable[[Notification], Awaitable[None]],
        ended: Callable[[DeliveryOutcome, TargetError | None], None],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._send = send
        self._ended = ended
        self._sleep = sleep
        self._waiting: deque[Notification] = deque()
        self._dropped: Counter[NotificationEvent] = Counter()
        self._task: asyncio.Task[None] | None = None

    def put(self, event: NotificationEvent, notification: Notification) -> None:
        """Have it sent soon. Returns at once; if too many wait, it is only counted, and the count is sent."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(notification)
        else:
            self._dropped[event] += 1
            self._ended(DeliveryOutcome.DROPPED, None)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Try once more to send what waits, for a few seconds; what is left then is lost."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(TimeoutError, TargetError):
            async with asyncio.timeout(END_SECONDS):
                while self._waiting:
                    await self._send(self._waiting[0])
                    self._waiting.popleft()

    async def _work(self) -> None:
        while self._waiting or self._dropped:
            if not self._waiting:
                self._waiting.append(dropped(self._dropped))
                self._dropped.clear()
            await self._deliver(self._waiting[0])
            self._waiting.popleft()
            await self._sleep(PACE_SECONDS)

    async def _deliver(self, notification: Notification) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._send(notification)
            except TargetError as error:
                if attempt < ATTEMPTS and isinstance(error, TargetUnavailable):
                    if attempt >= QUIET_ATTEMPTS:
                        self._ended(DeliveryOutcome.RETRIED, error)
                    first, longest = RETRY_SECONDS
                    await self._sleep(max(error.retry_after, poll_delay(attempt, first=first, longest=longest)))
                    continue
                logger.warning("a notification was not delivered", extra={"error": str(error), "attempts": attempt})
                self._ended(DeliveryOutcome.FAILED, error)
            else:
                self._ended(DeliveryOutcome.DELIVERED, None)
            return
