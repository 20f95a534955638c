"""What the month cost, and what it would have cost otherwise: hours of endpoints, by day."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from eep_platform.bench.month.account import Span
from eep_platform.bench.month.agenda import DAY, HOUR
from eep_platform.bench.month.promise import TTL
from eep_platform.bench.month.simulation import Month
from eep_platform.bench.month.story import Act, PullRequestStory
from ephemeral_endpoints.features.serving.specs import ENDPOINT

Hours = list[float]
"""The hours of endpoints on each day of the month."""

_STRETCH = tuple[float, float]
_TTL = TTL.total_seconds()


@dataclass(frozen=True, slots=True)
class Bill:
    """The hours of endpoints, by day.

    ``always_on``: every pull request gets an endpoint, and nobody deletes any. ``while_open``: somebody deletes each at
    the moment its pull request is closed, and forgets none. ``naive``: each is deleted when its time to live from the
    creation is over, used or not, closed or not; a push after that creates another. ``missed`` are the looks at an open
    pull request that found none of these.
    """

    operator: Hours
    always_on: Hours
    while_open: Hours
    naive: Hours
    missed: int


def bill(month: Month) -> Bill:
    """The bill of a month."""
    story, days = month.story, month.story.inputs.days
    spans = [_of(each, story.end) for each in month.spans if each.key.kind is ENDPOINT]
    naive = {each.number: list(_naive(each)) for each in story.pull_requests}
    return Bill(
        operator=_by_day(spans, days),
        always_on=_by_day(((each.opened_at, story.end) for each in story.pull_requests), days),
        while_open=_by_day((one for each in story.pull_requests for one in _open(each, story.end)), days),
        naive=_by_day((one for each in naive.values() for one in each), days),
        missed=sum(_missed(each, naive[each.number], story.end) for each in story.pull_requests),
    )


def _of(span: Span, end: float) -> _STRETCH:
    return span.made_at, end if span.gone_at is None else span.gone_at


def _open(pull_request: PullRequestStory, end: float) -> Iterator[_STRETCH]:
    """When it is open."""
    since: float | None = pull_request.opened_at
    for at, act in pull_request.acts:
        if act in {Act.CLOSE, Act.MERGE} and since is not None:
            yield since, at
            since = None
        elif act is Act.REOPEN:
            since = at
    if since is not None:
        yield since, end


def _naive(pull_request: PullRequestStory) -> Iterator[_STRETCH]:
    """An endpoint at the opening, and at each push or reopening that finds none."""
    until = pull_request.opened_at + _TTL
    yield pull_request.opened_at, until
    for at, act in pull_request.acts:
        if act in {Act.PUSH, Act.REOPEN} and at >= until:
            until = at + _TTL
            yield at, until


def _missed(pull_request: PullRequestStory, there: Iterable[_STRETCH], end: float) -> int:
    is_open, is_there = _within(_open(pull_request, end)), _within(there)
    visits = [at for at, act in pull_request.acts if act is Act.VISIT and at < end]
    return sum(is_open(at) and not is_there(at) for at in visits)


def _within(stretches: Iterable[_STRETCH]) -> Callable[[float], bool]:
    listed = list(stretches)
    return lambda at: any(start <= at < stop for start, stop in listed)


def _by_day(stretches: Iterable[_STRETCH], days: int) -> Hours:
    hours = [0.0] * days
    for start, stop in stretches:
        for day in range(int(start // DAY), min(days, int(stop // DAY) + 1)):
            hours[day] += max(0.0, min(stop, (day + 1) * DAY) - max(start, day * DAY)) / HOUR
    return hours
