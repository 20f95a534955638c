"""What people and machines do in the month: fixed by the inputs and a seed, before anything is decided about it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final

from eep_platform.bench.month.agenda import DAY, HOUR, MINUTE

_WEEKEND: Final = 5
_MORNING, _EVENING = 8, 18


@dataclass(frozen=True, slots=True)
class Inputs:
    """The numbers that the month rests on. None was chosen by what comes out.

    ``price`` is that of one ml.m5.large in us-east-1 (AWS Price List API, 30 July 2026). Pull requests stay open for
    a day in the median, and some for weeks: the lognormal distribution has 80 % closed within four days, as a study
    of GitHub found (https://doi.org/10.1145/2568225.2568260). All else is an assumption about a team: it works on
    weekdays, a push and a look come every few hours while somebody works on the change, one pull request of twelve is
    forgotten, one of twenty is reopened.
    """

    days: int = 30
    pull_requests: int = 500
    price: float = 0.115
    open_median: float = DAY
    open_sigma: float = 1.65
    weekend_share: float = 0.06
    pushes: float = 4.0
    visits: float = 8.0
    forgotten: float = 0.08
    reopened: float = 0.05
    noticed: float = 0.5
    """The share of those that are reopened within minutes."""

    merged: float = 0.8
    deleted_by_workflow: float = 0.3
    """The share of those whose workflow deletes the object when the pull request is closed."""

    managed: float = 0.1
    """The share whose objects a GitOps tool manages: expired, they stay as tombstones."""

    extends: float = 0.6
    """How likely somebody who looks at a preview in its last day extends it."""

    extension: float = 3 * DAY
    idle: float = 0.0
    """How long nobody uses an endpoint until it sleeps; 0: none sleeps."""

    counts_use: bool = False
    """Whether the time to live counts from the last look, or else from the last push."""

    budget: float = 0.0
    """What an object may cost in USD; 0: there is no budget."""

    pinned: float = 0.0
    """The share of objects that somebody pins when they are made."""

    revived: float = 0.5
    """How likely somebody who finds no preview has it made again."""

    stripped: int = 3
    """Objects whose finalizer somebody removes by hand."""

    failing: float = 0.02
    """The share of endpoints whose creation fails."""

    refused: float = 0.002
    lost: float = 0.002
    """The shares of calls to AWS that fail, and whose answers are lost, every day."""

    throttled: float = 0.5
    """The share that is throttled while that is the trouble."""

    lost_in_trouble: float = 0.1
    """The share whose answers are lost while AWS is in trouble."""


class Trouble(StrEnum):
    """What goes wrong, from a time on and for a while; see ``TROUBLES``."""

    OPERATOR = "Operator"
    HANDOVER = "Handover"
    PAUSE = "Pause"
    CLUSTER = "Cluster"
    FORGE = "Forge"
    FORGETS = "Forgets"
    LIES = "Lies"
    AWS = "AWS"
    THROTTLED = "Throttled"
    AHEAD = "Ahead"
    BEHIND = "Behind"
    LOCAL = "Local"


TROUBLES: Final = {
    Trouble.OPERATOR: "No operator runs",
    Trouble.HANDOVER: "Another operator takes over, and knows nothing",
    Trouble.PAUSE: "The operator's machine sleeps, and its monotonic clock with it",
    Trouble.CLUSTER: "The API server does not answer",
    Trouble.FORGE: "The forge does not answer",
    Trouble.FORGETS: "The forge says that no pull request exists",
    Trouble.LIES: "The forge says that all pull requests are closed",
    Trouble.AWS: "Every call to AWS fails",
    Trouble.THROTTLED: "Half of the calls to AWS are throttled, and some answers are lost",
    Trouble.AHEAD: "The clock of the API server is two days ahead",
    Trouble.BEHIND: "The clock of the API server is a day behind",
    Trouble.LOCAL: "The clock of the operator's machine is three days ahead",
}


@dataclass(frozen=True, slots=True)
class Window:
    """A trouble, in seconds since the start."""

    trouble: Trouble
    start: float
    end: float


class Act(StrEnum):
    """What happens to a pull request."""

    PUSH = "Push"
    VISIT = "Visit"
    CLOSE = "Close"
    MERGE = "Merge"
    REOPEN = "Reopen"
    STRIP = "Strip"


@dataclass(frozen=True, slots=True)
class PullRequestStory:
    """A pull request: what happens to it when, after it was opened."""

    number: int
    opened_at: float
    acts: tuple[tuple[float, Act], ...]
    is_managed: bool
    is_deleted_by_workflow: bool


@dataclass(frozen=True, slots=True)
class Story:
    """The whole month."""

    inputs: Inputs
    seed: int
    pull_requests: tuple[PullRequestStory, ...]
    windows: tuple[Window, ...] = field(default=())

    @property
    def end(self) -> float:
        """When it ends, in seconds."""
        return self.inputs.days * DAY


def month(inputs: Inputs, seed: int) -> Story:
    """A month in which everything goes wrong once, the operator for a week."""
    random = Random(seed)  # noqa: S311 - a story, not a secret
    return Story(inputs, seed, tuple(_pull_requests(inputs, random)), tuple(_windows(inputs, random)))


def told(inputs: Inputs, seed: int, windows: tuple[Window, ...]) -> Story:
    """The same people with other troubles."""
    return Story(inputs, seed, tuple(_pull_requests(inputs, Random(seed))), windows)  # noqa: S311 - likewise


def _pull_requests(inputs: Inputs, random: Random) -> Iterator[PullRequestStory]:
    stripped = set(random.sample(range(inputs.pull_requests), min(inputs.stripped, inputs.pull_requests)))
    for number in range(inputs.pull_requests):
        opened_at = working(_day(inputs, random) * DAY + random.uniform(_MORNING, _EVENING) * HOUR, random)
        lasts = inputs.open_median * random.lognormvariate(0.0, inputs.open_sigma)
        closed_at = opened_at + max(5 * MINUTE, lasts)
        if random.random() < inputs.forgotten:
            closed_at = inputs.days * DAY + DAY
        acts = list(_life(inputs, random, opened_at, closed_at))
        if number in stripped:
            acts.append((opened_at + random.uniform(0.2, 0.9) * (closed_at - opened_at), Act.STRIP))
        yield PullRequestStory(
            number + 1,
            opened_at,
            tuple(sorted(acts)),
            random.random() < inputs.managed,
            random.random() < inputs.deleted_by_workflow,
        )


def _day(inputs: Inputs, random: Random) -> int:
    """The day on which one is opened: on a few weekends people work."""
    days = range(inputs.days)
    weekend = [day for day in days if day % 7 >= _WEEKEND]
    weekdays = [day for day in days if day % 7 < _WEEKEND]
    return random.choice(weekend if weekend and random.random() < inputs.weekend_share else weekdays)


def working(at: float, random: Random) -> float:
    """The time, or the next morning of a weekday if it is at night."""
    hour = at % DAY / HOUR
    if _MORNING <= hour < _EVENING:
        return at
    day = int(at // DAY) + (1 if hour >= _EVENING else 0)
    while day % 7 >= _WEEKEND:
        day += 1
    return day * DAY + (_MORNING + random.random()) * HOUR


def _life(inputs: Inputs, random: Random, opened_at: float, closed_at: float) -> Iterator[tuple[float, Act]]:
    active = min(closed_at, opened_at + 6 * DAY) - opened_at
    for act, mean in ((Act.PUSH, inputs.pushes), (Act.VISIT, inputs.visits)):
        for _ in range(int(random.expovariate(1 / mean))):
            at = working(opened_at + active * random.random() ** 1.5, random)
            if opened_at < at < closed_at:
                yield at, act
    ends = Act.MERGE if random.random() < inputs.merged else Act.CLOSE
    yield closed_at, ends
    if ends is Act.CLOSE and random.random() < inputs.reopened / (1 - inputs.merged):
        reopened_at = closed_at + (
            random.uniform(1, 9) * MINUTE if random.random() < inputs.noticed else random.uniform(1, 30) * HOUR
        )
        yield reopened_at, Act.REOPEN
        for _ in range(2):
            yield reopened_at + random.uniform(0.1, 20) * HOUR, Act.VISIT
        yield reopened_at + 24 * HOUR, Act.MERGE


def _windows(inputs: Inputs, random: Random) -> Iterator[Window]:
    lengths = {
        Trouble.OPERATOR: (6 * HOUR, 7 * DAY),
        Trouble.PAUSE: (9 * HOUR,),
        Trouble.CLUSTER: (40 * MINUTE, 5 * HOUR),
        Trouble.FORGE: (3 * HOUR, 12 * HOUR),
        Trouble.FORGETS: (HOUR,),
        Trouble.LIES: (2 * HOUR,),
        Trouble.AWS: (HOUR, 4 * HOUR),
        Trouble.THROTTLED: (8 * HOUR,),
        Trouble.AHEAD: (3 * HOUR,),
        Trouble.BEHIND: (3 * HOUR,),
        Trouble.LOCAL: (6 * HOUR,),
        Trouble.HANDOVER: (0.0,) * 8,
    }
    for trouble, each in lengths.items():
        for length in each:
            start = random.uniform(DAY, max(DAY, inputs.days * DAY - length))
            yield Window(trouble, start, start + length)
