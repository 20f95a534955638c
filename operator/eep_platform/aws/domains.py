"""Custom domains of API Gateway: which API a request gets to, by its Host.

There is neither DNS nor TLS here: whoever calls a domain sends its name as Host to the front.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from aiohttp import web

from eep_platform.aws import ministack
from eep_platform.aws.guard.lookups import Lookups

_OWN: Final = frozenset({"127.0.0.1", "localhost", ""})


class Target(NamedTuple):
    """The API that a request gets to, and its path there."""

    api_id: str
    path: str


def domain_of(request: web.Request) -> str | None:
    """The domain that a request may be for; None for the front itself, and for calls of AWS."""
    name = request.headers.get("Host", "").partition(":")[0].lower()
    is_call = "Credential=" in request.headers.get("Authorization", "") or "X-Amz-Credential" in request.query
    return None if name in _OWN or is_call else name


def target(mappings: Iterable[Any], path: str) -> Target | None:
    """What the longest key leads to that the path begins with: keys are compared as strings, not by segments."""
    asked = path.removeprefix("/")
    taking = [each for each in mappings if asked.startswith(each.get("ApiMappingKey", ""))]
    if not taking:
        return None
    found = max(taking, key=lambda each: len(each.get("ApiMappingKey", "")))
    rest = asked.removeprefix(found.get("ApiMappingKey", "")).removeprefix("/")
    return Target(found["ApiId"], f"/{rest}")


class DomainTable:
    """Asks the emulator what the paths of a domain lead to."""

    def __init__(self, lookups: Callable[[str], Lookups]) -> None:
        self._lookups = lookups

    async def mappings(self, domain: str) -> list[Any] | None:
        """The mappings of a domain; None if there is no such domain."""
        return await asyncio.to_thread(self._ask, domain)

    def _ask(self, domain: str) -> list[Any] | None:
        client = self._lookups(ministack.ACCOUNT).client("apigatewayv2")
        try:
            return list(client.get_api_mappings(DomainName=domain, MaxResults="500")["Items"])
        except client.exceptions.NotFoundException:
            return None
