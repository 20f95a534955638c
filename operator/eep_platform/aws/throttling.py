"""The throttles of HTTP APIs, which the emulator stores and does not apply.

The default settings of a stage apply to each of its routes, with all paths that a route takes. Settings of a route take
their place as a whole: what they leave out is not limited, but for the account's limits.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
"""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web

from eep_platform.aws.limits import Bucket, Limit

_SERVICE: Final = "apigatewayv2"
_STAGE: Final = re.compile(r"/v2/apis/([a-z0-9]+)/stages(?:/|$)")
_ROUTE: Final = re.compile(r"/v2/apis/([a-z0-9]+)/routes(?:/|$)")
_SETTINGS: Final = re.compile(r"/v2/apis/([a-z0-9]+)/stages/[^/]+/routesettings/([^/]+)/?")
_GREEDY: Final = "/{proxy+}"
_MOST_BUCKETS: Final = 10_000
"""Paths without a route have buckets too, of which callers can ask for any number."""


class RouteThrottle:
    """Learns stages and routes from the answers to calls that set them, and applies the limits to requests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: dict[str, Limit | None] = {}
        self._of_routes: dict[str, dict[str, Limit | None]] = {}
        self._routes: dict[str, set[str]] = {}
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()

    def learner(self, service: str | None, operation: str | None, raw_path: str) -> Callable[[bytes], bytes] | None:
        """A function that learns from an answer; None for calls that set neither a stage nor a route."""
        if service != _SERVICE:
            return None
        match operation:
            case "CreateStage" | "UpdateStage" if found := _STAGE.match(raw_path):
                return partial(self._learn, found[1])
            case "CreateRoute" | "UpdateRoute" if found := _ROUTE.match(raw_path):
                return partial(self._learn_route, found[1])
            case "DeleteRouteSettings" if found := _SETTINGS.fullmatch(raw_path):
                return partial(self._forget, found[1], unquote(found[2]))
        return None

    def refusal(self, api_id: str, method: str, path: str) -> web.Response | None:
        """API Gateway's answer to a request beyond the limits of its route; None if it may pass."""
        route = self._route_of(api_id, method, path)
        of_routes = self._of_routes.get(api_id, {})
        limit = of_routes[route] if route in of_routes else self._limits.get(api_id)
        if limit is None:
            return None
        now = self._clock()
        bucket = self._buckets.get((api_id, route))
        if bucket is None or bucket.limit != limit:
            bucket = self._buckets[api_id, route] = Bucket(limit, now)
        self._buckets.move_to_end((api_id, route))
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if not bucket.has_token(now):
            return web.json_response({"message": "Too Many Requests"}, status=429)
        bucket.take()
        return None

    def _route_of(self, api_id: str, method: str, path: str) -> str:
        """The key of the route that takes a request: a full match, else the longest greedy one; else the path itself.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
        """
        segments, known = path.split("/"), self._routes.get(api_id, set())
        above = ("/".join(segments[:length]) for length in range(len(segments) - 1, 1, -1))
        patterns = (path, *(f"{each}{_GREEDY}" for each in above))
        keys = (f"{verb} {pattern}" for pattern in patterns for verb in (method, "ANY"))
        return next((key for key in keys if key in known), path)

    def _learn_route(self, api_id: str, body: bytes) -> bytes:
        self._routes.setdefault(api_id, set()).add(str(json.loads(body)["routeKey"]))
        return body

    def _learn(self, api_id: str, body: bytes) -> bytes:
        answer: Mapping[str, Any] = json.loads(body)
        self._limits[api_id] = _limit(answer.get("defaultRouteSettings") or {})
        self._of_routes[api_id] = {key: _limit(each) for key, each in (answer.get("routeSettings") or {}).items()}
        return body

    def _forget(self, api_id: str, route_key: str, body: bytes) -> bytes:
        self._of_routes.get(api_id, {}).pop(route_key, None)
        return body


def _limit(settings: Mapping[str, Any]) -> Limit | None:
    rate, burst = settings.get("throttlingRateLimit"), settings.get("throttlingBurstLimit")
    return Limit(service=_SERVICE, rate=rate, burst=burst) if rate and burst else None
