"""The tags that the index has read, for as long as no call can have changed them.

The index searches thousands of resources for each page, and reads the tags of one by one call. Every call of clients
passes the front: what a changing call names is read again.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Final
from urllib.parse import unquote

from microburst.core.context import RequestContext

from eep_platform.aws.wire import Request

_READING: Final = re.compile(r"(?:Get|List|Describe|Batch(?:Get|Check)|Invoke|PutMetricData|PutLogEvents)")
"""The beginnings of operations that change no tags, and neither make nor delete anything that has some."""

_WORD: Final = re.compile(r"[\w.$-]+")
_LAST_WORD: Final = re.compile(r"[\w.$-]+$")
_OF_OTHERS: Final = frozenset({None, "cloudformation", "resourcegroupstaggingapi"})
"""Services that change what is of others, which their calls do not name; None is one that is not known."""

Tags = Mapping[str, str]


class KnownTags:
    """The tags by ARN. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tags: dict[str, Tags] = {}
        self._by_name: dict[str, set[str]] = {}
        self._changes = 0
        self._under_way = 0

    def state(self) -> int | None:
        """What to hand to ``keep`` with tags that are read from now on; None while a call may change some."""
        with self._lock:
            return None if self._under_way else self._changes

    def get(self, arn: str) -> Tags | None:
        """The tags of a resource that is there; None if they have to be read."""
        with self._lock:
            return self._tags.get(arn)

    def keep(self, arn: str, tags: Tags, state: int | None) -> None:
        """Keep tags that were read, unless anything was changed meanwhile.

        A resource without tags may be one that has just gone, or that a service is about to make again.
        """
        with self._lock:
            if tags and state is not None and state == self._changes:
                self._tags[arn] = tags
                self._by_name.setdefault(_name(arn), set()).add(arn)

    @contextmanager
    def changing(self, request: Request, ctx: RequestContext) -> Iterator[None]:
        """The time of a call, which may change what it names."""
        if ctx.operation and ctx.service not in _OF_OTHERS and _READING.match(ctx.operation):
            yield
            return
        with self._lock:
            self._changes += 1
            self._under_way += 1
            self._forget(_words(request) if ctx.service not in _OF_OTHERS else None)
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._changes += 1
            self._forget(None)

    def _forget(self, names: frozenset[str] | None) -> None:
        for name in list(self._by_name) if names is None else self._by_name.keys() & names:
            for arn in self._by_name.pop(name):
                self._tags.pop(arn, None)


def _name(arn: str) -> str:
    found = _LAST_WORD.search(arn)
    return found.group() if found else ""


def _words(request: Request) -> frozenset[str] | None:
    """All that the request may name; None if it cannot be read."""
    if request.body is None and request.headers.get("Content-Length", "0") != "0":
        return None
    try:
        body = (request.body or b"").decode()
    except UnicodeDecodeError:
        return None
    text = " ".join((request.path, *request.query.values(), body))
    return frozenset(_WORD.findall(unquote(text)))
