"""GitHub's time of day, as its answers tell it: it refuses what is signed by a clock that is wrong by a minute."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from ephemeral_endpoints.features.reviews.github.answers import date


class ForgeClock:
    """This machine's time of day, ``local``, corrected by the last answer."""

    def __init__(self, local: Callable[[], datetime]) -> None:
        self._local = local
        self.ahead = 0.0
        """By how many seconds GitHub's clock is ahead of this machine's; 0 before its first answer."""

    def now(self) -> datetime:
        """GitHub's time."""
        return self._local() + timedelta(seconds=self.ahead)

    def seconds_until(self, moment: datetime) -> float:
        """How long it is to a moment that GitHub tells."""
        return (moment - self.now()).total_seconds()

    def note(self, headers: Mapping[str, str]) -> None:
        """Take the Date of an answer that arrived just now; without one nothing changes."""
        sent = date(headers)
        if sent is not None:
            self.ahead = sent - self._local().timestamp()
