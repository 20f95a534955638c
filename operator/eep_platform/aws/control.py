"""The meter's control API below `/_meter/`; like everything here on loopback and without authentication."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from eep_platform.aws.faults import Fault
from eep_platform.aws.ledger import Outcome
from eep_platform.aws.limits import Limit, documented
from eep_platform.aws.meter import Meter

PREFIX = "/_meter"

_FAULTS = TypeAdapter(list[Fault])
_LIMITS = TypeAdapter(list[Limit])
Model = TypeVar("Model", bound=BaseModel)


def routes(meter: Meter) -> list[web.RouteDef]:
    """The routes of the API; they answer 400 with the reason for an invalid request."""
    handlers = _Handlers(meter)
    return [
        web.get(f"{PREFIX}/health", handlers.health),
        web.get(f"{PREFIX}/calls", handlers.calls),
        web.get(f"{PREFIX}/log", handlers.log),
        web.post(f"{PREFIX}/reset", handlers.reset),
        web.get(f"{PREFIX}/limits", handlers.limits),
        web.put(f"{PREFIX}/limits", handlers.set_limits),
        web.get(f"{PREFIX}/limits/documented", handlers.documented),
        web.put(f"{PREFIX}/limits/documented", handlers.set_documented),
        web.get(f"{PREFIX}/faults", handlers.faults),
        web.post(f"{PREFIX}/faults", handlers.add_faults),
        web.delete(f"{PREFIX}/faults", handlers.clear_faults),
    ]


class _Handlers:
    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def calls(self, request: web.Request) -> web.Response:
        """Answer counts by service and operation; `?outcome=` (repeatable) restricts them."""
        try:
            outcomes = [Outcome(value) for value in request.query.getall("outcome", [])]
        except ValueError as error:
            raise _bad_request(f"{error}: use {', '.join(Outcome)}") from error
        return web.json_response(self._meter.ledger.counts(outcomes or Outcome))

    async def log(self, request: web.Request) -> web.Response:
        """Answer the latest calls, oldest first; `?last=` limits their number."""
        last = request.query.get("last")
        if last is not None and not last.isdecimal():
            raise _bad_request("last must be a number of calls")
        calls = self._meter.ledger.latest(None if last is None else int(last))
        return web.json_response([{**asdict(call), "time": call.time.isoformat()} for call in calls])

    async def reset(self, _: web.Request) -> web.Response:
        """Delete counts and log, and lift limits and faults."""
        self._meter.ledger.reset()
        self._meter.throttle.set([])
        self._meter.faults.clear()
        return web.json_response({})

    async def limits(self, _: web.Request) -> web.Response:
        return _json(self._meter.throttle.limits)

    async def set_limits(self, request: web.Request) -> web.Response:
        self._meter.throttle.set(await _parsed(request, _LIMITS))
        return await self.limits(request)

    async def documented(self, _: web.Request) -> web.Response:
        return _json(documented())

    async def set_documented(self, request: web.Request) -> web.Response:
        self._meter.throttle.set(documented())
        return await self.limits(request)

    async def faults(self, _: web.Request) -> web.Response:
        return _json(self._meter.faults.fired())

    async def add_faults(self, request: web.Request) -> web.Response:
        self._meter.faults.add(await _parsed(request, _FAULTS))
        return await self.faults(request)

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Answer the faults as they were: one may fire after whoever clears them has looked last.

        `?fired=true` leaves those that have not fired: no call passes in between, as it could if they were added again.
        """
        before = self._meter.faults.fired()
        self._meter.faults.clear(only_fired=request.query.get("fired") == "true")
        return _json(before)


def _json(models: Sequence[BaseModel]) -> web.Response:
    return web.json_response([model.model_dump(mode="json") for model in models])


async def _parsed(request: web.Request, adapter: TypeAdapter[list[Model]]) -> list[Model]:
    try:
        return adapter.validate_json(await request.read())
    except ValidationError as error:
        problems: list[Any] = error.errors(include_url=False, include_context=False, include_input=False)
        raise _bad_request(problems) from error


def _bad_request(problem: object) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": problem}), content_type="application/json")
