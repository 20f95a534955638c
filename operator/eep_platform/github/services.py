"""What every request needs, and what happens to it whatever it asks for."""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import format_datetime

from aiohttp import web

from eep_platform.aws.relay import cut
from eep_platform.github.access import Caller
from eep_platform.github.credentials import authenticate
from eep_platform.github.errors import GitHubError
from eep_platform.github.ledger import Entry, Ledger
from eep_platform.github.limits import Limiter, Quota
from eep_platform.github.responses import check_headers, error_response
from eep_platform.github.settings import GitHubSettings
from eep_platform.github.store import Store
from eep_platform.github.troubles import Troubles

Respond = Callable[[Caller, bytes], web.Response]
"""Answers the body of a request of somebody; raises GitHubError."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the service that no operation is without."""

    store: Store
    settings: GitHubSettings
    limiter: Limiter
    ledger: Ledger
    troubles: Troubles

    async def exchange(
        self, request: web.Request, operation: str, repository: str, respond: Respond
    ) -> web.StreamResponse:
        """Answer a request, unless a trouble does, and record it."""
        shown = repository or None
        entry = self.ledger.record(
            Entry(self.settings.clock(), operation, request.method, request.path_qs, shown, login=None)
        )
        body = await request.read()
        caller, refusal = self._identified(request)
        entry.login = caller.user.login if caller.user else None
        try:
            with self.limiter.running(caller):
                response = await self._troubled(operation, repository, lambda: refusal or respond(caller, body))
        except GitHubError as error:
            response = error_response(error)
        if response is None:
            return cut(request)
        entry.status = response.status
        response.headers["Date"] = format_datetime(self.settings.clock(), usegmt=True)
        return response

    def quota(self, caller: Caller, resource: str) -> Quota:
        """The caller's quota."""
        count = 0
        if caller.token and (installation := caller.token.installation):
            ids = installation.repositories
            count = len(self.store.repositories if ids is None else ids)
        return self.limiter.quota(caller, resource, count)

    def _identified(self, request: web.Request) -> tuple[Caller, web.Response | None]:
        """Who makes a request, and the refusal if it cannot be known."""
        try:
            check_headers(request)
            return authenticate(self.store, request), None
        except GitHubError as error:
            return Caller(), error_response(error)

    async def _troubled(
        self, operation: str, repository: str, respond: Callable[[], web.Response]
    ) -> web.Response | None:
        """The answer, or that of a trouble; None if the connection is to end without one."""
        trouble = self.troubles.choose(operation, repository)
        if trouble is None:
            return respond()
        await self.troubles.wait(trouble)
        if trouble.effect == "reset":
            return None
        response = self.troubles.answer(operation, trouble) or respond()
        return None if trouble.effect == "answer_lost" else response
