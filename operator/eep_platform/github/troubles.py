"""Failures on purpose, chosen by the settings."""

import asyncio
from collections import Counter
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Final

from aiohttp import web

from eep_platform.github.errors import GitHubError, primary_limit, secondary_limit
from eep_platform.github.limits import Quota
from eep_platform.github.responses import error_response, used_up_response
from eep_platform.github.settings import GitHubSettings, Trouble

_PAGE: Final = (
    "<!DOCTYPE html><html><head><title>Unicorn!</title></head>"
    "<body><p>No server is currently available to service your request.</p></body></html>"
)
_HOUR_SECONDS: Final = 3600
_MESSAGES: Final = {
    403: "Forbidden",
    404: "Not Found",
    500: "Server Error",
    502: "Server Error",
    503: "Service Unavailable",
    504: "We couldn't respond to your request in time. Sorry about that. Please try resubmitting your request.",
}


class Troubles:
    """Decides what happens to a request; the first trouble in the settings that chooses it counts."""

    def __init__(self, settings: GitHubSettings) -> None:
        self._settings = settings
        self._seen: Counter[Trouble] = Counter()

    def choose(self, operation: str, repository: str) -> Trouble | None:
        """The trouble of a request, which is counted for it."""
        for trouble in self._settings.now.troubles:
            if not (fnmatchcase(operation, trouble.operation) and fnmatchcase(repository, trouble.repository)):
                continue
            seen = self._seen[trouble]
            if trouble.times is not None and seen >= trouble.skip + trouble.times:
                continue
            self._seen[trouble] += 1
            if seen >= trouble.skip:
                return trouble
        return None

    async def wait(self, trouble: Trouble) -> None:
        """Wait as long as the trouble makes its request wait."""
        if trouble.held:
            await self._settings.until(lambda: trouble not in self._settings.now.troubles)
        if trouble.delay_seconds:
            await asyncio.sleep(trouble.delay_seconds)

    def answer(self, operation: str, trouble: Trouble) -> web.Response | None:
        """What is answered instead; None if the request passes."""
        if trouble.effect == "html":
            return web.Response(text=_PAGE, content_type="text/html")
        if trouble.effect == "empty":
            return web.Response(body=b"", content_type="application/json")
        if trouble.effect == "error":
            return error_response(GitHubError(trouble.status, _MESSAGES.get(trouble.status, "Error")))
        if trouble.effect == "secondary_limit":
            return error_response(secondary_limit(trouble.retry_after))
        return self._used_up(operation, trouble) if trouble.effect == "primary_limit" else None

    def _used_up(self, operation: str, trouble: Trouble) -> web.Response:
        """The refusal by the primary limit, which names no seconds but when the next hour begins."""
        seconds = _HOUR_SECONDS if trouble.retry_after is None else trouble.retry_after
        quota = Quota(1, 1, self._settings.clock() + timedelta(seconds=seconds))
        resource = "graphql" if operation == "graphql" else "core"
        response = used_up_response(primary_limit("this user"), resource)
        response.headers.update(quota.headers(resource))
        return response

    def forget(self) -> None:
        """Count anew."""
        self._seen.clear()
