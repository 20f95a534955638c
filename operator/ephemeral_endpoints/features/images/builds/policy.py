"""Images that are to be made: built from a commit, or copied from where SageMaker cannot read them.

What is to be made is named by all that it depends on, so that a commit which several objects serve is built once, and
a lost answer, a crash or a second operator finds the build or the image that the first attempt left.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.engine.log_lines import quoting, telling
from ephemeral_endpoints.engine.names import content_digest
from ephemeral_endpoints.engine.redaction import redacted
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.images.references import ImageState

ATTEMPTS: Final = 3
"""So often an image is tried to be made where another attempt can help."""

PAUSE: Final = timedelta(seconds=5)
"""Between a failure and the next attempt; it doubles."""

LASTING: Final = timedelta(minutes=10)
"""An image that is missing so long after it was built was deleted; one that is missing before never got there."""

LOOK_SHARE: Final = 0.05
"""A build of minutes is polled every few seconds, which delays it by a twentieth at most."""

LONGEST_LOOKS: Final = 5
"""So many times the shortest pause between two looks is the longest."""

CACHE_PREFIX: Final = "cache-"
COPY_PREFIX: Final = "copy-"
REVISION_ARGUMENT: Final = "MODEL_REVISION"
"""The build argument that every build is given: the commit that it is made from."""

KEPT_CACHE: Final = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"
"""How the layers of a build are kept: all of them, in the form that ECR takes."""

_CACHE: Final = "importing cache manifest"
_CACHE_STEP: Final = re.compile(rf"#\d+(?= {_CACHE})")
_PUSH_DENIED: Final = re.compile(r"not authorized to perform: ecr:")
_MAY_PUSH: Final = (
    "ask the platform team to let the build role push to the repository: the policy build is for repositories that the "
    "operator creates, a repository that existed before (images.repository.name of the class) needs build-repository"
)
_MADE: Final = re.compile(rf"(?:[0-9a-f]{{40}}|[0-9a-f]{{64}}|{COPY_PREFIX[:-1]})-[a-z2-7]{{52}}")
_LASTING: Final = re.compile(r"@sha256:[0-9a-f]{64}$")


class Trust(StrEnum):
    """Why a class builds a commit; what was built for one reason is never used for another."""

    APPROVED = "approved"
    """The class requires an approval of it."""

    OWN = "own"
    """It is of the repository itself, and the class builds those without an approval."""

    FORK = "fork"
    """It is of a fork, and the class builds those without an approval."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """For whom an image is made: objects of one class in one namespace; no other serves it."""

    class_uid: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit to build. Paths are relative, ``dockerfile`` to the ``context``; pairs are sorted.

    ``secrets`` are the ids by which the Dockerfile mounts them, and their names in the class. ``frontends`` are those
    that the class lets a Dockerfile name, beside BuildKit's own, as patterns.
    """

    location: str
    revision: str
    context: str = "."
    dockerfile: str = "Dockerfile"
    target: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    frontends: tuple[str, ...] = ()
    trust: Trust = Trust.FORK
    base: str | None = None
    """The repository that it is a fork of."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An image of another registry, by tag or digest; ``revision`` of the commit that requests it."""

    image: str
    revision: str


@dataclass(frozen=True, slots=True)
class BuildTarget:
    """One image to be made in a repository, ``<registry>/<name>``, for a platform such as linux/amd64."""

    repository: str
    origin: Commit | Copy
    platform: str
    tenant: Tenant

    @property
    def tag(self) -> str:
        """The tag that the image is pushed with: the digest of everything that decides its content, and for whom it is.

        Authors of objects choose nearly all of that. A tag that another content or another tenant has too would let
        one of them serve an image to the other.
        """
        origin = self.origin
        if isinstance(origin, Copy):
            # A tag may have moved when the next commit requests it, a digest cannot.
            moment = "" if _LASTING.search(origin.image) else origin.revision
            return f"{COPY_PREFIX}{self._digest('copy', origin.image, moment)}"
        return f"{origin.revision}-{self._digest('build', *_content(origin))}"

    @property
    def image(self) -> str:
        """The image's URI with its tag."""
        return f"{self.repository}:{self.tag}"

    @property
    def cache(self) -> str | None:
        """Where the layers are kept that later commits of the same place can use; copies have none."""
        if isinstance(self.origin, Copy):
            return None
        return self._cache(self.origin)

    @property
    def caches(self) -> tuple[str, ...]:
        """The caches that the image may be built from: its own, and that of the repository that it is a fork of.

        None that a commit of less trust has written.
        """
        origin = self.origin
        if isinstance(origin, Copy):
            return ()
        trust = Trust.APPROVED if origin.trust is Trust.APPROVED else Trust.OWN
        base = replace(origin, location=origin.base or origin.location, trust=trust)
        return tuple(dict.fromkeys((self._cache(origin), self._cache(base))))

    def _cache(self, commit: Commit) -> str:
        every_commit = replace(commit, revision="", base=None)
        return f"{self.repository}:{CACHE_PREFIX}{self._digest('cache', *_content(every_commit))}"

    def _digest(self, *parts: object) -> str:
        return content_digest(*parts, self.platform, *astuple(self.tenant))


def _content(commit: Commit) -> tuple[object, ...]:
    """Everything that decides the content of a commit's image, apart from the values of secrets.

    The class, which is trusted, decides which secret an id stands for.
    """
    return astuple(replace(commit, base=None, frontends=(), secrets=tuple((id_, "") for id_, _ in commit.secrets)))


class Result(StrEnum):
    """The result of a build."""

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
    CHECKING = "checking the commit"
    BUILDING = "building the image"
    PUSHING = "pushing the image"


@dataclass(frozen=True, slots=True)
class Build:
    """A build as its builder reports it. ``message`` is the builder's description of its failure.

    ``digest`` is that of the image that it has pushed; None if it has not, or if the builder does not know any more.
    """

    id: str
    image: str
    result: Result
    step: Step
    started_at: datetime
    ended_at: datetime | None = None
    message: str = ""
    log_url: str = ""
    digest: str | None = None

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
        """Whether the same build may succeed another time: the failure was not caused by the commit."""
        if self.result is Result.FAILED:
            return self.step in (Step.WAITING, Step.PUSHING)
        return self.result in (Result.FAULT, Result.STOPPED, Result.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """Who wants an image made: in the order of their creation they get it, and namespaces take turns."""

    created_at: datetime
    uid: str
    target: BuildTarget = field(compare=False)
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """How many builds of a class run at once, in all and for one namespace."""

    most: int
    most_of_namespace: int


@dataclass(frozen=True, slots=True)
class BuildRound:
    """The next actions: builds to start, builds to stop, and images that wait for others to be made first."""

    begin: tuple[BuildTarget, ...] = ()
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
    """Whether it counts as an attempt; an image that existed for a while was deleted by another client."""
    if build.result is Result.SUCCEEDED:
        return build.ended_at is not None and now - build.ended_at < LASTING
    return build.result is not Result.STOPPED


def due_round(  # noqa: PLR0913 - everything that is known, by keyword
    requests: Iterable[BuildRequest],
    builds: Mapping[str, Sequence[Build]],
    *,
    limits: BuildLimits,
    now: datetime,
    namespaces: Mapping[str, str] = MappingProxyType({}),
    may_stop: bool = True,
) -> BuildRound:
    """Decide by the demands and each image's ``history``.

    ``namespaces`` are those for which images are made, by image. A build that no object demands any more is stopped: a
    newer commit came, or the object is deleted. Unless ``may_stop``, not all demands are known yet.
    """
    in_turn = _in_turn(requests)
    wanted = {request.target.image for request in in_turn}
    running = [build for each in builds.values() for build in each if build.is_running]
    stop = tuple(build for build in running if may_stop and build.image not in wanted)
    # A build that is being stopped counts until it has stopped, or a namespace could have any number of them.
    taken = Counter(namespaces.get(build.image) for build in running)
    begin: dict[str, BuildTarget] = {}
    waiting: dict[str, None] = {}
    for request in in_turn:
        image, namespace = request.target.image, request.namespace
        if image in begin or not may_begin(builds.get(image, ()), now):
            continue
        if len(running) + len(begin) < limits.most and taken[namespace] < limits.most_of_namespace:
            begin[image] = request.target
            taken[namespace] += 1
        else:
            # An object of another namespace may want the same image, and have room.
            waiting[image] = None
    return BuildRound(tuple(begin.values()), stop, tuple(image for image in waiting if image not in begin))


def _in_turn(requests: Iterable[BuildRequest]) -> list[BuildRequest]:
    """The oldest of every namespace, then the second of each, so that no namespace can starve the others."""
    places: Counter[str] = Counter()
    turns: list[tuple[int, BuildRequest]] = []
    for request in sorted(requests, key=lambda each: (each.created_at, each.uid)):
        turns.append((places[request.namespace], request))
        places[request.namespace] += 1
    return [request for _, request in sorted(turns, key=lambda turn: turn[0])]


def look_pause(builds: Iterable[Build], now: datetime, *, shortest: float) -> float:
    """Seconds until builds are polled again: the longer the youngest has run, the more."""
    ages = [(now - build.started_at).total_seconds() for build in builds if build.is_running]
    return min(shortest * LONGEST_LOOKS, max(shortest, min(ages, default=0.0) * LOOK_SHARE))


def state_of(builds: Sequence[Build], lines: Sequence[str], *, ahead: int | None, now: datetime) -> ImageState:
    """The state of an image that is being built, by its ``history``.

    ``lines`` are the last of its newest build's log. It waits until ``ahead`` others are made; None: it does not wait.
    """
    if ahead is not None:
        return ImageState(
            problem=ImageProblem.QUEUED, message=f"waiting in the build queue; builds ahead of it: {ahead}"
        )
    if not builds:
        return ImageState(problem=ImageProblem.QUEUED, message="the build is about to start")
    newest = builds[0]
    log = f"; log: {newest.log_url}" if newest.log_url else ""
    if newest.is_running:
        message = f"the build is {newest.step}{f': {newest.message}' if newest.message else ''}{log}"
        return ImageState(problem=ImageProblem.BUILDING, message=message)
    if is_to_be_retried(builds, now):
        failure = redacted(newest.message) or newest.result
        message = f"the build failed while {newest.step}; the operator tries again: {failure}{log}"
        return ImageState(problem=ImageProblem.RETRIED, message=message)
    return _failed(newest, lines, log)


def telling_lines(lines: Sequence[str], *, count: int) -> tuple[str, ...]:
    """The last ``count`` lines of a build's log that tell why it failed, oldest first.

    BuildKit also reports that there is no cache yet, with the word ERROR and among the reasons of a failure
    (https://github.com/moby/buildkit/issues/3500), although it then builds without one.
    """
    steps = {found[0] for line in lines if (found := _CACHE_STEP.match(line))}
    said = (line for line in lines if _CACHE not in line and line.partition(" ")[0] not in steps)
    return telling(said, count=count)


def waiting_for_repository(name: str) -> ImageState:
    """The state of an image that cannot be built before the repository of its class exists."""
    message = f"waiting for the operator to create the repository {name} of the class"
    return ImageState(problem=ImageProblem.QUEUED, message=message)


def _failed(newest: Build, lines: Sequence[str], log: str) -> ImageState:
    said = [*map(redacted, lines)]
    remedy = f"push another commit, or change the annotation {RECONCILE_AT_ANNOTATION} to try again"
    match newest.result:
        case Result.TIMED_OUT:
            message = (
                f"the build was stopped while {newest.step}: it took longer than the class's spec.builds.timeout; make "
                f"it faster or ask the platform team to raise the timeout, then {remedy}"
            )
            return ImageState(problem=ImageProblem.TIMED_OUT, message=quoting(f"{message}{log}", said))
        case Result.SUCCEEDED:
            message = "the image was built several times but is not in the repository: find out what deletes it"
        case _:
            message = f"the build failed while {newest.step}: {redacted(newest.message) or newest.result}"
            if any(_PUSH_DENIED.search(each) for each in (newest.message, *lines)):
                message = f"{message}; {_MAY_PUSH}"
    return ImageState(problem=ImageProblem.FAILED, message=quoting(f"{message}; {remedy}{log}", said))


def is_made_tag(tag: str) -> bool:
    """Whether a tag has the form of a ``BuildTarget``'s; those of caches have another."""
    return _MADE.fullmatch(tag) is not None
