"""How many requests GitHub takes, and when the next one may be sent.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api and
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

GAP_SECONDS: Final = 1.0
"""Between two writes, as GitHub asks; which keeps them below the 80 that it takes in a minute."""

CONTENTS_AN_HOUR: Final = 500
FREE_SHARE: Final = 0.8
"""Of an hour's contents: the rest is for repositories that have not had their equal part of it."""

READ_RESERVE: Final = 0.1
"""Of the primary limit: writes leave it to requests that find out how pull requests are."""

SECONDARY_SECONDS: Final = 60.0
LONGEST_SECONDS: Final = 3600.0
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an answer says of a primary limit: ``remaining`` of ``limit`` requests until it is reset in seconds."""

    resource: str
    limit: int
    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class _Primary:
    limit: int
    remaining: int
    until: float


class Budget:
    """The requests that credentials may send; ``now`` is monotonic seconds everywhere.

    ``account`` is whom GitHub counts a request for, such as an installation; each has primary limits by ``resource``.
    ``count`` operators use the same credentials, and each keeps to its part.
    """

    def __init__(self, *, gap_seconds: float = GAP_SECONDS, count: int = 1) -> None:
        self._gap = gap_seconds * count
        self._contents = max(1, CONTENTS_AN_HOUR // count)
        self._writes: deque[tuple[float, str]] = deque()
        self._primary: dict[tuple[str, str], _Primary] = {}
        self._paused_until = float("-inf")
        self._refusals = 0

    def read_due(self, account: str, resource: str, now: float) -> float:
        """When a reading request may be sent: now, or later."""
        return max(now, self._paused_until, self._primary_due(account, resource, now, reserve=0.0))

    def write_due(self, account: str, repository: str, now: float) -> float:
        """When a request that creates or changes content of the repository may be sent: now, or later."""
        return max(
            now,
            self._paused_until,
            self._primary_due(account, "core", now, reserve=READ_RESERVE),
            self._writes[-1][0] + self._gap if self._writes else now,
            self._content_due(repository, now),
        )

    def note_write(self, repository: str, now: float) -> None:
        """Count a request that is sent now."""
        self._forget(now)
        self._writes.append((now, repository))

    def note(self, account: str, allowance: Allowance, now: float) -> None:
        """Take what an answer says."""
        until = now + min(LONGEST_SECONDS, max(0.0, allowance.reset_seconds))
        self._primary[account, allowance.resource] = _Primary(allowance.limit, allowance.remaining, until)

    def note_refusal(self, wait_seconds: float | None, now: float) -> float:
        """Send nothing for as long as GitHub says, else for a minute, doubling; returns the seconds."""
        doubled = SECONDARY_SECONDS * 2.0 ** min(self._refusals, 16)
        seconds = min(LONGEST_SECONDS, doubled if wait_seconds is None else max(1.0, wait_seconds))
        self._refusals += 1
        self._paused_until = max(self._paused_until, now + seconds)
        return seconds

    def remaining(self, now: float) -> Mapping[tuple[str, str], int]:
        """What is left of each primary limit by account and resource; of one that is reset by now, all of it."""
        return {key: known.remaining if known.until > now else known.limit for key, known in self._primary.items()}

    def note_success(self) -> None:
        """A request was served: the next refusal is the first again."""
        self._refusals = 0

    def _primary_due(self, account: str, resource: str, now: float, *, reserve: float) -> float:
        known = self._primary.get((account, resource))
        if known is None or known.until <= now or known.remaining > known.limit * reserve:
            return now
        return known.until

    def _content_due(self, repository: str, now: float) -> float:
        """Where the hour's contents are short, each repository of the hour has an equal part of them."""
        self._forget(now)
        used = Counter(each for _, each in self._writes)
        part = self._contents / len(used.keys() | {repository})
        if len(self._writes) < self._contents * FREE_SHARE:
            return now
        if len(self._writes) < self._contents and used[repository] < part:
            return now
        return self._writes[0][0] + _HOUR

    def _forget(self, now: float) -> None:
        while self._writes and self._writes[0][0] <= now - _HOUR:
            self._writes.popleft()
