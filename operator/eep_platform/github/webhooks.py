"""Deliveries of events, signed as GitHub signs them.

Source: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries. A delivery that fails is not
repeated, unless somebody asks for it; it then has the same id.
"""

import asyncio
import hashlib
import hmac
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import aiohttp

from eep_platform.github.errors import not_found
from eep_platform.github.settings import GitHubSettings, Webhook

_MOST: Final = 10_000


@dataclass(slots=True)
class Delivery:
    """An event that was sent. ``statuses`` are those of the answers, by attempt; None where none came."""

    guid: str
    event: str
    action: str
    body: bytes
    time: datetime
    statuses: list[int | None] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The delivery as the control API shows it."""
        shown = {"guid": self.guid, "event": self.event, "action": self.action, "statuses": self.statuses}
        return {**shown, "time": self.time.isoformat()}


def signature(secret: str, body: bytes) -> str:
    """The value of the header ``X-Hub-Signature-256``. Pure."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


class Deliveries:
    """Sends events to the URL in the settings, in the background and in no particular order."""

    def __init__(self, settings: GitHubSettings) -> None:
        self._settings = settings
        self._sent: OrderedDict[str, Delivery] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def emit(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event, if there is somewhere to send it to."""
        if self._settings.now.webhook is None:
            return
        body = json.dumps(payload).encode()
        delivery = Delivery(str(uuid4()), event, payload["action"], body, self._settings.clock())
        self._sent[delivery.guid] = delivery
        if len(self._sent) > _MOST:
            self._sent.popitem(last=False)
        self._begin(delivery)

    def redeliver(self, guid: str) -> None:
        """Send an event again, with the same id. Raises the error 404 if there was none."""
        if guid not in self._sent:
            raise not_found()
        self._begin(self._sent[guid])

    def sent(self) -> list[Delivery]:
        """What was sent, the oldest first."""
        return list(self._sent.values())

    async def settle(self) -> None:
        """Wait until no delivery is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """End the deliveries that are under way, and forget all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sent.clear()

    def _begin(self, delivery: Delivery) -> None:
        webhook = self._settings.now.webhook
        if webhook is not None:
            task = asyncio.create_task(_send(delivery, webhook))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _send(delivery: Delivery, webhook: Webhook) -> None:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/embedded",
        "X-GitHub-Delivery": delivery.guid,
        "X-GitHub-Event": delivery.event,
        "X-Hub-Signature-256": signature(webhook.secret, delivery.body),
    }
    timeout = aiohttp.ClientTimeout(total=webhook.timeout_seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(webhook.url, data=delivery.body, headers=headers, allow_redirects=False) as answer,
        ):
            delivery.statuses.append(answer.status)
    except (aiohttp.ClientError, TimeoutError):
        delivery.statuses.append(None)
