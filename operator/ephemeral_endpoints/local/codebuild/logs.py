"""The output of a build, on its way to CloudWatch Logs."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime

from ephemeral_endpoints.local.codebuild.builds import Build
from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.logs import LogDelivery, LogLine
from ephemeral_endpoints.local.sagemaker.outbox import Outbox
from ephemeral_endpoints.local.sagemaker.store import Clock

_MASK = "***"


class BuildLog:
    """The log of one build."""

    def __init__(self, build: Build, aws: Aws, clock: Clock) -> None:
        self._build = build
        self._clock = clock
        self._secrets: list[str] = []
        self._closing = asyncio.Event()
        self._outbox = Outbox("logs", LogDelivery(aws))

    def mask(self, values: Iterable[str]) -> None:
        """Show these values as asterisks from now on; of one with several lines also each line."""
        parts = {part for value in values for part in (value, *value.splitlines()) if part.strip()}
        # A longer one first: it may contain a shorter one.
        self._secrets = sorted(parts, key=lambda part: (-len(part), part))

    def masked(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return text

    def line(self, text: str) -> None:
        """Add a line of a command's output."""
        if self._build.is_logged:
            milliseconds = int(self._clock().timestamp() * 1000)
            line = LogLine(self._build.log_group, self._build.log_stream, milliseconds, self.masked(text) or " ")
            self._outbox.put(line)

    def note(self, text: str) -> None:
        """Add a line of CodeBuild's own."""
        self.line(f"[Container] {_stamp(self._clock())} {text}")

    async def run(self, interval: Callable[[], float]) -> None:
        """Deliver again and again, and what is left once `close` was called."""
        # Not by cancelling: that would lose the lines that are being delivered.
        while not self._closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(interval()):
                    await self._closing.wait()
            await self._outbox.flush()
        # Lines may have come during the last delivery.
        await self._outbox.flush()

    def close(self) -> None:
        """Have `run` end."""
        self._closing.set()


def _stamp(now: datetime) -> str:
    return now.strftime("%Y/%m/%d %H:%M:%S.%f")
