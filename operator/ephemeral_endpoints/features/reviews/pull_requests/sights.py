"""What was seen of pull requests, and what follows from it: whether one is closed for good. Pure.

Times are monotonic seconds of when the forge was asked, unless they are times of day.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final, Self

from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.features.reviews.forge import PullRequest, PullRequestKey

ROUND_SECONDS: Final = 60.0
ROUND_QUERIES: Final = 5
"""So many queries in a minute are asked at rest, which leaves the greater part of the budget to what is published."""

QUERY_SIZE: Final = 100


@dataclass(frozen=True, slots=True)
class Sight:
    """A pull request as it was last seen.

    ``closed_from`` is the first of the sights of it closed between which it was not seen open, and ``closed_since`` its
    time of day; both are None of an open one. An answer that does not say whether it is open is no sight.
    """

    pull_request: PullRequest
    at: float
    closed_from: float | None = None
    closed_since: datetime | None = None

    @classmethod
    def first(cls, pull_request: PullRequest, at: float, now: datetime) -> Self:
        """The first sight. ``now`` is the time of day."""
        if pull_request.state is PullRequestState.OPEN:
            return cls(pull_request, at)
        return cls(pull_request, at, at, now)

    def then(self, pull_request: PullRequest, at: float, now: datetime) -> "Sight":
        """The next sight after this one; an answer to an earlier question changes nothing."""
        if at <= self.at:
            return self
        if self.closed_from is None or pull_request.state is PullRequestState.OPEN:
            return Sight.first(pull_request, at, now)
        return replace(self, pull_request=pull_request, at=at)

    @property
    def is_closed(self) -> bool:
        """Whether it was last seen closed or merged."""
        return self.closed_from is not None

    def is_over(self, grace: timedelta) -> bool:
        """Whether it was seen closed twice, with the grace between."""
        return self.closed_from is not None and self.at > self.closed_from and self.at >= self._confirmed_at(grace)

    def confirmation_due(self, grace: timedelta) -> float | None:
        """From when on another sight decides; None of an open one, and of one that is decided."""
        return None if self.closed_from is None or self.is_over(grace) else self._confirmed_at(grace)

    def _confirmed_at(self, grace: timedelta) -> float:
        return (self.closed_from or 0.0) + grace.total_seconds()


def pause(pull_requests: Iterable[PullRequestKey]) -> float:
    """The seconds from one round to the next, in which all of them are asked for once.

    An owner counts once, in whatever case objects write it: none of them slows down the others by that.
    """
    by_owner: dict[str, int] = {}
    for each in pull_requests:
        owner = each.repository.partition("/")[0].lower()
        by_owner[owner] = by_owner.get(owner, 0) + 1
    queries = sum(ceil(count / QUERY_SIZE) for count in by_owner.values())
    return ROUND_SECONDS * max(1.0, queries / ROUND_QUERIES)
