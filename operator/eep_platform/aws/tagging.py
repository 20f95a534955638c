"""The index of the Resource Groups Tagging API over all services of the embedded AWS: GetResources by ARNs.

By default it is as current as the services. Held, it lags behind them: of each resource it shows the tags that it
showed last, whatever became of it, and it does not know those that it was never asked about. AWS shows resources that
were tagged once without tags, and for some time those that are gone. Requests by filters, with pages, are refused.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any, Final

from aiohttp import web
from microburst.core.context import RequestContext
from pydantic import TypeAdapter, ValidationError

from eep_platform.aws import ministack
from eep_platform.aws.guard.lookups import Lookups
from eep_platform.aws.wire import Request, error_response
from eep_platform.emulation.errors import ServiceError
from eep_platform.emulation.validation import input_shape, parsed

SERVICE: Final = "resourcegroupstaggingapi"
OPERATION: Final = "GetResources"
_CREDENTIAL: Final = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/(?P<region>[^/]+)/")
_ARN: Final = re.compile(r"arn:(?P<partition>[^:]+):[^:]+:(?P<region>[^:]*):[^:]*:.+")
_PARTITION: Final = "aws"
_invalid: Final = partial(ServiceError, "InvalidParameterException")
_LOOKUPS_AT_ONCE: Final = 8
_HELD: Final = TypeAdapter(bool)

Tags = Mapping[str, str]


class TagIndex:
    """The index. Thread-safe."""

    def __init__(self, lookups: Callable[[str], Lookups]) -> None:
        """``lookups`` returns the lookups with an access key."""
        self._lookups = lookups
        self._lock = Lock()
        self._shown: dict[str, Tags] = {}
        self._is_held = False

    def hold(self, *, is_held: bool) -> None:
        """Stop following the services, or follow them again."""
        self._is_held = is_held

    def reset(self) -> None:
        """Forget everything, and follow the services."""
        with self._lock:
            self._shown.clear()
            self._is_held = False

    def answer(self, request: Request, ctx: RequestContext) -> web.Response:
        """The answer to a call; blocks for a lookup of each resource."""
        try:
            found = self._get_resources(request)
        except ServiceError as error:
            return error_response(ctx, error.code, error.message, error.status)
        return web.Response(body=json.dumps(found), content_type="application/x-amz-json-1.1")

    def _get_resources(self, request: Request) -> dict[str, Any]:
        asked = parsed(input_shape(SERVICE, OPERATION), json.loads(request.body or b"{}"), _invalid)
        arns: Sequence[str] = asked.pop("ResourceARNList", ())
        if not arns:
            raise _invalid("The embedded AWS serves GetResources with a ResourceARNList only.")
        if asked:
            raise _invalid(f"ResourceARNList cannot be combined with {', '.join(sorted(asked))}.")
        signed = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        key, region = signed.groups() if signed else (ministack.ACCOUNT, ministack.REGION)
        lookups = self._lookups(key)
        there = [arn for arn in dict.fromkeys(arns) if _region(arn) == region]
        with ThreadPoolExecutor(_LOOKUPS_AT_ONCE) as pool:
            shown = dict(zip(there, pool.map(partial(self._tags, lookups), there), strict=True))
        return {
            "PaginationToken": "",
            "ResourceTagMappingList": [
                {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
                for arn, tags in shown.items()
                if tags is not None
            ],
        }

    def _tags(self, lookups: Lookups, arn: str) -> Tags | None:
        if self._is_held:
            return self._shown.get(arn)
        found = lookups.tags(arn)
        with self._lock:
            if found or arn in self._shown:
                self._shown[arn] = found
            return self._shown.get(arn)


def _region(arn: str) -> str:
    found = _ARN.fullmatch(arn)
    if found is None or found["partition"] != _PARTITION:
        raise _invalid(f"{arn} is not a valid AmazonResourceName (ARN)")
    return found["region"]


def routes(index: TagIndex, prefix: str) -> list[web.RouteDef]:
    """Control: whether the index lags, and how it is emptied; see ``aws.control``."""

    async def hold(request: web.Request) -> web.Response:
        try:
            index.hold(is_held=_HELD.validate_json(await request.read()))
        except ValidationError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response({})

    async def reset(_: web.Request) -> web.Response:
        index.reset()
        return web.json_response({})

    return [web.put(f"{prefix}/tag-index", hold), web.delete(f"{prefix}/tag-index", reset)]
