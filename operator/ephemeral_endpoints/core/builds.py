"""Images that are to be made: built from a commit, or copied from where SageMaker cannot read them.

What is to be made is named by all that it depends on, so that a commit which several objects serve is built once, and
a lost answer, a crash or a second operator finds the build or the image that the first attempt left.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.core.images import ImageProblem, ImageState
from ephemeral_endpoints.core.names import content_hash
from ephemeral_endpoints.core.redaction import redacted

ATTEMPTS: Final = 3
"""So often an image is tried to be made where another attempt can help."""

PAUSE: Final = timedelta(seconds=5)
"""Between a failure and the next attempt; it doubles."""

LASTING: Final = timedelta(minutes=10)
"""An image that is missing so long after it was built was deleted; one that is missing before never got there."""

LOOK_SHARE: Final = 0.05
"""A build of minutes is looked at every few seconds: what that delays is a twentieth of it at most."""

LONGEST_LOOKS: Final = 5
"""So many times the shortest pause between two looks is the longest."""

CACHE_PREFIX: Final = "cache-"
COPY_PREFIX: Final = "copy-"
REVISION_ARGUMENT: Final = "MODEL_REVISION"
"""The build argument that every build is given: the commit that it is made from."""

_MADE: Final = re.compile(rf"(?:[0-9a-f]{{40}}|[0-9a-f]{{64}})-[0-9a-f]{{8}}|{COPY_PREFIX}[0-9a-f]{{8}}")
_LASTING: Final = re.compile(r"@sha256:[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit to build. Paths are relative, ``dockerfile`` to the ``context``; pairs are sorted.

    ``secrets`` are the ids by which the Dockerfile mounts them, and what the class keeps them under.
    """

    location: str
    revision: str
    context: str = "."
    dockerfile: str = "Dockerfile"
    target: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """An image of another registry, by tag or digest; ``revision`` of the commit that asks for it."""

    image: str
    revision: str


@dataclass(frozen=True, slots=True)
class Order:
    """One image to be made in a repository, ``<registry>/<name>``, for a platform such as linux/amd64."""

    repository: str
    origin: Commit | Copy
    platform: str

    @property
    def tag(self) -> str:
        """What the image is pushed as: the commit, and a hash of all else that it depends on."""
        origin = self.origin
        if isinstance(origin, Copy):
            # A tag may have moved when the next commit asks for it, a digest cannot.
            moment = "" if _LASTING.search(origin.image) else origin.revision
            return f"{COPY_PREFIX}{content_hash(origin.image, moment, self.platform)}"
        told = [origin.context, origin.dockerfile, origin.target or "", self.platform]
        pairs = [f"{name}={value}" for name, value in origin.arguments]
        return f"{origin.revision}-{content_hash(*told, *pairs, *(id_ for id_, _ in origin.secrets))}"

    @property
    def image(self) -> str:
        """The image's URI with its tag."""
        return f"{self.repository}:{self.tag}"

    @property
    def cache(self) -> str | None:
        """Where the layers are kept that later commits of the same place can use; copies have none."""
        if isinstance(self.origin, Copy):
            return None
        place = (self.origin.location, self.origin.context, self.origin.dockerfile, self.platform)
        return f"{self.repository}:{CACHE_PREFIX}{content_hash(*place)}"


class Result(StrEnum):
    """What came of a build."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    FAULT = "Fault"
    """The builder itself failed."""

    STOPPED = "Stopped"
    TIMED_OUT = "TimedOut"


class Step(StrEnum):
    """How far a build is, or was when it failed; the value is read by people."""

    WAITING = "waiting for the builder"
    FETCHING = "fetching the commit"
    BUILDING = "building"
    PUSHING = "pushing"


@dataclass(frozen=True, slots=True)
class Build:
    """A build as its builder tells it. ``message`` is what the builder says of its failure."""

    id: str
    image: str
    result: Result
    step: Step
    started_at: datetime
    ended_at: datetime | None = None
    message: str = ""
    log_url: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.result is Result.RUNNING

    @property
    def seconds(self) -> float:
        """How long it took; 0 while it runs."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else 0.0

    @property
    def can_be_helped(self) -> bool:
        """Whether the same build may succeed another time: what failed is not the commit's own doing."""
        if self.result is Result.FAILED:
            return self.step in (Step.WAITING, Step.PUSHING)
        return self.result in (Result.FAULT, Result.STOPPED, Result.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Demand:
    """Who wants an image made: in the order of their creation they get it, and namespaces take turns."""

    created_at: datetime
    uid: str
    order: Order = field(compare=False)
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """What is to be done now: builds to begin, builds to stop, and which images wait for others to be made first."""

    begin: tuple[Order, ...] = ()
    stop: tuple[Build, ...] = ()
    waiting: tuple[str, ...] = ()


def history(builds: Iterable[Build], image: str) -> tuple[Build, ...]:
    """All builds of an image, the newest first."""
    own = (build for build in builds if build.image == image)
    return tuple(sorted(own, key=lambda build: (build.started_at, build.id), reverse=True))


def may_begin(builds: Sequence[Build], now: datetime) -> bool:
    """Whether another attempt is to be made, by the ``history`` of an image that is not there."""
    if not builds:
        return True
    if not is_to_be_retried(builds, now):
        return False
    newest, attempts = builds[0], sum(_counts(build, now) for build in builds)
    is_rested = newest.ended_at is None or now - newest.ended_at >= PAUSE * 2 ** max(0, attempts - 1)
    return is_rested or newest.result in (Result.STOPPED, Result.SUCCEEDED)


def is_to_be_retried(builds: Sequence[Build], now: datetime) -> bool:
    """Whether another attempt will be made, now or later."""
    attempts = sum(_counts(build, now) for build in builds)
    return bool(builds) and not builds[0].is_running and builds[0].can_be_helped and attempts < ATTEMPTS


def _counts(build: Build, now: datetime) -> bool:
    """Whether it counts as an attempt; an image that was there for a while was deleted by somebody."""
    if build.result is Result.SUCCEEDED:
        return build.ended_at is not None and now - build.ended_at < LASTING
    return build.result is not Result.STOPPED


def due_round(
    demands: Iterable[Demand], builds: Mapping[str, Sequence[Build]], *, most: int, now: datetime, may_stop: bool = True
) -> Round:
    """Decide by the demands and each image's ``history``; at most ``most`` builds run at once.

    What nobody demands any more is stopped: a newer commit has come, or the object goes. Unless ``may_stop``, not all
    demands are known yet.
    """
    orders: dict[str, Order] = {}
    for demand in _in_turn(demands):
        orders.setdefault(demand.order.image, demand.order)
    running = [build for each in builds.values() for build in each if build.is_running]
    stop = tuple(build for build in running if may_stop and build.image not in orders)
    ready = [order for image, order in orders.items() if may_begin(builds.get(image, ()), now)]
    # What is being stopped takes its room until it has stopped.
    room = max(0, most - len(running))
    return Round(tuple(ready[:room]), stop, tuple(order.image for order in ready[room:]))


def _in_turn(demands: Iterable[Demand]) -> list[Demand]:
    """The oldest of every namespace, then the second of each: however many one has, the others come to their turns."""
    places: Counter[str] = Counter()
    turns: list[tuple[int, Demand]] = []
    for demand in sorted(demands, key=lambda each: (each.created_at, each.uid)):
        turns.append((places[demand.namespace], demand))
        places[demand.namespace] += 1
    return [demand for _, demand in sorted(turns, key=lambda turn: turn[0])]


def look_pause(builds: Iterable[Build], now: datetime, *, shortest: float) -> float:
    """Seconds until builds are looked at again: the longer for how long the youngest has run, the more."""
    ages = [(now - build.started_at).total_seconds() for build in builds if build.is_running]
    return min(shortest * LONGEST_LOOKS, max(shortest, min(ages, default=0.0) * LOOK_SHARE))


def state_of(builds: Sequence[Build], lines: Sequence[str], *, ahead: int | None, now: datetime) -> ImageState:
    """What to tell of an image in the making, by its ``history``.

    ``lines`` are the last of its newest build's log. It waits until ``ahead`` others are made; None: it does not wait.
    """
    if ahead is not None:
        return ImageState(problem=ImageProblem.QUEUED, message=f"waits for its turn to be built; ahead of it: {ahead}")
    if not builds:
        return ImageState(problem=ImageProblem.QUEUED, message="is about to be built")
    newest = builds[0]
    log = f"; the log: {newest.log_url}" if newest.log_url else ""
    if newest.is_running:
        message = f"{newest.step}{f': {newest.message}' if newest.message else ''}{log}"
        return ImageState(problem=ImageProblem.BUILDING, message=message)
    if is_to_be_retried(builds, now):
        message = f"{newest.step} failed and is tried again: {redacted(newest.message) or newest.result}{log}"
        return ImageState(problem=ImageProblem.RETRIED, message=message)
    return _failed(newest, lines, log)


def _failed(newest: Build, lines: Sequence[str], log: str) -> ImageState:
    said = f"; its last lines: {' | '.join(map(redacted, lines))}" if lines else ""
    match newest.result:
        case Result.TIMED_OUT:
            message = f"{newest.step} took longer than spec.builds.timeout of the class allows"
            return ImageState(problem=ImageProblem.TIMED_OUT, message=f"{message}{log}{said}")
        case Result.SUCCEEDED:
            message = "it was built again and again, but is not in the repository: is somebody deleting it?"
        case _:
            message = f"{newest.step} failed: {redacted(newest.message) or newest.result}"
    remedy = f"push another commit, or change the annotation {RECONCILE_AT_ANNOTATION} to try again"
    return ImageState(problem=ImageProblem.FAILED, message=f"{message}; {remedy}{log}{said}")


def is_made_tag(tag: str) -> bool:
    """Whether a tag has the form of what an ``Order`` is pushed as; caches have another."""
    return _MADE.fullmatch(tag) is not None
