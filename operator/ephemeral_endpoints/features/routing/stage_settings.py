"""The one writer of each stage of an HTTP API: changes that come together go out as one update.

AWS refuses an update of a stage that has, or would get, settings of a route that does not exist, and does not say what
becomes of two updates at once. So there is one call at a time for each stage; if it is refused, what is left behind of
routes that are gone is deleted, and the changes are tried one by one: one of them must not hold up the others.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple
from weakref import WeakValueDictionary

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import if_there, items
from ephemeral_endpoints.engine.errors import AwsError, Denied, Throttled, Transient, Unauthenticated
from ephemeral_endpoints.features.routing.specs import ThrottleSpec

if TYPE_CHECKING:
    from types_boto3_apigatewayv2 import ApiGatewayV2Client

PAGE: Final = "500"
STAGE: Final = "$default"
EVERY_ROUTE: Final = ""
"""In place of a route's key: the settings that apply to all routes without their own."""

_OF_ALL: Final = (Transient, Throttled, Denied, Unauthenticated)
"""Errors that no change of the update is to blame for."""


class _Change(NamedTuple):
    """What is to become of the settings of a route; without a throttle they are deleted."""

    route_key: str
    throttle: ThrottleSpec | None
    calls: Calls
    done: asyncio.Future[None]


class StageSettings:
    """Changes the settings of stages. All components of an account and region share one."""

    _all: ClassVar[WeakValueDictionary[int, "StageSettings"]] = WeakValueDictionary()
    """By the identity of their clients: a client as the key would be kept for ever, by its own value."""

    def __init__(self, client: "ApiGatewayV2Client") -> None:
        self._client = client
        self._waiting: dict[str, list[_Change]] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}

    @classmethod
    def of(cls, client: "ApiGatewayV2Client") -> "StageSettings":
        """The one of a client, for as long as anybody keeps it."""
        return cls._all.setdefault(id(client), cls(client))

    async def put(self, calls: Calls, api_id: str, route_key: str, throttle: ThrottleSpec) -> None:
        """Have a route, or ``EVERY_ROUTE``, take no more than that. Raises an ``AwsError``."""
        await self._change(calls, api_id, route_key, throttle)

    async def remove(self, calls: Calls, api_id: str, route_key: str) -> None:
        """Delete the settings of a route; succeeds if there are none. Raises an ``AwsError``."""
        await self._change(calls, api_id, route_key, None)

    async def _change(self, calls: Calls, api_id: str, route_key: str, throttle: ThrottleSpec | None) -> None:
        done = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(api_id, []).append(_Change(route_key, throttle, calls, done))
        if api_id not in self._writing:
            self._writing[api_id] = asyncio.create_task(self._write(api_id), name=f"settings of {api_id}")
        await done

    async def _write(self, api_id: str) -> None:
        changes: list[_Change] = []
        try:
            # What is asked for at the same time comes along.
            await asyncio.sleep(0)
            while changes := self._waiting.pop(api_id, []):
                for change in changes:
                    if change.throttle is None:
                        await self._one(change, self._delete(change.calls, api_id, change.route_key))
                await self._update(api_id, [change for change in changes if change.throttle])
        finally:
            del self._writing[api_id]
            for change in (*changes, *self._waiting.pop(api_id, [])):
                if not change.done.done():
                    change.done.cancel()

    async def _update(self, api_id: str, changes: list[_Change]) -> None:
        if not changes:
            return
        try:
            await self._send(api_id, changes)
        except _OF_ALL as error:
            _fail(changes, error)
        except AwsError as error:
            try:
                is_cleared = await self._clear(changes[0].calls, api_id)
            except AwsError:
                is_cleared = False
            if len(changes) == 1 and not is_cleared:
                _fail(changes, error)
                return
            for change in changes:
                await self._one(change, self._send(api_id, [change]))
        else:
            _succeed(changes)

    async def _one(self, change: _Change, work: Any) -> None:
        try:
            await work
        except AwsError as error:
            _fail([change], error)
        else:
            _succeed([change])

    async def _send(self, api_id: str, changes: Iterable[_Change]) -> None:
        settings = {change.route_key: _settings(change.throttle) for change in changes if change.throttle}
        default = settings.pop(EVERY_ROUTE, None)
        arguments: dict[str, Any] = {"RouteSettings": settings} if settings else {}
        if default:
            arguments["DefaultRouteSettings"] = default
        calls = next(change.calls for change in changes)
        await calls(self._client.update_stage, ApiId=api_id, StageName=STAGE, **arguments)

    async def _delete(self, calls: Calls, api_id: str, route_key: str) -> None:
        await if_there(calls(self._client.delete_route_settings, ApiId=api_id, StageName=STAGE, RouteKey=route_key))

    async def _clear(self, calls: Calls, api_id: str) -> bool:
        """Delete the settings of routes that do not exist; whether there were any."""
        stage = await stage_of(calls, self._client, api_id)
        settings = (stage or {}).get("RouteSettings", {})
        if not settings:
            return False
        routes = await items(calls, self._client.get_routes, "Items", ApiId=api_id, MaxResults=PAGE)
        lost = settings.keys() - {route["RouteKey"] for route in routes}
        for route_key in sorted(lost):
            await self._delete(calls, api_id, route_key)
        return bool(lost)


async def stage_of(calls: Calls, client: "ApiGatewayV2Client", api_id: str) -> Any:
    """The stage that serves an API; None without one."""
    stages = await calls(client.get_stages, ApiId=api_id)
    return next((stage for stage in stages["Items"] if stage["StageName"] == STAGE), None)


def throttle_of(settings: Any) -> ThrottleSpec | None:
    """The throttle that settings of a stage or of a route say; None if they leave any of it out."""
    rate, burst = settings.get("ThrottlingRateLimit"), settings.get("ThrottlingBurstLimit")
    return None if rate is None or burst is None else ThrottleSpec(rate, burst)


def _settings(throttle: ThrottleSpec) -> dict[str, Any]:
    # A member that is left out falls back to AWS's default, not to that of the stage.
    return {
        "DetailedMetricsEnabled": False,
        "ThrottlingBurstLimit": throttle.burst,
        "ThrottlingRateLimit": throttle.rate,
    }


def _succeed(changes: Iterable[_Change]) -> None:
    for change in changes:
        if not change.done.done():
            change.done.set_result(None)


def _fail(changes: Iterable[_Change], error: AwsError) -> None:
    for change in changes:
        if not change.done.done():
            change.done.set_exception(error)
