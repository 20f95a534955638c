"""Whether the clocks of this machine, the API server and AWS agree.

Their answers carry the time (the header ``Date``: RFC 9110, section 6.6.1), so that comparing costs no request.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

TOLERANCE: Final = timedelta(minutes=1)
"""More than an answer may take; AWS refuses a request whose time differs by five minutes
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html)."""

STALE_SECONDS: Final = 900.0
"""For how long a Date of AWS counts: the lists of an account in use bring one every few minutes. One of the API server
counts until the next: without its answers nothing expires anyway."""

_UNITS: Final = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


class Source(StrEnum):
    """Where the time comes from."""

    API_SERVER = "Kubernetes API server"
    AWS = "AWS"


@dataclass(frozen=True, slots=True)
class _Sample:
    date: datetime
    at: float


class Clocks:
    """The time, as the last answers told it. For any thread.

    ``local`` is this machine's time of day in UTC; ``elapsed`` monotonic seconds, by which an earlier answer is carried
    on: a local clock that is set meanwhile is noticed at once.
    """

    def __init__(self, local: Callable[[], datetime], elapsed: Callable[[], float]) -> None:
        self._local = local
        self._elapsed = elapsed
        self._samples: dict[Source, _Sample] = {}

    def note(self, source: Source, date: str | None) -> None:
        """Take the Date of an answer that arrived just now; one that is missing or cannot be read changes nothing."""
        try:
            parsed = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if parsed.tzinfo:
            self._samples[source] = _Sample(parsed, self._elapsed())

    def now(self) -> datetime:
        """The API server's time, by which objects are created; this machine's before its first answer."""
        sample = self._samples.get(Source.API_SERVER)
        return self._carried_on(sample) if sample else self._local()

    def likely(self) -> datetime:
        """The time by which something is counted: one clock that is off does not change it.

        The middle one of those of this machine, the API server and AWS; ``now`` until both have answered.
        """
        told = sorted(map(self._carried_on, list(self._samples.values())))
        if len(told) < len(Source):
            return self.now()
        earlier, later = told
        return min(max(self._local(), earlier), later)

    def skews(self) -> Mapping[Source, timedelta]:
        """By how much this machine's clock is ahead of the others, as far as that is known."""
        local, elapsed = self._local(), self._elapsed()
        return {
            source: local - self._carried_on(sample)
            for source, sample in list(self._samples.items())
            if source is Source.API_SERVER or elapsed - sample.at <= STALE_SECONDS
        }

    def disagreement(self) -> str | None:
        """Which clocks differ by more than the tolerance, in words; None if they agree."""
        for source, skew in self.skews().items():
            if abs(skew) > TOLERANCE:
                direction = "ahead of" if skew > timedelta() else "behind"
                return f"the operator's clock is {_rounded(abs(skew))} {direction} that of {_NAMES[source]}"
        return None

    def _carried_on(self, sample: _Sample) -> datetime:
        return sample.date + timedelta(seconds=self._elapsed() - sample.at)


_NAMES: Final = {Source.API_SERVER: "the Kubernetes API server", Source.AWS: "AWS"}


def _rounded(span: timedelta) -> str:
    return next(f"{round(span / unit)} {name}" for unit, name in _UNITS if span >= unit)
