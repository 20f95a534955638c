"""The throttles of HTTP APIs, which the emulator stores and does not apply.

The default settings of a stage apply to each of its routes; settings of single routes are not applied here.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
"""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from aiohttp import web

from eep_platform.aws.limits import Bucket, Limit

_SERVICE: Final = "apigatewayv2"
_STAGE: Final = re.compile(r"/v2/apis/([a-z0-9]+)/stages(?:/|$)")
_LEARNT_FROM: Final = frozenset({"CreateStage", "UpdateStage"})
_MOST_BUCKETS: Final = 10_000
"""Paths without a route have buckets too, of which callers can ask for any number."""


class RouteThrottle:
    """Learns the settings of stages from the answers to calls that set them, and applies them to requests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: dict[str, Limit] = {}
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()

    def learner(self, service: str | None, operation: str | None, raw_path: str) -> Callable[[bytes], bytes] | None:
        """A function that learns from an answer; None for calls that set no stage."""
        found = _STAGE.match(raw_path)
        if service != _SERVICE or operation not in _LEARNT_FROM or found is None:
            return None
        return partial(self._learn, found[1])

    def refusal(self, api_id: str, path: str) -> web.Response | None:
        """API Gateway's answer to a request beyond the limits of its route; None if it may pass."""
        limit = self._limits.get(api_id)
        if limit is None:
            return None
        now = self._clock()
        bucket = self._buckets.get((api_id, path))
        if bucket is None or bucket.limit != limit:
            bucket = self._buckets[api_id, path] = Bucket(limit, now)
        self._buckets.move_to_end((api_id, path))
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if not bucket.has_token(now):
            return web.json_response({"message": "Too Many Requests"}, status=429)
        bucket.take()
        return None

    def _learn(self, api_id: str, body: bytes) -> bytes:
        answer: Mapping[str, Any] = json.loads(body)
        settings = answer.get("defaultRouteSettings") or {}
        rate, burst = settings.get("throttlingRateLimit"), settings.get("throttlingBurstLimit")
        if rate and burst:
            self._limits[api_id] = Limit(service=_SERVICE, rate=rate, burst=burst)
        else:
            self._limits.pop(api_id, None)
        return body
