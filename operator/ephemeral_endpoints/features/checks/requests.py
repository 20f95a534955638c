"""Requests to a model through its public URL, and its answers, bounded in size and time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from ephemeral_endpoints.features.routing.forwarder.messages import PURPOSE_HEADER

MAX_ANSWER_BYTES: Final = 6 * 1024 * 1024
"""A Lambda function, and so the forwarder, answers with no more."""

_CHUNK: Final = 64 * 1024
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request to a model."""

    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """An answer: ``status`` is None if there was none, and ``error`` says why. ``seconds`` is how long it took.

    ``body`` is its beginning if ``is_truncated``. ``retry_after`` is in how many seconds the other side asks to be
    tried again; ``is_timeout`` whether there was no answer in time.
    """

    status: int | None
    seconds: float
    body: bytes = b""
    content_type: str = ""
    variant: str = ""
    is_truncated: bool = False
    error: str = ""
    retry_after: float | None = None
    is_timeout: bool = False

    @property
    def is_ok(self) -> bool:
        """Whether the model answered with a status of 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, section 15


class ModelClient:
    """Sends requests. ``clock`` is monotonic seconds. ``purpose`` is told by a header: they are no use of the model.

    With ``reads_all`` also what is not kept of an answer is read, so that its time is that of the whole answer.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        clock: Callable[[], float],
        purpose: str | None = None,
        *,
        reads_all: bool = False,
    ) -> None:
        self._session = session
        self._clock = clock
        self._headers = {PURPOSE_HEADER: purpose} if purpose else {}
        self._reads_all = reads_all

    async def send(
        self,
        url: str,
        token: str | None,
        request: ModelRequest,
        *,
        timeout_seconds: float,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> ModelAnswer:
        """Send one request with ``token`` as bearer token, and wait for the answer; never raises for the other side.

        ``most_bytes`` of the answer are kept. Redirects are not followed: the token is for this URL only.
        """
        headers = {"Content-Type": request.content_type, **self._headers}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        began = self._clock()
        try:
            async with (
                asyncio.timeout(timeout_seconds),
                self._session.post(url, data=request.body, headers=headers, allow_redirects=False) as response,
            ):
                body, is_truncated = await _beginning(response.content, most_bytes, reads_all=self._reads_all)
                return ModelAnswer(
                    response.status,
                    self._clock() - began,
                    body,
                    response.headers.get("Content-Type", ""),
                    response.headers.get("eep-variant", ""),
                    is_truncated,
                    retry_after=_seconds(response.headers.get("Retry-After", "")),
                )
        except TimeoutError:
            error = f"no answer within {timeout_seconds:.3g} s"
            return ModelAnswer(None, self._clock() - began, error=error, is_timeout=True)
        except aiohttp.ClientError as failure:
            return ModelAnswer(None, self._clock() - began, error=f"the URL does not answer: {type(failure).__name__}")


async def _beginning(content: aiohttp.StreamReader, most: int, *, reads_all: bool) -> tuple[bytes, bool]:
    """At most so many bytes, and whether there are more."""
    parts, size = [], 0
    async for chunk in content.iter_chunked(_CHUNK):
        if size <= most:
            parts.append(chunk)
        size += len(chunk)
        if size > most and not reads_all:
            break
    return b"".join(parts)[:most], size > most


def _seconds(text: str) -> float | None:
    """The value of Retry-After (RFC 9110, section 10.2.3), if it is a number of seconds."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None
