"""What is known of the pull requests of one class, and which of them are asked for when. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.features.expiry.brake import WINDOW_SECONDS
from ephemeral_endpoints.features.reviews.errors import ForgeError, ForgeInvalid, ForgeLimited, ForgeNotFound
from ephemeral_endpoints.features.reviews.forge import PullRequest, PullRequestKey
from ephemeral_endpoints.features.reviews.pull_requests.breaker import held
from ephemeral_endpoints.features.reviews.pull_requests.sights import ROUND_SECONDS, Sight, pause
from ephemeral_endpoints.kube.cache import ObjectKey

URGENT_SECONDS: Final = 5.0
"""At least between two queries for single pull requests, however many are woken meanwhile."""

LONGEST_SECONDS: Final = 900.0
"""The longest pause after failures, unless the forge asks for a longer one."""

STALE_SECONDS: Final = 900.0
"""For how long a pull request counts as it was last seen although the forge does not say: an outage of minutes writes
no status."""


@dataclass(frozen=True, slots=True)
class PullRequestView:
    """What is known of an object's pull request now.

    ``sight`` is the last one, None before the first. ``error`` is why it is unknown, None while it counts as it was
    seen. ``is_held``: it is closed, with more others than can be right.
    """

    grace: timedelta
    sight: Sight | None = None
    error: ForgeError | None = None
    is_held: bool = False

    @property
    def ends(self) -> bool:
        """Whether the objects of the pull request end now."""
        return self.sight is not None and self.sight.is_over(self.grace) and not self.is_held

    @property
    def shown(self) -> tuple[object, ...]:
        """What objects depend on, and so have to be reconciled for when it changes."""
        seen = (self.sight.pull_request.state, self.sight.pull_request.head) if self.sight else None
        error = (self.error.reason, str(self.error)) if self.error else None
        return seen, error, self.is_held, self.ends


@dataclass(slots=True)
class Wanted:
    """A pull request to watch, for its objects. ``was_open``: that is what they say, from before the first sight."""

    objects: list[ObjectKey] = field(default_factory=list)
    was_open: bool = False

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces of its objects."""
        return frozenset(each.namespace or "" for each in self.objects)


@dataclass(slots=True)
class Watched:
    """The pull requests of a class. Times are monotonic seconds; ``share`` is that of ``breaker.held``."""

    grace: timedelta
    share: float
    sights: dict[PullRequestKey, Sight] = field(default_factory=dict)
    errors: dict[PullRequestKey, ForgeError] = field(default_factory=dict)
    woken: set[PullRequestKey] = field(default_factory=set)
    held: frozenset[PullRequestKey] = frozenset()
    _wanted: dict[PullRequestKey, Wanted] = field(default_factory=dict)
    _closed: dict[PullRequestKey, float] = field(default_factory=dict)
    _views: dict[PullRequestKey, int] = field(default_factory=dict)
    """Of each, a hash of what objects depend on."""

    _round_at: float = float("-inf")
    _urgent_at: float = float("-inf")
    _not_before: float = float("-inf")
    _failures: int = 0

    def due(self, wanted: Mapping[PullRequestKey, Wanted], now: float) -> frozenset[PullRequestKey]:
        """Those that are to be asked for now, which counts as done. What is not wanted any more is forgotten."""
        self._keep(wanted, now)
        if now < self._not_before:
            return frozenset()
        if now - self._round_at >= pause(wanted):
            self._round_at = now
            self.woken.clear()
            return frozenset(wanted)
        urgent = self.woken | {each for each in wanted if self._is_urgent(each, now)}
        if not urgent or now - self._urgent_at < URGENT_SECONDS:
            return frozenset()
        self._urgent_at = now
        self.woken.clear()
        return frozenset(urgent)

    def take(
        self, answers: Mapping[PullRequestKey, PullRequest | ForgeError], asked_at: float, now: float, today: datetime
    ) -> None:
        """Learn what the forge answered to a question of ``asked_at``. ``today`` is the time of day."""
        for key, answer in answers.items():
            if isinstance(answer, ForgeError):
                self.errors[key] = answer
                continue
            self.errors.pop(key, None)
            before = self.sights.get(key)
            sight = before.then(answer, asked_at, today) if before else Sight.first(answer, asked_at, today)
            self.sights[key] = sight
            was_open = not before.is_closed if before else self._wanted[key].was_open
            if sight.closed_from is None:
                self._closed.pop(key, None)
            elif was_open:
                self._closed[key] = sight.closed_from
        self._back_off(answers, now)

    def judge(self, confirmed_until: datetime | None, now: float) -> frozenset[PullRequestKey]:
        """Decide which are held; returns those of which something has changed that objects depend on.

        What the forge calls closed by ``confirmed_until`` is believed.
        """
        confirmed = {key for key, sight in self.sights.items() if _is_confirmed(sight, confirmed_until)}
        namespaces = {key: each.namespaces for key, each in self._wanted.items()}
        self.held = held(self._closed, namespaces, self.share, confirmed=confirmed)
        shown = {key: hash(self.view(key, now).shown) for key in self.sights.keys() | self.errors.keys()}
        changed = frozenset(key for key, each in shown.items() if self._views.get(key) != each)
        self._views = shown
        return changed

    def view(self, key: PullRequestKey, now: float) -> PullRequestView:
        """What is known of one of them."""
        sight, error = self.sights.get(key), self.errors.get(key)
        counts = sight is not None and now - sight.at <= STALE_SECONDS
        return PullRequestView(self.grace, sight, None if counts else error, key in self.held)

    def _keep(self, wanted: Mapping[PullRequestKey, Wanted], now: float) -> None:
        """Those whose objects have ended count for a while among the closed ones."""
        kept = (each for each in self._closed.items() if each[0] in wanted or now - each[1] <= WINDOW_SECONDS)
        self._closed = dict(kept)
        self._wanted = {key: each for key, each in self._wanted.items() if key in self._closed} | dict(wanted)
        self.sights = {key: sight for key, sight in self.sights.items() if key in wanted}
        self.errors = {key: error for key, error in self.errors.items() if key in wanted}
        self.woken &= wanted.keys()

    def _is_urgent(self, key: PullRequestKey, now: float) -> bool:
        """Whether it was never asked for, or another sight of it closed decides. One with an error can wait."""
        if key in self.errors:
            return False
        sight = self.sights.get(key)
        due = sight.confirmation_due(self.grace) if sight else now
        return due is not None and due <= now

    def _back_off(self, answers: Mapping[PullRequestKey, PullRequest | ForgeError], now: float) -> None:
        """Leave a forge that answered nothing alone, ever longer; a name that is wrong is no reason."""
        errors = [each for each in answers.values() if isinstance(each, ForgeError)]
        asked_for = max((each.retry_after for each in errors if isinstance(each, ForgeLimited)), default=0.0)
        of_forge = [each for each in errors if not isinstance(each, ForgeInvalid | ForgeNotFound)]
        self._failures = self._failures + 1 if of_forge and len(errors) == len(answers) else 0
        own = min(LONGEST_SECONDS, ROUND_SECONDS * 2.0 ** min(self._failures - 1, 16)) if self._failures else 0.0
        self._not_before = now + max(own, asked_for)


def _is_confirmed(sight: Sight, until: datetime | None) -> bool:
    closed_at = sight.pull_request.closed_at or sight.closed_since
    return until is not None and sight.is_closed and closed_at is not None and closed_at <= until
