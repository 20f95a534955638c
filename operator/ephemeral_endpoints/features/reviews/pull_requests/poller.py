"""The states of all pull requests that objects belong to, asked for at the pace that the forge's budget allows.

Each pull request of a class is asked for once in a round, however many objects belong to it, and between rounds where
it matters: when it is new, when it was woken, and when another sight of it closed decides.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api import CONFIRM_CLOSED_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.reviews import ReviewPolicy
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.engine.tags import moment_of
from ephemeral_endpoints.features.reviews.forge import PullRequestKey, PullRequestReader
from ephemeral_endpoints.features.reviews.policy import grants
from ephemeral_endpoints.features.reviews.pull_requests.stage import was_open
from ephemeral_endpoints.features.reviews.pull_requests.watched import PullRequestView, Wanted, Watched
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey

logger = logging.getLogger(__name__)

TURN_SECONDS: Final = 5.0
"""How often it is seen what is due."""

LEAST_SECONDS: Final = 1.0
"""Between two turns, however often pull requests are woken."""

MOST_WOKEN: Final = 1000
"""So many are remembered to have been woken; the others are asked for in the next round."""

Members = dict[PullRequestKey, Wanted]


@dataclass(slots=True)
class _Class:
    """A class with its pull requests; ``asks`` tells it from the same class when it asks elsewhere, or otherwise."""

    asks: tuple[object, ...]
    watched: Watched
    members: Members = field(default_factory=dict)


class PullRequests:
    """Watches the pull requests of objects.

    ``subjects`` are the objects, ``forge_of`` the forge of a class, and ``enqueue`` has an object reconciled. ``share``
    is the part of the pull requests of a class that may be closed at once. ``now`` is the time of conditions,
    ``clock`` monotonic seconds.
    """

    def __init__(  # noqa: PLR0913 - both edges, and two clocks
        self,
        subjects: Callable[[], Iterable[tuple[ObjectKey, Subject]]],
        forge_of: Callable[[EphemeralEndpointClass], PullRequestReader | None],
        enqueue: Callable[[ObjectKey], None],
        *,
        share: float,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._subjects = subjects
        self._forge_of = forge_of
        self._enqueue = enqueue
        self._share = share
        self._now = now
        self._clock = clock
        self._classes: dict[str, _Class] = {}
        self._woken: set[tuple[str, int]] = set()
        self._is_woken = asyncio.Event()

    def wake(self, repository: str, number: int) -> None:
        """Have a pull request asked for soon, if an object belongs to it. Does not wait; too many are dropped."""
        if len(self._woken) < MOST_WOKEN:
            self._woken.add((repository.lower(), number))
            self._is_woken.set()

    def view(self, subject: Subject) -> PullRequestView | None:
        """What is known of an object's pull request; None if the operator does not ask for it."""
        policy, key = reviews_of(subject), pull_request_of(subject)
        if policy is None or key is None:
            return None
        known = self._classes.get(subject.endpoint_class.metadata.name)
        if known is None or known.asks != _asks(subject.endpoint_class, policy):
            return PullRequestView(policy.close_grace)
        return known.watched.view(key, self._clock())

    def held(self) -> Mapping[str, int]:
        """How many closed pull requests end nothing because there are too many of them, by class."""
        return {name: len(known.watched.held) for name, known in self._classes.items()}

    async def run(self, sleep: Sleep = asyncio.sleep) -> None:
        """Until cancelled, ask for what is due."""
        while True:
            await self.turn()
            await sleep(LEAST_SECONDS)
            await self._rest(sleep)

    async def turn(self) -> None:
        """Ask for what is due now, all classes at the same time, and have the objects concerned reconciled."""
        wanted = self._wanted()
        woken, self._woken = self._woken, set()
        self._is_woken.clear()
        self._classes = {
            name: self._class(endpoint_class, policy, members)
            for name, (endpoint_class, policy, members) in wanted.items()
        }
        for known in self._classes.values():
            known.watched.woken |= {each for each in known.members if (each.repository.lower(), each.number) in woken}
        asking = (self._ask(wanted[name][0], known) for name, known in self._classes.items())
        await asyncio.gather(*asking)

    async def _rest(self, sleep: Sleep) -> None:
        """Wait for the next turn, or until a pull request is woken."""
        waits = [
            asyncio.ensure_future(sleep(TURN_SECONDS - LEAST_SECONDS)),
            asyncio.ensure_future(self._is_woken.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _wanted(self) -> dict[str, tuple[EphemeralEndpointClass, ReviewPolicy, Members]]:
        """The pull requests to watch by class, with their objects. One that is gone for good needs none."""
        now = self._now()
        wanted: dict[str, tuple[EphemeralEndpointClass, ReviewPolicy, Members]] = {}
        for object_key, subject in self._subjects():
            endpoint_class, policy, key = subject.endpoint_class, reviews_of(subject), pull_request_of(subject)
            if key and policy and can_live(subject, now):
                *_, members = wanted.setdefault(endpoint_class.metadata.name, (endpoint_class, policy, {}))
                one = members.setdefault(key, Wanted())
                one.objects.append(object_key)
                one.was_open |= was_open(subject.endpoint, now)
        return wanted

    def _class(self, endpoint_class: EphemeralEndpointClass, policy: ReviewPolicy, members: Members) -> _Class:
        """What is known of a class. One that is recreated, or that asks elsewhere or otherwise, begins anew."""
        known = self._classes.get(endpoint_class.metadata.name)
        if known is None or known.asks != _asks(endpoint_class, policy):
            known = _Class(_asks(endpoint_class, policy), Watched(policy.close_grace, self._share))
        known.members = members
        return known

    async def _ask(self, endpoint_class: EphemeralEndpointClass, known: _Class) -> None:
        watched, asked_at = known.watched, self._clock()
        forge, due = self._forge_of(endpoint_class), watched.due(known.members, asked_at)
        if forge and due:
            watched.take(await forge.states(due), asked_at, self._clock(), self._now())
        confirmed = moment_of(endpoint_class.metadata.annotations.get(CONFIRM_CLOSED_ANNOTATION, ""))
        before = len(watched.held)
        for key in watched.judge(confirmed, self._clock()):
            if key in known.members:
                for object_key in known.members[key].objects:
                    self._enqueue(object_key)
        if len(watched.held) > before:
            logger.warning(
                "too many pull requests are closed at once: none of their objects ends",
                extra={"class": endpoint_class.metadata.name, "count": len(watched.held)},
            )


def pull_request_of(subject: Subject) -> PullRequestKey | None:
    """The pull request that an object belongs to, if it does."""
    source = subject.endpoint.spec.source
    return PullRequestKey(source.repository, source.pull_request) if source.pull_request else None


def can_live(subject: Subject, now: datetime) -> bool:
    """Whether the object lives, or would if its pull request were open again."""
    return subject.endpoint.metadata.deletion_timestamp is None and subject.lifetime.expires_at > now


def reviews_of(subject: Subject) -> ReviewPolicy | None:
    """How the class reviews the object's pull request; None if it does not, or not for the object's namespace."""
    endpoint, endpoint_class = subject.endpoint, subject.endpoint_class
    is_granted = grants(endpoint_class, endpoint.metadata.namespace or "", endpoint.spec.source.repository)
    return endpoint_class.spec.reviews if is_granted else None


def _asks(endpoint_class: EphemeralEndpointClass, policy: ReviewPolicy) -> tuple[object, ...]:
    return endpoint_class.metadata.uid, policy.url, policy.secret_name, policy.close_grace
