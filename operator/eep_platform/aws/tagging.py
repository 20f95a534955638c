"""The index of the Resource Groups Tagging API over all services of the embedded AWS.

By default it is as current as the services, and the pages of a search are of the moment of its first one. Held, it lags
behind them: of each resource it shows the tags that it showed last, whatever became of it, and it does not know those
that it was never asked about. AWS shows resources that were tagged once without tags, and for some time those that are
gone. How many values a page of GetTagValues has is not documented.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from threading import Lock
from typing import Any, Final
from uuid import uuid4

from aiohttp import web
from microburst.core.context import RequestContext
from pydantic import TypeAdapter, ValidationError

from eep_platform.aws import ministack, tagged
from eep_platform.aws.guard.lookups import Lookups
from eep_platform.aws.known_tags import KnownTags
from eep_platform.aws.wire import Request, error_response
from eep_platform.emulation.errors import ServiceError
from eep_platform.emulation.validation import input_shape, parsed

SERVICE: Final = "resourcegroupstaggingapi"
OPERATIONS: Final = frozenset({"GetResources", "GetTagValues"})
_PAGE: Final = 100
_CREDENTIAL: Final = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/(?P<region>[^/]+)/")
_ARN: Final = re.compile(r"arn:(?P<partition>[^:]+):[^:]+:(?P<region>[^:]*):[^:]*:.+")
_PARTITION: Final = "aws"
_invalid: Final = partial(ServiceError, "InvalidParameterException")
_LOOKUPS_AT_ONCE: Final = 8
_MOST_SEARCHES: Final = 1000
"""Pages whose tokens are kept. AWS keeps a token for 15 minutes
(https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html)."""

_HELD: Final = TypeAdapter(bool)

Tags = Mapping[str, str]


class TagIndex:
    """The index. Thread-safe."""

    def __init__(self, lookups: Callable[[str], Lookups]) -> None:
        """``lookups`` returns the lookups with an access key."""
        self._lookups = lookups
        self._lock = Lock()
        self._shown: dict[str, Tags] = {}
        self._searches = OrderedDict[str, list[Any]]()
        self._known = KnownTags()
        self._is_held = False

    def changing(self, request: Request, ctx: RequestContext) -> AbstractContextManager[None]:
        """The time of a call to a service, which may change what the index shows."""
        return self._known.changing(request, ctx)

    def hold(self, *, is_held: bool) -> None:
        """Stop following the services, or follow them again."""
        self._is_held = is_held

    def reset(self) -> None:
        """Forget everything, and follow the services."""
        with self._lock:
            self._shown.clear()
            self._searches.clear()
            self._is_held = False
        self._known.clear()

    def answer(self, request: Request, ctx: RequestContext) -> web.Response:
        """The answer to a call; blocks for a lookup of each resource."""
        try:
            shape = input_shape(SERVICE, str(ctx.operation))
            asked = parsed(shape, json.loads(request.body or b"{}"), _invalid)
            signed = _CREDENTIAL.search(request.headers.get("Authorization", ""))
            key, region = signed.groups() if signed else (ministack.ACCOUNT, ministack.REGION)
            answer = self._get_resources if ctx.operation == "GetResources" else self._get_tag_values
            found = answer(asked, self._lookups(key), region)
        except ServiceError as error:
            return error_response(ctx, error.code, error.message, error.status)
        return web.Response(body=json.dumps(found), content_type="application/x-amz-json-1.1")

    def _get_resources(self, asked: dict[str, Any], lookups: Lookups, region: str) -> dict[str, Any]:
        wanted: Sequence[str] = asked.pop("ResourceARNList", ())
        if wanted and asked:
            raise _invalid(f"ResourceARNList cannot be combined with {', '.join(sorted(asked))}.")
        if wanted:
            there = [arn for arn in dict.fromkeys(wanted) if _region(arn) == region]
            return _resources(self._shown_of(lookups, there), "")
        types, filters = asked.get("ResourceTypeFilters", ()), asked.get("TagFilters", ())
        size = asked.get("ResourcesPerPage", _PAGE)
        if not 1 <= size <= _PAGE:
            raise _invalid(f"ResourcesPerPage must be between 1 and {_PAGE}.")

        def found() -> list[tuple[str, Tags]]:
            return sorted(
                (arn, tags)
                for arn, tags in self._search(lookups).items()
                if (not types or any(tagged.is_of_type(arn, each) for each in types)) and _matches(tags, filters)
            )

        page, token = self._page(found, asked.get("PaginationToken", ""), size)
        return _resources(dict(page), token)

    def _get_tag_values(self, asked: dict[str, Any], lookups: Lookups, _: str) -> dict[str, Any]:
        def found() -> list[str]:
            return sorted({tags[asked["Key"]] for tags in self._search(lookups).values() if asked["Key"] in tags})

        page, token = self._page(found, asked.get("PaginationToken", ""), _PAGE)
        return {"PaginationToken": token, "TagValues": page}

    def _page(self, find: Callable[[], list[Any]], token: str, size: int) -> tuple[list[Any], str]:
        """A page of what is found, and the token of what follows; empty if nothing does."""
        left = self._searches.get(token) if token else find()
        if left is None:
            raise ServiceError("PaginationTokenExpiredException", "The PaginationToken is not valid, or has expired.")
        if len(left) <= size:
            return left, ""
        following = uuid4().hex
        with self._lock:
            self._searches[following] = left[size:]
            while len(self._searches) > _MOST_SEARCHES:
                self._searches.popitem(last=False)
        return left[:size], following

    def _search(self, lookups: Lookups) -> dict[str, Tags]:
        """All that the index knows."""
        if self._is_held:
            return dict(self._shown)
        return self._shown_of(lookups, list(tagged.arns(lookups)), self._known.get)

    def _shown_of(
        self, lookups: Lookups, arns: Sequence[str], known: Callable[[str], Tags | None] = lambda _: None
    ) -> dict[str, Tags]:
        """What the index shows of them. ``known`` are tags of those that are there."""
        there = {arn: known(arn) for arn in arns}
        unread = [arn for arn, tags in there.items() if tags is None]
        with ThreadPoolExecutor(_LOOKUPS_AT_ONCE) as pool:
            there |= zip(unread, pool.map(partial(self._tags, lookups), unread), strict=True)
        return {arn: tags for arn, tags in there.items() if tags is not None}

    def _tags(self, lookups: Lookups, arn: str) -> Tags | None:
        if self._is_held:
            return self._shown.get(arn)
        state = self._known.state()
        found = lookups.tags(arn)
        self._known.keep(arn, found, state)
        with self._lock:
            if found or arn in self._shown:
                self._shown[arn] = found
            return self._shown.get(arn)


def _resources(shown: Mapping[str, Tags], token: str) -> dict[str, Any]:
    return {
        "PaginationToken": token,
        "ResourceTagMappingList": [
            {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            for arn, tags in shown.items()
        ],
    }


def _matches(tags: Tags, filters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there is each of the tags, with one of its values if any are given."""
    return all(
        each["Key"] in tags and (not each.get("Values") or tags[each["Key"]] in each["Values"]) for each in filters
    )


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
