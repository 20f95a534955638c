"""The proof of readiness: a real request through the public URL."""

from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp

TIMEOUT_SECONDS: Final = 35
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the URL was answered by the model, and if not, what was seen instead."""

    ok: bool
    message: str = ""


class Probe(Protocol):
    """Asks a URL; never raises for what the other side does."""

    async def __call__(self, url: str, token: str | None) -> Answer:
        """Ask ``url`` with ``token`` as bearer token."""
        ...


class HttpProbe:
    """Asks by GET, which the forwarder answers with 200 once the model behind it answers."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(self, url: str, token: str | None) -> Answer:
        """See ``Probe``. Waits at most ``TIMEOUT_SECONDS``, a little longer than an HTTP API does."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._session.get(
                url, headers=headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            ) as response:
                if response.status == _OK:
                    return Answer(ok=True)
                return Answer(ok=False, message=f"the URL answers {response.status} {response.reason}")
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(ok=False, message=f"the URL does not answer: {type(error).__name__}")
