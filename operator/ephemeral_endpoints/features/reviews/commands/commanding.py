"""Reads the comments on pull requests, for the commands in them.

Comments are polled, for each repository by one conditional request, and at once after a webhook. What was handled is
known from what an object is by then, from the comments' ids, and after a restart from the reactions: a comment that is
read twice does nothing twice. What somebody without rights writes costs a bounded number of requests and answers.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.backoff import delay, poll_delay
from ephemeral_endpoints.features.reviews.commands.authority import Later
from ephemeral_endpoints.features.reviews.commands.handling import CommandHandler, allowed_commands
from ephemeral_endpoints.features.reviews.errors import ForgeError, ForgeLimited
from ephemeral_endpoints.features.reviews.forge import COMMENTS, Comment, Discussion
from ephemeral_endpoints.features.reviews.policy import grants
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.errors import KubernetesError

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 60.0
"""How often a repository is looked at without webhooks."""

PACE_SECONDS: Final = 30.0
"""The time for each repository where there are several: at rest there are two requests a minute in all. One that cannot
be read takes none of it, so that repositories that do not exist slow down no others."""

SOON_SECONDS: Final = 5.0
"""At least between two looks at one repository, however many webhooks arrive."""

LOOKBACK: Final = timedelta(hours=1)
"""The age of the oldest command that a process carries out which did not run when it was given."""

SETTLED: Final = timedelta(minutes=5)
"""By how much the clocks of the forge and of the cluster may differ."""


@dataclass(slots=True)
class _Feed:
    """The comments in one repository, for one class. ``began`` and ``since`` are times of day, the others monotonic."""

    began: datetime
    since: datetime
    due_at: float
    looked_at: float = -inf
    failures: int = 0
    handled: set[int] = field(default_factory=set)


class Commanding:
    """The commands of all classes that allow some.

    ``forge_of`` gives the forge of a class, None if it has none; ``takes`` says whether a namespace is this shard's.
    ``now`` is the time of day in UTC, ``clock`` monotonic seconds.
    """

    def __init__(  # noqa: PLR0913 - both edges, what is allowed, and two clocks
        self,
        forge_of: Callable[[EphemeralEndpointClass], Discussion | None],
        handler: CommandHandler,
        store: Store,
        *,
        takes: Callable[[str | None], bool],
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._forge_of = forge_of
        self._handler = handler
        self._store = store
        self._takes = takes
        self._now = now
        self._clock = clock
        self._feeds: dict[tuple[str, str], _Feed] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._news.clear()
            pause = await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), pause)

    def wake(self, repository: str) -> None:
        """Look at the comments of a repository soon: there is news. Returns at once."""
        for (_, name), feed in self._feeds.items():
            if name == repository.lower() and feed.failures == 0:
                feed.due_at = min(feed.due_at, feed.looked_at + SOON_SECONDS)
                self._news.set()

    async def look(self) -> float:
        """Look at the comments of the repository that is due, if one is; returns in how many seconds one is again."""
        self._follow()
        if self._feeds:
            (class_name, repository), feed = min(self._feeds.items(), key=lambda each: each[1].due_at)
            if feed.due_at <= self._clock():
                feed.looked_at, feed.due_at = self._clock(), inf
                pause = await self._look(class_name, repository, feed)
                feed.due_at = min(feed.due_at, feed.looked_at + pause)  # a webhook may have come meanwhile
        dues = [feed.due_at - self._clock() for feed in self._feeds.values()]
        return max(0.0, min([PACE_SECONDS, *dues]))

    def _follow(self) -> None:
        """Have a feed for each repository of an object, and no other."""
        oldest: dict[tuple[str, str], datetime] = {}
        for endpoint_class in self._store.classes():
            for _, endpoint in self._objects(endpoint_class):
                key, created_at = (endpoint_class.metadata.name, _repository(endpoint)), _born(endpoint)
                oldest[key] = min(created_at, oldest.get(key, created_at))
        for key in self._feeds.keys() - oldest.keys():
            del self._feeds[key]
        now = self._now()
        for key in sorted(oldest.keys() - self._feeds.keys()):
            self._feeds[key] = _Feed(now, max(oldest[key], now - LOOKBACK), self._clock())

    def _objects(self, endpoint_class: EphemeralEndpointClass) -> Iterator[tuple[ObjectKey, EphemeralEndpoint]]:
        """The objects of a class for which commands may be given."""
        if not allowed_commands(endpoint_class) or not self._forge_of(endpoint_class):
            return
        for key, endpoint in self._store.of_class(endpoint_class.metadata.name):
            source = endpoint.spec.source
            is_granted = grants(endpoint_class, key.namespace or "", source.repository)
            if source.pull_request is not None and self._takes(key.namespace) and is_granted:
                yield key, endpoint

    async def _look(self, class_name: str, repository: str, feed: _Feed) -> float:
        """Handle what is new; returns in how many seconds to look again, also for what cannot be handled now."""
        pause = max(POLL_SECONDS, PACE_SECONDS * sum(not each.failures for each in self._feeds.values()))
        endpoint_class = self._store.named_class(class_name)
        forge = self._forge_of(endpoint_class) if endpoint_class else None
        if endpoint_class is None or forge is None:
            return pause
        try:
            is_more = await self._read(endpoint_class, forge, repository, feed)
        except Later as later:
            return max(SOON_SECONDS, later.seconds)
        except (ForgeError, KubernetesError) as error:
            feed.failures += 1
            seconds = _pause_after(error, feed.failures)
            extra = {"class": class_name, "repository": repository, "error": str(error), "seconds": round(seconds)}
            logger.warning("commands by comment cannot be handled now; the operator tries again", extra=extra)
            return seconds
        feed.failures = 0
        return SOON_SECONDS if is_more else pause

    async def _read(
        self, endpoint_class: EphemeralEndpointClass, forge: Discussion, repository: str, feed: _Feed
    ) -> bool:
        """Handle the comments since the last one; returns whether there may be more.

        Where one has to wait, those about objects of other namespaces do not. Raises Later for it.
        """
        found, later = await forge.comments(repository, feed.since), None
        feed.handled &= {comment.id for comment in found}
        news = [comment for comment in found if comment.id not in feed.handled]
        objects = [each for each in self._objects(endpoint_class) if _repository(each[1]) == repository]
        for comment in news:
            keys, is_old = _targets(objects, comment), comment.created_at <= feed.began + SETTLED
            try:
                await self._handler.handle(forge, comment, endpoint_class, keys, is_old=is_old)
            except Later as error:
                later = later or error
                continue
            feed.handled.add(comment.id)
            if later is None:
                feed.since = max(feed.since, comment.updated_at)
        if later:
            raise later
        is_full = len(found) >= COMMENTS
        if is_full and not news:
            feed.since += timedelta(seconds=1)  # so many within one second are behind it
        return is_full


def _targets(objects: Iterable[tuple[ObjectKey, EphemeralEndpoint]], comment: Comment) -> list[ObjectKey]:
    """The objects that a comment is about: those of its pull request that existed when it was written."""
    number = comment.pull_request.number
    return [
        key
        for key, endpoint in objects
        if endpoint.spec.source.pull_request == number and _born(endpoint) <= comment.created_at
    ]


def _repository(endpoint: EphemeralEndpoint) -> str:
    """The repository of an object. Forges take no notice of case, in which objects may write it a thousand times."""
    return endpoint.spec.source.repository.lower()


def _born(endpoint: EphemeralEndpoint) -> datetime:
    created_at = endpoint.metadata.creation_timestamp
    if created_at is None:
        raise ValueError("the API server sets creationTimestamp on every object")
    return created_at


def _pause_after(error: ForgeError | KubernetesError, failures: int) -> float:
    if isinstance(error, ForgeLimited):
        return max(SOON_SECONDS, error.retry_after)
    if isinstance(error, ForgeError):
        return max(POLL_SECONDS, delay(error, failures))
    return poll_delay(failures, first=SOON_SECONDS, longest=POLL_SECONDS)
