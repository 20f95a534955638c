"""The promise holds whatever goes wrong, and its breach is seen: each protection of the operator, taken away, shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eep_platform.bench.month import leader, reaper, story
from eep_platform.bench.month.agenda import DAY, HOUR, MINUTE, moment
from eep_platform.bench.month.bill import bill
from eep_platform.bench.month.promise import (
    BOUND,
    MAX_TTL,
    REAPER_BOUND,
    REAPER_GRACE,
    TTL,
    Deletion,
    Life,
    Log,
    deadline,
    lost,
    spent,
)
from eep_platform.bench.month.simulation import Month, Simulation
from eep_platform.bench.month.story import Inputs, Trouble, Window
from ephemeral_endpoints.engine.clocks import Clocks
from ephemeral_endpoints.engine.resources import Key, Phase
from ephemeral_endpoints.features import subject
from ephemeral_endpoints.features.capacity import budgets
from ephemeral_endpoints.features.expiry import policy
from ephemeral_endpoints.features.expiry.observe import Activities
from ephemeral_endpoints.features.expiry.reaper.policy import Choice
from ephemeral_endpoints.features.reviews.pull_requests import watched
from ephemeral_endpoints.features.reviews.pull_requests.sights import Sight
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.features.sleep.policy import AWAKE, Calls

FEW = Inputs(days=6, pull_requests=14, stripped=1)
IDLE = 2 * HOUR


def simulated(*windows: Window, inputs: Inputs = FEW, seed: int = 7) -> Month:
    return Simulation(story.told(inputs, seed, windows)).run()


def window(trouble: Trouble, days: float, hours: float = 0.0) -> Window:
    return Window(trouble, days * DAY, days * DAY + hours * HOUR)


TROUBLES = st.builds(
    window, st.sampled_from(Trouble), st.floats(0.3, FEW.days - 1), st.sampled_from((0.1, 1.0, 5.0, 30.0))
)


BUDGET = 3.0
RULES = st.fixed_dictionaries(
    {
        "idle": st.sampled_from((0.0, IDLE)),
        "counts_use": st.booleans(),
        "budget": st.sampled_from((0.0, BUDGET)),
        "pinned": st.sampled_from((0.0, 0.3)),
    }
)
SLEEPING = {"idle": IDLE}


@settings(max_examples=16, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(TROUBLES, max_size=4), st.integers(0, 10**6), RULES)
@example([window(Trouble.BEHIND, 0.3, 5)], 496592, SLEEPING).via("endpoints became ready while the clock was behind")
@example([window(Trouble.BEHIND, 2.5, 5)], 496592, SLEEPING).via("a finalizer was removed while the clock was behind")
def test_nothing_leaks_and_nothing_is_lost_whatever_goes_wrong(
    troubles: list[Window], seed: int, rules: dict[str, Any]
) -> None:
    month = simulated(*troubles, seed=seed, inputs=replace(FEW, **rules))
    assert month.leaked_hours == 0
    assert not month.lost
    assert month.log.lives


BUSY = Inputs(days=7, pull_requests=60)
TROUBLED = (window(Trouble.AHEAD, 1.5, 3), window(Trouble.LIES, 2.45, 2), window(Trouble.PAUSE, 3.3, 9))
ABANDONED = (window(Trouble.OPERATOR, 3.5, 24 * 30),)


OUTVOTED = (window(Trouble.AHEAD, 1.45, 6), window(Trouble.LOCAL, 1.45, 6))
"""Two of three clocks are off."""

CLOCKS = (
    window(Trouble.LOCAL, 1.2, 6),
    window(Trouble.AHEAD, 2.2, 6),
    window(Trouble.HANDOVER, 2.25),
    window(Trouble.BEHIND, 3.2, 6),
    window(Trouble.HANDOVER, 3.25),
    window(Trouble.OPERATOR, 4.0, 10),
)


@pytest.mark.parametrize(
    ("windows", "by"), [(TROUBLED, {"operator", "sweep"}), (ABANDONED, {"operator", "sweep", "reaper"})]
)
def test_a_busy_week(windows: tuple[Window, ...], by: set[str]) -> None:
    month = simulated(*windows, inputs=BUSY)
    assert (month.leaked_hours, month.lost) == (0, [])
    assert {each.by for each in month.log.deletions} >= by, "all of them had work"


def test_endpoints_that_sleep_wake_for_whoever_looks_and_cost_a_fraction() -> None:
    awake, asleep = (simulated(*TROUBLED, inputs=replace(BUSY, idle=idle)) for idle in (0.0, IDLE))
    assert (asleep.leaked_hours, asleep.lost) == (0, [])
    assert asleep.missed["asleep"] > 10
    assert sum(bill(asleep).operator) < sum(bill(awake).operator) / 2
    uses = sum(len(each.used) for each in asleep.log.lives.values())
    assert sum(bill(asleep).operator) < (len(asleep.log.lives) + uses + 4 * BUSY.pull_requests) * 3


def test_budgets_stop_endpoints_but_those_that_are_pinned_and_clocks_that_are_off_spend_nothing() -> None:
    without, within = (simulated(*CLOCKS, inputs=replace(BUSY, budget=budget, pinned=0.2)) for budget in (0.0, BUDGET))
    assert (within.leaked_hours, within.lost) == (0, [])
    assert within.missed["asleep"] > 10, "a look does not wake them"
    assert sum(bill(within).operator) < sum(bill(without).operator) * 0.8
    most = {life.is_pinned: 0.0 for life in within.log.lives.values()}
    for owner, life in within.log.lives.items():
        most[life.is_pinned] = max(most[life.is_pinned], spent(owner, within.log, within.spans, within.story.end))
    assert most[False] < 2 * BUDGET < most[True], "the operator was away for ten hours, and budgets touch no pin"


def test_lives_that_count_from_the_last_look_are_longer_for_whoever_looks_and_end_all_the_same() -> None:
    by_push, by_use = (simulated(*CLOCKS, inputs=replace(BUSY, counts_use=each)) for each in (False, True))
    assert (by_use.leaked_hours, by_use.lost) == (0, [])
    assert by_use.missed.get("expired", 0) < by_push.missed["expired"]


_real_lifetime = policy.lifetime


def _without_extensions(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the real one
    return _real_lifetime(*arguments, **{**named, "extend_until": None})


def _without_doubt(used_at: datetime | None, woken_at: datetime | None, *, is_certain: bool) -> Calls:
    del is_certain
    return Calls(used_at, woken_at)


@dataclass(frozen=True)
class Mutation:
    """What is taken away, when that shows, and whether as something that is lost or that leaks."""

    target: Any
    name: str
    value: Any
    windows: tuple[Window, ...]
    loses: bool
    rules: Mapping[str, Any] = field(default_factory=dict)


_BUDGETS = {"budget": BUDGET, "pinned": 0.3}
MUTATIONS = {
    "the grace after a close": Mutation(Sight, "is_over", lambda sight, _: sight.is_closed, TROUBLED, loses=True),
    "the breaker of closings": Mutation(watched, "held", lambda *_, **__: frozenset(), TROUBLED, loses=True),
    "extensions": Mutation(subject, "lifetime", _without_extensions, TROUBLED, loses=True),
    "the comparison of clocks": Mutation(Clocks, "disagreement", lambda _: None, TROUBLED, loses=True),
    "the comparison of clocks before sleep": Mutation(
        leader, "Calls", _without_doubt, OUTVOTED, loses=True, rules=SLEEPING
    ),
    "the notice of use": Mutation(Activities, "note_use", lambda *_: False, TROUBLED, loses=True, rules=SLEEPING),
    "the notice of use for lives": Mutation(
        Activities, "note_use", lambda *_: False, TROUBLED, loses=True, rules={"counts_use": True}
    ),
    "the time that most clocks tell": Mutation(Clocks, "likely", Clocks.now, CLOCKS, loses=True, rules=_BUDGETS),
    "pins": Mutation(budgets, "is_pinned", lambda _: False, TROUBLED, loses=True, rules=_BUDGETS),
    "sleep by budgets": Mutation(leader, "forced_rest", lambda *_: AWAKE, TROUBLED, loses=False, rules=_BUDGETS),
    "tags that follow": Mutation(leader, "repairable", lambda _: (), ABANDONED, loses=True),
    "closings": Mutation(Sight, "is_closed", property(lambda _: False), TROUBLED, loses=False),
    "the sweep": Mutation(leader, "orphans", lambda *_: (), TROUBLED, loses=False),
    "the reaper": Mutation(reaper, "choose", lambda *_: Choice((), 0), ABANDONED, loses=False),
}


@pytest.mark.parametrize("taken_away", MUTATIONS)
def test_each_protection_is_needed(taken_away: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = MUTATIONS[taken_away]
    monkeypatch.setattr(mutation.target, mutation.name, mutation.value)
    month = simulated(*mutation.windows, inputs=replace(BUSY, **mutation.rules))
    assert month.lost if mutation.loses else month.leaked_hours > 1


NOON = 12 * HOUR
UID = "owner"
KEY = Key(ENDPOINT, "eep-c1-pr-1")


def log(*windows: Window, **life: Any) -> Log:  # noqa: ANN401 - members of any type
    return Log(list(windows), lives={UID: Life("pr-1", 1, NOON, moment(NOON), **life)})


@pytest.mark.parametrize(
    ("found", "closed", "expected", "reason"),
    [
        (log(), None, NOON + TTL.total_seconds() + BOUND, "its time to live is over"),
        (log(deleted_at=NOON + HOUR), None, NOON + HOUR + BOUND, "it was deleted"),
        (log(), (NOON + HOUR, float("inf")), NOON + HOUR + BOUND, "its pull request was closed"),
        (log(), (NOON + HOUR, NOON + 2 * HOUR), NOON + TTL.total_seconds() + BOUND, "and reopened in time"),
        (log(window(Trouble.AWS, 0.5, 2), deleted_at=NOON + HOUR), None, NOON + 2 * HOUR + BOUND, "AWS was down"),
        (
            log(window(Trouble.OPERATOR, 0.5, 240)),
            None,
            NOON + TTL.total_seconds() + REAPER_GRACE + REAPER_BOUND,
            "no operator ran: the reaper's",
        ),
        (
            log(extensions=[(NOON, moment(NOON) + 2 * MAX_TTL)]),
            None,
            NOON + MAX_TTL.total_seconds() + BOUND,
            "nobody extends it beyond the class's maximum",
        ),
    ],
)
def test_deadlines(found: Log, closed: tuple[float, float] | None, expected: float, reason: str) -> None:
    if closed:
        found.closed[1] = [closed]
    assert deadline(found.lives[UID], found) == pytest.approx(expected), reason


_deleted = partial(Deletion, key=KEY, owner=UID, phase=Phase.READY)


@pytest.mark.parametrize(
    ("deletion", "is_lost", "reason"),
    [
        (_deleted(at=NOON + 2 * HOUR, by="operator", sight=NOON + 2 * HOUR - 1), True, "the pull request is open"),
        (_deleted(at=NOON + 4 * HOUR, by="operator", sight=NOON + 4 * HOUR - 1), False, "closed for an hour"),
        (_deleted(at=NOON + 3 * HOUR + 5 * MINUTE, by="operator", sight=NOON + 3 * HOUR + 4 * MINUTE), True, "minutes"),
        (_deleted(at=NOON + 4 * HOUR, by="operator", sight=NOON + 3 * HOUR - 1), True, "but seen open"),
        (_deleted(at=NOON + 4 * HOUR, by="reaper", sight=NOON + 4 * HOUR - 1), True, "the reaper knows of ends only"),
        (_deleted(at=NOON + TTL.total_seconds(), by="reaper", sight=None), False, "its time to live is over"),
        (replace(_deleted(at=NOON + HOUR, by="operator", sight=None), phase=Phase.FAILED), False, "it had failed"),
    ],
)
def test_losses(deletion: Deletion, is_lost: bool, reason: str) -> None:  # noqa: FBT001 - a column
    found = log()
    found.closed[1] = [(NOON + 3 * HOUR, float("inf"))]
    found.deletions.append(deletion)
    assert bool(lost(found)) is is_lost, reason
