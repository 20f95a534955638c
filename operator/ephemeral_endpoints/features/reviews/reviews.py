"""Everything that an operator does on pull requests, put together: forges, states, publishing, commands, webhooks."""

from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import aiohttp

from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.features.reviews.commands.commanding import Commanding
from ephemeral_endpoints.features.reviews.commands.execution import Execution
from ephemeral_endpoints.features.reviews.commands.handling import CommandHandler
from ephemeral_endpoints.features.reviews.connections import Connect, Connections, connect
from ephemeral_endpoints.features.reviews.publishing.publisher import Publisher
from ephemeral_endpoints.features.reviews.publishing.step import PublicationStep
from ephemeral_endpoints.features.reviews.pull_requests.poller import PullRequests
from ephemeral_endpoints.features.reviews.pull_requests.step import PullRequestStep
from ephemeral_endpoints.features.reviews.secret import ClassSecret
from ephemeral_endpoints.features.reviews.webhooks.deliveries import News
from ephemeral_endpoints.features.reviews.webhooks.server import Webhooks
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.secrets import OwnSecrets


class Enqueue(Protocol):
    """Has an object reconciled; ``trigger`` tells the log why."""

    def __call__(self, key: ObjectKey, trigger: str) -> None:
        """See the class. Does not wait."""
        ...


@dataclass(frozen=True, slots=True)
class ReviewDeps:
    """What reviews need of the operator.

    ``subjects`` are this shard's objects as they are known, ``objects`` lists all objects afresh. ``failures`` are the
    reasons that somebody has to act on, and ``share`` is the part of a class's pull requests that may close at once.
    ``check`` is called before each request that could change something, ``counted`` after each to a forge (see
    ``Connections``); ``now`` is the time of day in UTC, ``counted_at`` that of conditions, ``clock`` monotonic seconds.
    ``connect`` connects to a forge.
    """

    cluster_id: str
    session: aiohttp.ClientSession
    kube: Kube
    store: Store
    secrets: OwnSecrets
    shard: Shard
    subjects: Callable[[], Iterable[tuple[ObjectKey, Subject]]]
    objects: Callable[[], AsyncIterator[Mapping[str, Any]]]
    enqueue: Enqueue
    failures: Collection[str]
    share: float
    check: Callable[[], None]
    counted: Callable[[str, str, str, str], None]
    now: Callable[[], datetime]
    counted_at: Callable[[], datetime]
    clock: Callable[[], float]
    connect: Connect = connect


class Reviews:
    """The parts, for the operator to drive: the steps of objects, a condition of classes, a listener, and tasks."""

    def __init__(self, deps: ReviewDeps) -> None:
        now, clock, self._store = deps.now, deps.clock, deps.store
        self.connections = Connections(
            deps.session,
            deps.secrets,
            enqueue=partial(deps.enqueue, trigger="ForgeAnswered"),
            count=deps.shard.count,
            check=deps.check,
            counted=deps.counted,
            now=now,
            clock=clock,
            connect=deps.connect,
        )
        forge_of = self.connections.forge_of
        self.publisher = Publisher(
            deps.cluster_id,
            deps.store,
            forge_of,
            owns=deps.shard.takes,
            objects=deps.objects,
            enqueue=partial(deps.enqueue, trigger="Published"),
            failures=deps.failures,
            now=now,
            clock=clock,
        )
        self.pull_requests = PullRequests(
            deps.subjects,
            forge_of,
            partial(deps.enqueue, trigger="PullRequestChanged"),
            share=deps.share,
            now=deps.counted_at,
            clock=clock,
        )
        handler = CommandHandler(Execution(deps.cluster_id, deps.kube, deps.store, now), clock)
        self.commanding = Commanding(forge_of, handler, deps.store, takes=deps.shard.takes, now=now, clock=clock)
        self.webhooks = Webhooks(self._webhook_secret, self._wake)
        self.pull_request_step = PullRequestStep(self.pull_requests, deps.kube, deps.store, now=now, clock=clock)
        self.publication_step = PublicationStep(self.publisher)

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What works until it is cancelled."""
        return self.publisher.run(), self.pull_requests.run(), self.commanding.run()

    async def stop(self) -> None:
        """End what is under way beside the tasks."""
        await self.connections.stop()

    def _webhook_secret(self, class_name: str) -> ClassSecret | None:
        endpoint_class = self._store.named_class(class_name)
        return self.connections.secret_of(endpoint_class) if endpoint_class else None

    def _wake(self, news: News) -> None:
        """Look soon at what a webhook tells of."""
        if news.is_comment:
            self.commanding.wake(news.repository)
        else:
            self.pull_requests.wake(news.repository, news.number)
