"""The builds of one class: which are started, wait or are given up, and the objects to notify.

Nothing here is lost for good when the process ends: builders list their builds, and objects repeat their requests.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.freshness import NOTIFIED_POLLS
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.redaction import redacted
from ephemeral_endpoints.engine.retries import Retries
from ephemeral_endpoints.features.images.builds.policy import (
    Build,
    BuildLimits,
    BuildRequest,
    BuildTarget,
    Result,
    due_round,
    history,
    is_to_be_retried,
    look_pause,
    state_of,
)
from ephemeral_endpoints.features.images.references import ImageState
from ephemeral_endpoints.kube.cache import ObjectKey

logger = logging.getLogger(__name__)

LAST_LINES: Final = 8


class Builder(Protocol):
    """Makes images. All methods raise a ``ReconcileError`` and wait for an answer only, never for a build."""

    async def all(self) -> list[Build]:
        """The newest builds that there are, and all that run."""
        ...

    async def refresh(self, builds: Sequence[Build]) -> list[Build]:
        """These builds as they are now; one that is gone is returned as stopped."""
        ...

    async def begin(self, target: BuildTarget, *, attempt: int, timeout_seconds: int) -> Build:
        """Start to build an image; a repeated call for the same attempt returns the existing build."""
        ...

    async def stop(self, build: Build) -> None:
        """End a build early; succeeds if it has ended or is gone."""
        ...

    async def last_lines(self, build: Build, *, count: int) -> tuple[str, ...]:
        """The newest lines of its log, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class BuildQueueDeps:
    """The dependencies of the queues.

    ``builder`` gives a class's builder, ``wanting`` the active objects of a class that may want an image to be made.
    ``enqueue`` has an object reconciled, ``ended`` is called for every build that ends. ``is_heard`` says whether
    events of an account can be expected. ``now`` is the time of day in UTC, ``clock`` monotonic seconds.
    """

    builder: Callable[[EphemeralEndpointClass, Account], Builder]
    wanting: Callable[[str], Collection[ObjectKey]]
    enqueue: Callable[[ObjectKey], None]
    ended: Callable[[EphemeralEndpointClass, Build], None]
    is_heard: Callable[[Account], bool]
    now: Callable[[], datetime]
    clock: Callable[[], float]
    poll_seconds: float
    sees_all_namespaces: bool
    """Whether no other operator builds for objects of the same classes, in other namespaces."""


@dataclass
class BuildQueue:
    """The builds of one class, and a task that follows them while there is something to do."""

    deps: BuildQueueDeps
    declared: set[ObjectKey]
    """The objects that have declared which image they want, if any."""

    endpoint_class: EphemeralEndpointClass
    account: Account
    builder: Builder
    requests: dict[ObjectKey, BuildRequest] = field(default_factory=dict)
    terminating: dict[ObjectKey, str] = field(default_factory=dict)
    builds: dict[str, Build] = field(default_factory=dict)
    last_lines: dict[str, tuple[str, ...]] = field(default_factory=dict)
    retries: Retries[str] = field(default_factory=Retries)
    """Builds that could not be started, by image; under the empty one, a failure to list the builder's builds."""

    attempts: dict[str, int] = field(default_factory=dict)
    """The last attempt that was answered, by image: a builder may not list all earlier ones."""

    requested: dict[str, str] = field(default_factory=dict)
    """The images that objects of this process have requested, also those that they do not need any more.

    The value is the namespace of the first object, for which the build counts: also once the object is gone.
    """

    forgotten: set[str] = field(default_factory=set)
    announced: set[str] = field(default_factory=set)
    """Builds of which events have said that they have ended; none while it is not known whether such events come."""

    waiting: tuple[str, ...] = ()
    is_listed: bool = False
    _listing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _task: asyncio.Task[None] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def making(self, key: ObjectKey, target: BuildTarget) -> ImageState | None:
        """See ``Builds.making``."""
        request = self.requests.get(key)
        if request is None or request.target != target:
            return None
        for subject in ("", target.image):
            if failure := self.retries.failures.get(subject):
                raise failure.error
        return self._state(target.image)

    def request(self, key: ObjectKey, request: BuildRequest) -> ImageState:
        """See ``Builds.request``."""
        self.terminating.pop(key, None)
        self.requested.setdefault(request.target.image, request.namespace)
        self.requests[key] = request
        self._begin_work()
        return self.making(key, request.target) or self._state(request.target.image)

    def withdraw(self, key: ObjectKey) -> None:
        """See ``Builds.withdraw``."""
        if self.requests.pop(key, None):
            self._begin_work()

    def is_building_for_terminating(self, key: ObjectKey, image: str) -> bool:
        """See ``Builds.is_making``."""
        self.withdraw(key)
        if self.is_listed and not self._runs_for_nobody(image):
            self.terminating.pop(key, None)
            return False
        if failure := self.retries.failures.get(""):
            raise failure.error
        self.requested.setdefault(image, key.namespace or "")
        self.terminating[key] = image
        self._begin_work()
        return True

    def again(self, image: str) -> None:
        """See ``Builds.again``."""
        self.forgotten |= {build.id for build in self.builds.values() if build.image == image and not build.is_running}
        self.retries.clear(image)
        self._begin_work()

    def announce_end(self, build_id: str) -> None:
        """See ``Builds.announce_end``."""
        if build := self.builds.get(build_id):
            self.announced.add(build_id)
            if build.is_running:
                self._begin_work()

    async def pushed(self, image: str) -> frozenset[str]:
        """See ``Builds.pushed``."""
        await self._list()
        return frozenset(build.digest for build in self.builds.values() if build.image == image and build.digest)

    async def stop(self) -> None:
        """End the task; builds go on."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _begin_work(self) -> None:
        self._news.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(
                self._follow(), name=f"follow the builds of {self.endpoint_class.metadata.name}"
            )

    async def _follow(self) -> None:
        while self._has_work():
            self._news.clear()
            await self._round()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self.pause())

    def pause(self) -> float:
        """Seconds until the builder is polled, if nothing is requested and no event comes before."""
        pause = look_pause(self.builds.values(), self.deps.now(), shortest=self.deps.poll_seconds)
        return pause * NOTIFIED_POLLS if self._is_notified() else pause

    def _is_notified(self) -> bool:
        """Whether events can be expected of all that there is to wait for: of builds that run for somebody."""
        running = [build for build in self.builds.values() if build.is_running]
        return (
            bool(self.announced)
            and self.deps.is_heard(self.account)
            and self.announced.isdisjoint(build.id for build in running)
            and self._wanted().issuperset(build.image for build in running)
            and not self.retries.failures
            and not self._has_more_to_do()
        )

    def _has_work(self) -> bool:
        if not self.is_listed or self.terminating or any(build.is_running for build in self.builds.values()):
            return True
        return self._has_more_to_do()

    def _has_more_to_do(self) -> bool:
        """Whether a build is to be started or retried, or its log is to be read."""
        histories = [self._history(image) for image in self._wanted()]
        return any(
            not builds or is_to_be_retried(builds, self.deps.now()) or self._has_unread_log(builds)
            for builds in histories
        )

    async def _round(self) -> None:
        """Poll the builder once, and act on the result."""
        before = self._all_shown()
        if "" not in self._blocked() and await self._poll():
            await self._act()
        after = self._all_shown()
        for key, shown in before.items():
            if after.get(key, shown) != shown:
                self.deps.enqueue(key)
        self._release_waiting()

    async def _poll(self) -> bool:
        try:
            await self._read()
        except ReconcileError as problem:
            self.retries.note("", problem, self.deps.clock())
            return False
        self.retries.clear("")
        return True

    async def _read(self) -> None:
        if not self.is_listed:
            await self._list()
        elif running := [build for build in self.builds.values() if build.is_running]:
            self._note(await self.builder.refresh(running))
        for image in self._wanted():
            await self._read_log(self._history(image))

    async def _list(self) -> None:
        async with self._listing:
            if not self.is_listed:
                self._note(await self.builder.all())
                self.is_listed = True

    async def _read_log(self, builds: Sequence[Build]) -> None:
        """Read a build's last lines once; until that succeeds its failure is reported without them."""
        if not self._has_unread_log(builds) or builds[0].id in self._blocked():
            return
        try:
            lines = await self.builder.last_lines(builds[0], count=LAST_LINES)
        except ReconcileError as problem:
            self.retries.note(builds[0].id, problem, self.deps.clock())
        else:
            # A line of a log may be a megabyte, and is kept as long as its build is known.
            self.last_lines[builds[0].id] = tuple(map(redacted, lines))
            self.retries.clear(builds[0].id)

    def _has_unread_log(self, builds: Sequence[Build]) -> bool:
        """Whether an image was given up and the log of its last build has not been read yet."""
        is_given_up = bool(builds) and not builds[0].is_running and not is_to_be_retried(builds, self.deps.now())
        return is_given_up and builds[0].id not in self.last_lines

    def _note(self, builds: Iterable[Build]) -> None:
        for build in builds:
            before = self.builds.get(build.id)
            self.builds[build.id] = build
            if before and before.is_running and not build.is_running:
                self._ended(build)

    def _ended(self, build: Build) -> None:
        if build.id not in self.announced:
            # Its event comes late, or none comes because no rule of EventBridge knows the project (any more).
            self.announced.clear()
        self.deps.ended(self.endpoint_class, build)
        extra = {"image": build.image, "build": build.id, "seconds": build.seconds}
        logger.info("a build has ended: %s", build.result, extra=extra)
        if build.result is Result.SUCCEEDED:
            for key in [key for key, request in self.requests.items() if request.target.image == build.image]:
                del self.requests[key]
                self.deps.enqueue(key)

    async def _act(self) -> None:
        policy, blocked = self.endpoint_class.spec.builds, self._blocked()
        todo = due_round(
            self.requests.values(),
            {image: self._history(image) for image in {build.image for build in self.builds.values()}},
            limits=BuildLimits(policy.max_concurrent, policy.namespace_limit) if policy else BuildLimits(0, 0),
            namespaces=self.requested,
            now=self.deps.now(),
            may_stop=self.declared.issuperset(self.deps.wanting(self.endpoint_class.metadata.name)),
        )
        self.waiting = todo.waiting
        begin = [target for target in todo.begin if target.image not in blocked]
        stop = [build for build in todo.stop if self.deps.sees_all_namespaces or build.image in self.requested]
        seconds = int(policy.timeout.total_seconds()) if policy else 0
        await asyncio.gather(*map(self._stop, stop), *(self._begin(target, seconds) for target in begin))

    async def _stop(self, build: Build) -> None:
        try:
            await self.builder.stop(build)
        except ReconcileError:
            logger.warning("the operator cannot stop a build; it tries again", exc_info=True, extra={"build": build.id})

    async def _begin(self, target: BuildTarget, seconds: int) -> None:
        known = sum(build.image == target.image for build in self.builds.values())
        attempt = 1 + max(known, self.attempts.get(target.image, 0))
        try:
            build = await self.builder.begin(target, attempt=attempt, timeout_seconds=seconds)
        except ReconcileError as problem:
            self.retries.note(target.image, problem, self.deps.clock())
            return
        self.retries.clear(target.image)
        self.attempts[target.image] = attempt
        self.builds[build.id] = build
        logger.info("a build has begun", extra={"image": target.image, "build": build.id, "attempt": attempt})

    def _release_waiting(self) -> None:
        """Enqueue terminating objects whose image is not being built any more, or for others only."""
        is_known = self.is_listed or "" in self.retries.failures
        for key in [key for key, image in self.terminating.items() if is_known and not self._runs_for_nobody(image)]:
            del self.terminating[key]
            self.deps.enqueue(key)

    def _wanted(self) -> set[str]:
        return {request.target.image for request in self.requests.values()}

    def _runs_for_nobody(self, image: str) -> bool:
        runs = any(build.is_running for build in self.builds.values() if build.image == image)
        return runs and image not in self._wanted()

    def _history(self, image: str) -> tuple[Build, ...]:
        return history((build for build in self.builds.values() if build.id not in self.forgotten), image)

    def _blocked(self) -> Collection[object]:
        return self.retries.blocked(self.deps.clock())

    def _all_shown(self) -> Mapping[ObjectKey, str]:
        """The state shown to each object, to find those for which it has changed."""
        return {key: self._shown(request.target.image) for key, request in self.requests.items()}

    def _shown(self, image: str) -> str:
        failures = (self.retries.failures.get(subject) for subject in ("", image))
        return next((str(failure.error) for failure in failures if failure), str(self._state(image)))

    def _state(self, image: str) -> ImageState:
        builds = self._history(image)
        lines = self.last_lines.get(builds[0].id, ()) if builds else ()
        return state_of(builds, lines, ahead=self._ahead(image), now=self.deps.now())

    def _ahead(self, image: str) -> int | None:
        if image not in self.waiting:
            return None
        return sum(build.is_running for build in self.builds.values()) + self.waiting.index(image)
