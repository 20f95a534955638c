"""The builds of one class: what is begun, what waits, what is given up, and who is told.

Nothing here is lost for good when the process ends: builders tell what they made, and objects what they want.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.core.builds import (
    Build,
    Demand,
    Order,
    Result,
    due_round,
    history,
    is_to_be_retried,
    look_pause,
    state_of,
)
from ephemeral_endpoints.core.errors import Problem
from ephemeral_endpoints.core.images import ImageState
from ephemeral_endpoints.core.redaction import redacted
from ephemeral_endpoints.kube.store import ObjectKey
from ephemeral_endpoints.reconcile.memory import Retries

logger = logging.getLogger(__name__)

LAST_LINES: Final = 8


class Builder(Protocol):
    """Makes images. All methods raise a ``Problem`` and wait for an answer only, never for a build."""

    async def all(self) -> list[Build]:
        """The newest builds that there are, and all that run."""
        ...

    async def refresh(self, builds: Sequence[Build]) -> list[Build]:
        """These builds as they are now; what is gone comes back as stopped."""
        ...

    async def begin(self, order: Order, *, attempt: int, timeout_seconds: int) -> Build:
        """Begin to make an image; asked again for the same attempt it tells the build that there is."""
        ...

    async def stop(self, build: Build) -> None:
        """Have a build end early; what has ended or is gone is fine."""
        ...

    async def last_lines(self, build: Build, *, count: int) -> tuple[str, ...]:
        """The newest lines of its log, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the lines need of the operator.

    ``builder`` gives a class's builder, ``wanting`` the living objects of a class that may want an image to be made.
    ``wake`` has an object reconciled, ``ended`` hears of every build that ends. ``now`` is the time of day in UTC,
    ``clock`` monotonic seconds.
    """

    builder: Callable[[EphemeralEndpointClass, Account], Builder]
    wanting: Callable[[str], Collection[ObjectKey]]
    wake: Callable[[ObjectKey], None]
    ended: Callable[[EphemeralEndpointClass, Build], None]
    now: Callable[[], datetime]
    clock: Callable[[], float]
    poll_seconds: float
    is_alone: bool
    """Whether no other operator builds for objects of the same classes, in other namespaces."""


@dataclass
class Line:
    """The builds of one class, and a task that follows them while there is something to do."""

    around: Surroundings
    declared: set[ObjectKey]
    """The objects that have told what they want."""

    klass: EphemeralEndpointClass
    builder: Builder
    demands: dict[ObjectKey, Demand] = field(default_factory=dict)
    leaving: dict[ObjectKey, str] = field(default_factory=dict)
    builds: dict[str, Build] = field(default_factory=dict)
    last_lines: dict[str, tuple[str, ...]] = field(default_factory=dict)
    retries: Retries = field(default_factory=Retries)
    """What could not be begun, by image; with an empty one, that the builder does not tell its builds."""

    attempts: dict[str, int] = field(default_factory=dict)
    """The last attempt that was answered, by image: a builder may not tell of all that went before."""

    heard_of: set[str] = field(default_factory=set)
    """The images that objects here have wanted or have left."""

    forgotten: set[str] = field(default_factory=set)
    waiting: tuple[str, ...] = ()
    is_listed: bool = False
    _task: asyncio.Task[None] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def making(self, key: ObjectKey, order: Order) -> ImageState | None:
        """See ``Builds.making``."""
        demand = self.demands.get(key)
        if demand is None or demand.order != order:
            return None
        for what in ("", order.image):
            if failure := self.retries.failures.get(what):
                raise failure.error
        return self._told(order.image)

    def demand(self, key: ObjectKey, demand: Demand) -> ImageState:
        """See ``Builds.demand``."""
        self.leaving.pop(key, None)
        self.heard_of.add(demand.order.image)
        self.demands[key] = demand
        self._begin_work()
        return self.making(key, demand.order) or self._told(demand.order.image)

    def wants_nothing(self, key: ObjectKey) -> None:
        """See ``Builds.wants_nothing``."""
        if self.demands.pop(key, None):
            self._begin_work()

    def is_making_for_leaving(self, key: ObjectKey, image: str) -> bool:
        """See ``Builds.is_making``."""
        self.wants_nothing(key)
        if self.is_listed and not self._runs_for_nobody(image):
            self.leaving.pop(key, None)
            return False
        if failure := self.retries.failures.get(""):
            raise failure.error
        self.heard_of.add(image)
        self.leaving[key] = image
        self._begin_work()
        return True

    def again(self, image: str) -> None:
        """See ``Builds.again``."""
        self.forgotten |= {build.id for build in self.builds.values() if build.image == image and not build.is_running}
        self.retries.clear(image)
        self._begin_work()

    async def stop(self) -> None:
        """End the task; builds go on."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _begin_work(self) -> None:
        self._news.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(), name=f"follow the builds of {self.klass.metadata.name}")

    async def _follow(self) -> None:
        while self._has_work():
            self._news.clear()
            await self._round()
            with suppress(TimeoutError):
                pause = look_pause(self.builds.values(), self.around.now(), shortest=self.around.poll_seconds)
                await asyncio.wait_for(self._news.wait(), pause)

    def _has_work(self) -> bool:
        if not self.is_listed or self.leaving or any(build.is_running for build in self.builds.values()):
            return True
        histories = [self._history(image) for image in self._wanted()]
        return any(
            not builds or is_to_be_retried(builds, self.around.now()) or self._has_unread_log(builds)
            for builds in histories
        )

    async def _round(self) -> None:
        """One look at the builder, and what follows from it."""
        before = self._all_told()
        if "" not in self._standing() and await self._look():
            await self._act()
        after = self._all_told()
        for key, told in before.items():
            if after.get(key, told) != told:
                self.around.wake(key)
        self._let_go()

    async def _look(self) -> bool:
        try:
            await self._read()
        except Problem as problem:
            self.retries.note("", problem, self.around.clock())
            return False
        self.retries.clear("")
        return True

    async def _read(self) -> None:
        if not self.is_listed:
            self._note(await self.builder.all())
            self.is_listed = True
        elif running := [build for build in self.builds.values() if build.is_running]:
            self._note(await self.builder.refresh(running))
        for image in self._wanted():
            await self._read_log(self._history(image))

    async def _read_log(self, builds: Sequence[Build]) -> None:
        """What a build said last is read once; until that succeeds its failure is told without."""
        if not self._has_unread_log(builds) or builds[0].id in self._standing():
            return
        try:
            lines = await self.builder.last_lines(builds[0], count=LAST_LINES)
        except Problem as problem:
            self.retries.note(builds[0].id, problem, self.around.clock())
        else:
            # A line of a log may have a megabyte, and is kept as long as its build is known.
            self.last_lines[builds[0].id] = tuple(map(redacted, lines))
            self.retries.clear(builds[0].id)

    def _has_unread_log(self, builds: Sequence[Build]) -> bool:
        """Whether an image was given up and it is not known yet what its last build said."""
        is_given_up = bool(builds) and not builds[0].is_running and not is_to_be_retried(builds, self.around.now())
        return is_given_up and builds[0].id not in self.last_lines

    def _note(self, builds: Iterable[Build]) -> None:
        for build in builds:
            before = self.builds.get(build.id)
            self.builds[build.id] = build
            if before and before.is_running and not build.is_running:
                self._ended(build)

    def _ended(self, build: Build) -> None:
        self.around.ended(self.klass, build)
        extra = {"image": build.image, "build": build.id, "seconds": build.seconds}
        logger.info("a build has ended: %s", build.result, extra=extra)
        if build.result is Result.SUCCEEDED:
            for key in [key for key, demand in self.demands.items() if demand.order.image == build.image]:
                del self.demands[key]
                self.around.wake(key)

    async def _act(self) -> None:
        policy, standing = self.klass.spec.builds, self._standing()
        todo = due_round(
            self.demands.values(),
            {image: self._history(image) for image in {build.image for build in self.builds.values()}},
            most=policy.max_concurrent if policy else 0,
            now=self.around.now(),
            may_stop=self.declared.issuperset(self.around.wanting(self.klass.metadata.name)),
        )
        self.waiting = todo.waiting
        begin = [order for order in todo.begin if order.image not in standing]
        stop = [build for build in todo.stop if self.around.is_alone or build.image in self.heard_of]
        seconds = int(policy.timeout.total_seconds()) if policy else 0
        await asyncio.gather(*map(self._stop, stop), *(self._begin(order, seconds) for order in begin))

    async def _stop(self, build: Build) -> None:
        try:
            await self.builder.stop(build)
        except Problem:
            logger.warning("a build cannot be stopped", exc_info=True, extra={"build": build.id})

    async def _begin(self, order: Order, seconds: int) -> None:
        known = sum(build.image == order.image for build in self.builds.values())
        attempt = 1 + max(known, self.attempts.get(order.image, 0))
        try:
            build = await self.builder.begin(order, attempt=attempt, timeout_seconds=seconds)
        except Problem as problem:
            self.retries.note(order.image, problem, self.around.clock())
            return
        self.retries.clear(order.image)
        self.attempts[order.image] = attempt
        self.builds[build.id] = build
        logger.info("a build has begun", extra={"image": order.image, "build": build.id, "attempt": attempt})

    def _let_go(self) -> None:
        """Call those who leave and whose image is not made any more, or for others only."""
        is_known = self.is_listed or "" in self.retries.failures
        for key in [key for key, image in self.leaving.items() if is_known and not self._runs_for_nobody(image)]:
            del self.leaving[key]
            self.around.wake(key)

    def _wanted(self) -> set[str]:
        return {demand.order.image for demand in self.demands.values()}

    def _runs_for_nobody(self, image: str) -> bool:
        runs = any(build.is_running for build in self.builds.values() if build.image == image)
        return runs and image not in self._wanted()

    def _history(self, image: str) -> tuple[Build, ...]:
        return history((build for build in self.builds.values() if build.id not in self.forgotten), image)

    def _standing(self) -> Collection[object]:
        return self.retries.standing(self.around.clock())

    def _all_told(self) -> Mapping[ObjectKey, str]:
        """What each object would hear, to see whose has changed."""
        return {key: self._heard(demand.order.image) for key, demand in self.demands.items()}

    def _heard(self, image: str) -> str:
        failures = (self.retries.failures.get(what) for what in ("", image))
        return next((str(failure.error) for failure in failures if failure), str(self._told(image)))

    def _told(self, image: str) -> ImageState:
        builds = self._history(image)
        lines = self.last_lines.get(builds[0].id, ()) if builds else ()
        return state_of(builds, lines, ahead=self._ahead(image), now=self.around.now())

    def _ahead(self, image: str) -> int | None:
        if image not in self.waiting:
            return None
        return sum(build.is_running for build in self.builds.values()) + self.waiting.index(image)
