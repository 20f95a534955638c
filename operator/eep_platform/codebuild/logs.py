"""Delivers the output of a build to CloudWatch Logs."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from functools import partial

from eep_platform.codebuild.builds import Build
from eep_platform.emulation.aws import Aws
from eep_platform.emulation.clock import Clock
from eep_platform.emulation.logs import LogLine, deliver_lines
from eep_platform.emulation.outbox import Outbox

_MASK = "***"


class BuildLog:
    """The log of one build."""

    def __init__(self, build: Build, aws: Aws, clock: Clock) -> None:
        self._build = build
        self._clock = clock
        self._secrets: list[str] = []
        self._closing = asyncio.Event()
        self._outbox = Outbox("logs", partial(deliver_lines, aws))

    def mask(self, values: Iterable[str]) -> None:
        """Mask these values, and each line of multi-line ones, from now on."""
        parts = {part for value in values for part in (value, *value.splitlines()) if part.strip()}
        # Longer values first, because they may contain shorter ones.
        self._secrets = sorted(parts, key=lambda part: (-len(part), part))

    def masked(self, text: str) -> str:
        """The text with secrets masked."""
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
        """Add a line from CodeBuild itself."""
        self.line(f"[Container] {_stamp(self._clock())} {text}")

    async def run(self, interval: Callable[[], float]) -> None:
        """Deliver lines every `interval` seconds; after `close`, deliver the rest and return."""
        # Cancelling would lose the lines that are being delivered.
        while not self._closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(interval()):
                    await self._closing.wait()
            await self._outbox.flush()
        # Lines may have been added during the last delivery.
        await self._outbox.flush()

    def close(self) -> None:
        """Let `run` return."""
        self._closing.set()


def _stamp(now: datetime) -> str:
    return now.strftime("%Y/%m/%d %H:%M:%S.%f")
