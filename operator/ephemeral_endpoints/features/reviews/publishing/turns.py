"""Whose turn it is to be published: fair between namespaces and repositories, the newest change first. Pure."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

DEBOUNCE_SECONDS: Final = 2.0
"""Changes come in groups: what changes again within it is published once."""

LONGEST_DEBOUNCE_SECONDS: Final = 10.0

FIRST_BACKOFF_SECONDS: Final = 5.0
LONGEST_BACKOFF_SECONDS: Final = 300.0

OLDEST_EVERY: Final = 4
"""Each fourth turn of a repository is that of what has waited longest, which newer changes would otherwise starve."""

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Entry:
    namespace: str
    repository: str
    since: float
    changed_at: float
    not_before: float
    is_urgent: bool = False
    failures: int = 0


@dataclass(slots=True)
class Turns(Generic[K]):
    """What waits to be published, each thing once however often it changes. ``now`` is monotonic seconds everywhere.

    What has its turn is taken, and then either done, or failed and waits again.
    """

    _waiting: dict[K, _Entry] = field(default_factory=dict)
    _taken: dict[K, _Entry] = field(default_factory=dict)
    _held: dict[str, float] = field(default_factory=dict)
    _last_turns: dict[str | tuple[str, str], int] = field(default_factory=dict)
    _turns: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, key: K, namespace: str, repository: str, now: float, *, is_urgent: bool = False) -> None:
        """Something has changed, and is due when it does not change again. What failed is not tried sooner for that."""
        known = self._waiting.get(key)
        if known is None:
            soon = now + DEBOUNCE_SECONDS
            self._waiting[key] = _Entry(namespace, repository, now, now, soon, is_urgent)
            return
        known.changed_at, known.is_urgent, known.since = now, is_urgent, min(known.since, now)
        if not known.failures:
            known.not_before = min(now + DEBOUNCE_SECONDS, known.since + LONGEST_DEBOUNCE_SECONDS)

    def schedule(self, key: K, namespace: str, repository: str, at: float) -> None:
        """Have something published again at a time, unless it changes and is published before."""
        self._waiting.setdefault(key, _Entry(namespace, repository, at, at, at))

    def take(self, now: float) -> K | None:
        """Return whose turn it is, and take it; None while it is nobody's.

        The namespace that had none for longest comes first, and of it the repository; there what is urgent, and then
        the newest.
        """
        ready: dict[tuple[str, str], list[tuple[K, _Entry]]] = {}
        for one, each in self._waiting.items():
            if each.not_before <= now and self._held.get(each.repository, now) <= now:
                ready.setdefault((each.namespace, each.repository), []).append((one, each))
        if not ready:
            return None
        namespace = min({each for each, _ in ready}, key=self._last_turn)
        place = min((each for each in ready if each[0] == namespace), key=self._last_turn)
        here = ready[place]
        turn = self._turns[place] = self._turns.get(place, 0) + 1
        self._last_turns[namespace] = self._last_turns[place] = max(self._last_turns.values(), default=0) + 1
        if turn % OLDEST_EVERY == 0:
            key, entry = min(here, key=lambda one: one[1].since)
        else:
            key, entry = min(here, key=lambda one: (not one[1].is_urgent, -one[1].changed_at))
        del self._waiting[key]
        self._taken[key] = entry
        return key

    def done(self, key: K) -> None:
        """What was taken is published."""
        self._taken.pop(key, None)
        if not self._waiting:
            self._last_turns.clear()
            self._turns.clear()
            self._held.clear()

    def failed(self, key: K, now: float, *, after: float | None = None) -> int:
        """What was taken is not published, and waits so many seconds, or ever longer; returns how often it failed."""
        entry = self._taken.pop(key)
        failures = entry.failures + 1
        newer = self._waiting.setdefault(key, entry)
        newer.failures, newer.since = failures, min(newer.since, entry.since)
        newer.not_before = now + (backoff(failures) if after is None else after)
        return failures

    def discard(self, key: K) -> None:
        """Forget what need not be published any more."""
        self._waiting.pop(key, None)

    def hold(self, repository: str, until: float) -> None:
        """Let nothing of a repository have its turn before that."""
        self._held[repository] = max(until, self._held.get(repository, until))

    def revive(self, now: float) -> None:
        """The forge answers again: what failed need not wait for its next try any more."""
        for each in self._waiting.values():
            if each.failures:
                each.not_before = min(each.not_before, now)

    def due_in(self, now: float) -> float | None:
        """In how many seconds it can be somebody's turn; None while nothing waits."""
        return max(0.0, min(map(self._at, self._waiting.values())) - now) if self._waiting else None

    def _at(self, each: _Entry) -> float:
        return max(each.not_before, self._held.get(each.repository, each.not_before))

    def _last_turn(self, whose: str | tuple[str, str]) -> tuple[int, str | tuple[str, str]]:
        return self._last_turns.get(whose, 0), whose


def backoff(failures: int) -> float:
    """Seconds until the next try after so many failures in a row."""
    return min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 16))
