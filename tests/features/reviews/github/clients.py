"""Clients of a GitHub that runs in the test, and a clock that only sleepers move."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp

from eep_platform.github.client import Installed
from ephemeral_endpoints.features.reviews.errors import ForgeDenied
from ephemeral_endpoints.features.reviews.github.client import GitHubClient, RequestKind
from ephemeral_endpoints.features.reviews.github.transport import Transport

WHERE = "the Secret eep/forge-github"


@dataclass
class HeldSecret:
    """A Secret whose content the test changes; ``kept`` is what was read last, as the operator keeps it."""

    content: Mapping[str, str]
    reads: int = 0
    kept: Mapping[str, bytes] | None = None
    where: str = WHERE

    async def data(self) -> Mapping[str, bytes]:
        if self.kept is None:
            self.reads += 1
            self.kept = {key: value.encode() for key, value in self.content.items()}
        return self.kept

    def forget(self) -> None:
        self.kept = None


@dataclass
class Time:
    """Moves only when somebody sleeps, or by the test."""

    seconds: float = 1000.0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    slept: list[float] = field(default_factory=list)
    wrong: timedelta = timedelta()
    """By how much the machine's time of day is wrong."""

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.seconds - 1000.0) + self.wrong

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def token_secret(token: str) -> HeldSecret:
    return HeldSecret({"token": token})


def app_secret(app: Installed, **more: str) -> HeldSecret:
    return HeldSecret({"appId": str(app.id), "privateKey": app.private_key, **more})


@asynccontextmanager
async def connected(
    url: str,
    secret: HeldSecret,
    time: Time | None = None,
    *,
    timeout_seconds: float = 30.0,
    check: Callable[[], None] = lambda: None,
    denied: Callable[[ForgeDenied], None] = lambda _: None,
    count: Callable[[RequestKind, str], None] = lambda *_: None,
) -> AsyncIterator[GitHubClient]:
    """A client of the GitHub at ``url``, whose writes do not wait for the time of day."""
    time = time or Time()
    async with aiohttp.ClientSession() as session:
        yield GitHubClient(
            session,
            url,
            secret,
            transport=Transport(session, timeout_seconds=timeout_seconds),
            now=time.now,
            clock=time.monotonic,
            sleep=time.sleep,
            check=check,
            denied=denied,
            count=count,
        )
