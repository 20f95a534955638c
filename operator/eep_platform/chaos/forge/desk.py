"""The operator's part in reviews: all of it, with its clocks in the hand of whoever drives it.

What an operator does by tasks and timers, is done here turn by turn, in virtual time. A reconciliation is reduced to
what concerns reviews: AWS is empty at once when an object ends.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

import aiohttp
import jwt
from typing_extensions import override

from eep_platform.chaos.forge.cluster import Cluster
from ephemeral_endpoints.api.v1alpha1.reviews import ReviewStatus
from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.engine.status import conditions
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.reviews.connections import Connecting
from ephemeral_endpoints.features.reviews.errors import ForgeUnavailable
from ephemeral_endpoints.features.reviews.github.answers import Response
from ephemeral_endpoints.features.reviews.github.client import GitHubClient
from ephemeral_endpoints.features.reviews.github.forge import GitHub
from ephemeral_endpoints.features.reviews.github.signing import BACKDATED_SECONDS, LIFETIME_SECONDS
from ephemeral_endpoints.features.reviews.github.transport import TIMEOUT_SECONDS, Transport
from ephemeral_endpoints.features.reviews.reviews import ReviewDeps, Reviews
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, class_key
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.errors import Gone
from ephemeral_endpoints.kube.secrets import OwnSecrets

CLUSTER_ID: Final = "c1"
CLASS: Final = "previews"
SHARE: Final = 0.25
_POLL_SECONDS: Final = 5


@dataclass
class Time:
    """Passes only when somebody waits."""

    began: datetime
    passed: float = 0.0

    def now(self) -> datetime:
        """The time of day in UTC."""
        return self.began + timedelta(seconds=self.passed)

    def clock(self) -> float:
        """Monotonic seconds."""
        return self.passed

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += seconds


class Killed(BaseException):
    """The operator is no more."""


class Desk:
    """An operator with its objects; ``failures`` are the reasons that somebody has to act on.

    ``secret`` holds the credentials. A request that gets no answer takes ``timeout_seconds``, and ends the operator
    while ``dies`` is set. ``sent`` counts requests, and ``written`` those that
    may write; ``reasons`` collects those of conditions that are not True.
    """

    def __init__(  # noqa: PLR0913 - its edges, and how it ends
        self,
        session: aiohttp.ClientSession,
        cluster: Cluster,
        time: Time,
        secret: Mapping[str, bytes],
        *,
        failures: frozenset[str],
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.cluster = cluster
        self.time = time
        self._session = session
        self._secret = secret
        self._failures = failures
        self._timeout = timeout_seconds
        self.dies = False
        self.reasons: set[str] = set()
        self.sent = 0
        self.written = 0
        self.restart()

    def restart(self) -> None:
        """Have another process that knows nothing but what objects say."""
        self.is_dead = False
        self._due: dict[ObjectKey, float] = {}
        self.reviews = Reviews(
            ReviewDeps(
                cluster_id=CLUSTER_ID,
                session=self._session,
                kube=cast("KubeClient", self.cluster),
                store=self.cluster.store,
                secrets=cast("OwnSecrets", _Secrets(self._secret)),
                shard=Shard(),
                subjects=lambda: [(key, self._subject(key)) for key, _ in self.cluster.store.endpoints()],
                objects=self.cluster.objects,
                enqueue=lambda key, trigger: self.enqueue(key),  # noqa: ARG005 - for the log
                failures=self._failures,
                share=SHARE,
                check=lambda: None,
                counted=lambda *_: None,
                now=self.time.now,
                counted_at=self.time.now,
                clock=self.time.clock,
                connect=self._connect,
            )
        )
        self._next_poll = self._next_look = self.time.passed
        for key in self.cluster.kept:
            self.enqueue(key)
            self.reviews.publisher.offer(key)
        self.reviews.publisher.search()

    async def stop(self) -> None:
        """End what is under way."""
        await self.reviews.stop()

    async def step(self) -> None:
        """A second in the life of the operator; another one is started if it does not survive."""
        try:
            await self._work()
        except Killed:
            self.is_dead = True
        if self.is_dead:
            self.dies = False
            await self.reviews.stop()
            self.restart()
        self.time.passed += 1.0

    def report(self, key: ObjectKey) -> None:
        """The status of an object was written."""
        self.reviews.publisher.reported(key, self._subject(key).endpoint, ())
        self.enqueue(key)

    async def _work(self) -> None:
        for key in [key for key, due in self._due.items() if due <= self.time.passed]:
            del self._due[key]
            await self._reconcile(key)
        for lane in list(self.reviews.publisher.lanes.values()):
            await lane.turn()
        if self._next_poll <= self.time.passed:
            self._next_poll = self.time.passed + _POLL_SECONDS
            await self.reviews.pull_requests.turn()
        if self._next_look <= self.time.passed:
            self._next_look = self.time.passed + await self.reviews.commanding.look()
        await asyncio.sleep(0)

    def enqueue(self, key: ObjectKey, seconds: float = 0.0) -> None:
        """Have an object or class reconciled in so many seconds."""
        self._due[key] = min(self.time.passed + seconds, self._due.get(key, float("inf")))

    async def _reconcile(self, key: ObjectKey) -> None:
        if key == class_key(CLASS):
            await self._reconcile_class()
        elif key in self.cluster.kept:
            await self._reconcile_object(key)

    async def _reconcile_class(self) -> None:
        endpoint_class = self.cluster.store.named_class(CLASS)
        if endpoint_class is None:
            return
        connections = self.reviews.connections
        connections.condition(endpoint_class)
        while (due := connections.due_in(endpoint_class)) is None:
            await asyncio.sleep(0.001)  # the look is under way, in a task of its own
            if self.is_dead:
                raise Killed
        if update := connections.condition(endpoint_class):
            self._see(update)
            said = conditions([update], endpoint_class.status.conditions, generation=1, now=self.time.now())
            self.cluster.change(class_key(CLASS), spec={}, status={"conditions": [each.to_wire() for each in said]})
        self.enqueue(class_key(CLASS), max(1.0, due))

    async def _reconcile_object(self, key: ObjectKey) -> None:
        try:
            await self.reviews.pull_request_step.annotate(key, self._subject(key))
        except Gone:
            return
        subject = self._subject(key)
        if subject.is_terminating(self.time.now()):
            await self._end(key, subject)
            return
        reconciliation = cast("Reconciliation", _Reconciled(key, subject))
        pull_request_step, publication_step = self.reviews.pull_request_step, self.reviews.publication_step
        steps = (pull_request_step, publication_step)
        updates = [update for each in steps if (update := each.condition(reconciliation))]
        status = subject.endpoint.status
        made = conditions(updates, status.conditions, generation=1, now=self.time.now())
        types = {each.type for each in made}
        others = tuple(each for each in status.conditions if each.type not in types)
        fields = {name: value for each in steps for name, value in each.review(reconciliation).items()}
        review = (status.review or ReviewStatus()).model_copy(update=fields)
        written = status.model_copy(update={"conditions": (*others, *made), "review": review}).to_wire()
        if written != status.to_wire():
            for each in updates:
                self._see(each)
            self.cluster.change(key, spec={}, status=written)
            self.reviews.publisher.reported(key, self._subject(key).endpoint, updates)

    async def _end(self, key: ObjectKey, subject: Subject) -> None:
        """What the finalizer does of an object that has nothing in AWS."""
        if subject.endpoint.metadata.deletion_timestamp is None:
            await self.cluster.delete(self.cluster.store.raw(key))
        wait = self.reviews.publisher.show_end(key, subject.endpoint)
        if wait is not None:
            self.enqueue(key, wait)
            return
        self.reviews.publisher.gone(key, subject.endpoint)
        self.cluster.vanish(key)
        self.reviews.publication_step.forget(subject.endpoint.metadata.uid)
        self.reviews.pull_request_step.forget(subject.endpoint.metadata.uid)

    def _subject(self, key: ObjectKey) -> Subject:
        endpoint, endpoint_class = self.cluster.store.endpoint(key), self.cluster.store.named_class(CLASS)
        assert endpoint is not None  # noqa: S101 - the caller has its key from there
        assert endpoint_class is not None  # noqa: S101 - likewise
        return Subject(CLUSTER_ID, endpoint, endpoint_class)

    def _see(self, update: ConditionUpdate) -> None:
        if update.status is not ConditionStatus.TRUE:
            self.reasons.add(update.reason.name)

    def _connect(self, by: Connecting) -> GitHub:
        return GitHub(
            GitHubClient(
                by.session,
                by.url,
                by.secret,
                budget=by.budget,
                transport=_Wire(self, by.session, self._timeout),
                check=by.check,
                denied=by.denied,
                now=by.now,
                clock=by.clock,
                sleep=self.time.sleep,
                sign=_sign,
            )
        )


class _Wire(Transport):
    """The way to GitHub, on which the operator may die."""

    def __init__(self, desk: Desk, session: aiohttp.ClientSession, timeout_seconds: float) -> None:
        super().__init__(session, timeout_seconds=timeout_seconds)
        self._desk = desk

    @override
    async def send(
        self, method: str, url: str, authorization: str, body: Mapping[str, Any] | None = None, *, whose: str = ""
    ) -> Response:
        if self._desk.is_dead:
            raise Killed
        self._desk.sent += 1
        self._desk.written += method != "GET"
        try:
            return await super().send(method, url, authorization, body, whose=whose)
        except ForgeUnavailable:
            if self._desk.dies:
                self._desk.is_dead = True
                raise Killed from None
            raise


@dataclass(frozen=True, slots=True)
class _Secrets:
    """An ``OwnSecrets`` with one Secret."""

    content: Mapping[str, bytes]
    namespace: str = "ephemeral-endpoints"

    async def data(self, name: str) -> Mapping[str, bytes]:
        """See ``OwnSecrets``."""
        del name
        return self.content

    def forget(self, name: str) -> None:
        """See ``OwnSecrets``."""


@dataclass(frozen=True, slots=True)
class _Reconciled:
    """As much of a ``Reconciliation`` as steps read that do nothing in AWS."""

    key: ObjectKey
    subject: Subject

    @property
    def uid(self) -> str:
        """See ``Reconciliation``."""
        return self.subject.endpoint.metadata.uid


async def _sign(app_id: str, private_key: str, now: int) -> str:
    """As ``app_jwt``, without a process of its own: that takes longer than everything else."""
    claims = {"iat": now - BACKDATED_SECONDS, "exp": now - BACKDATED_SECONDS + LIFETIME_SECONDS, "iss": app_id}
    return jwt.encode(claims, private_key, algorithm="RS256")
