from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.features.expiry.brake import LEAST, WINDOW_SECONDS
from ephemeral_endpoints.features.reviews.errors import ForgeError, ForgeLimited, ForgeNotFound, ForgeUnavailable
from ephemeral_endpoints.features.reviews.forge import PullRequest, PullRequestKey
from ephemeral_endpoints.features.reviews.pull_requests.watched import (
    LONGEST_SECONDS,
    STALE_SECONDS,
    URGENT_SECONDS,
    Wanted,
    Watched,
)
from ephemeral_endpoints.kube.cache import endpoint_key

OPEN, CLOSED, MERGED = PullRequestState
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GRACE = timedelta(minutes=10)
DOWN = ForgeUnavailable("502 Bad Gateway")
MISSING = ForgeNotFound("pull request 1 of acme/wine: Could not resolve to a PullRequest with the number of 1.")


def key(number: int) -> PullRequestKey:
    return PullRequestKey("acme/wine", number)


def keys(count: int) -> list[PullRequestKey]:
    return [key(number) for number in range(1, count + 1)]


class Forge:
    """The pull requests of a class, and a forge that answers as it is told, while time passes."""

    def __init__(self, count: int, grace: timedelta = GRACE) -> None:
        self.watched = Watched(grace, share=0.25)
        self.wanted = set(keys(count))
        self.open_before: set[PullRequestKey] = set()
        self.states: dict[PullRequestKey, PullRequestState | ForgeError] = {}
        self.down: ForgeError | None = None
        self.now = 0.0
        self.confirmed: datetime | None = None

    def turn(self, seconds: float = 0.0) -> list[int]:
        """Which are asked for so many seconds later."""
        self.now += seconds
        wanted = {each: Wanted([endpoint_key("nlp", "pr")], each in self.open_before) for each in self.wanted}
        asked = self.watched.due(wanted, self.now)
        if asked:
            self.watched.take({each: self.answer(each) for each in asked}, self.now, self.now, self.today)
        self.changed = self.watched.judge(self.confirmed, self.now)
        return sorted(each.number for each in asked)

    def turns(self, seconds: int) -> dict[int, int]:
        """How many are asked for after how many of the coming seconds."""
        counts = [len(self.turn(1.0)) for _ in range(seconds)]
        return {second: count for second, count in enumerate(counts, 1) if count}

    def wait(self, seconds: int) -> None:
        """Let time pass in larger steps."""
        for _ in range(0, seconds, 30):
            self.turn(30.0)

    @property
    def today(self) -> datetime:
        return NOON + timedelta(seconds=self.now)

    def answer(self, each: PullRequestKey) -> PullRequest | ForgeError:
        state = self.down or self.states.get(each, OPEN)
        return state if isinstance(state, ForgeError) else PullRequest(each, state, "a" * 40, is_fork=False)

    def close(self, which: Iterable[PullRequestKey], state: PullRequestState | ForgeError = CLOSED) -> None:
        self.states |= dict.fromkeys(which, state)

    def ends(self) -> set[PullRequestKey]:
        return {each for each in self.wanted if self.watched.view(each, self.now).ends}


def test_all_are_asked_for_once_a_minute_and_nothing_else_at_rest() -> None:
    forge = Forge(300)
    assert len(forge.turn()) == 300
    assert forge.turns(180) == {60: 300, 120: 300, 180: 300}


def test_a_thousand_take_twice_as_long() -> None:
    forge = Forge(1000)
    forge.turn()
    assert forge.turns(240) == {120: 1000, 240: 1000}


def test_one_that_is_new_is_asked_for_soon_and_alone() -> None:
    forge = Forge(3)
    forge.turn()
    forge.wanted.add(key(4))
    assert forge.turn(1.0) == [4]
    assert forge.turn(1.0) == []


def test_one_that_is_woken_is_asked_for_at_once_and_a_flood_of_wakes_is_one_question_in_five_seconds() -> None:
    forge = Forge(100)
    forge.turn()
    asked = {}
    for second in range(1, 31):
        forge.watched.woken |= {key(1 + second % 100), key(7)}
        if found := forge.turn(1.0):
            asked[second] = len(found)
    assert len(asked) == 30 / URGENT_SECONDS
    assert asked[1] == 2, "the first one at once"
    assert max(asked.values()) <= URGENT_SECONDS + 1, "only those that were woken"


def test_what_is_woken_but_belongs_to_no_object_is_not_asked_for() -> None:
    forge = Forge(1)
    forge.turn()
    forge.watched.woken.add(key(99))
    assert forge.turn(10.0) == []


def test_the_sight_that_decides_comes_when_the_grace_is_over_and_not_a_round_later() -> None:
    forge = Forge(1000, timedelta(seconds=30))
    forge.turn()
    forge.close([key(7)])
    forge.watched.woken.add(key(7))
    assert forge.turn(1.0) == [7]
    assert forge.ends() == set()
    assert forge.turn(29.0) == []
    assert forge.turn(1.0) == [7]
    assert forge.ends() == {key(7)}
    assert forge.changed == {key(7)}, "its objects are reconciled for that"


@pytest.mark.parametrize("state", [CLOSED, MERGED])
def test_reopened_within_the_grace_it_is_kept_and_its_next_grace_is_a_whole_one(state: PullRequestState) -> None:
    forge = Forge(1)
    forge.close([key(1)], state)
    forge.turn()
    forge.close([key(1)], OPEN)
    forge.turn(300.0)
    forge.close([key(1)], state)
    forge.turn(60.0)
    forge.turn(599.0)
    assert forge.ends() == set()
    forge.turn(1.0)
    forge.turn(5.0)
    assert forge.ends() == {key(1)}


@pytest.mark.parametrize("error", [DOWN, MISSING, ForgeLimited("secondary limit", 60.0)])
def test_what_is_unknown_ends_nothing_however_long(error: ForgeError) -> None:
    forge = Forge(1)
    forge.close([key(1)], error)
    for _ in range(100):
        forge.turn(900.0)
    assert forge.ends() == set()
    assert forge.watched.view(key(1), forge.now).error is error


def test_between_two_closed_sights_unknown_ones_neither_count_nor_hinder() -> None:
    forge = Forge(2)
    forge.close([key(1)])
    forge.turn()
    forge.close([key(1)], MISSING)
    forge.wait(1200)
    assert forge.ends() == set(), "a second sight is missing"
    forge.close([key(1)])
    forge.wait(60)
    assert forge.ends() == {key(1)}


def test_an_outage_of_minutes_changes_nothing_that_is_shown_and_a_longer_one_is_said() -> None:
    forge = Forge(2)
    forge.turn()
    forge.down = DOWN
    changes = []
    while forge.now < STALE_SECONDS - 1:
        forge.turn(1.0)
        changes.append(forge.changed)
    assert not any(changes)
    forge.turn(2.0)
    assert forge.changed == {key(1), key(2)}
    assert forge.watched.view(key(1), forge.now).error is DOWN
    forge.down = None
    forge.turn(LONGEST_SECONDS)
    assert forge.changed == {key(1), key(2)}
    assert forge.watched.view(key(1), forge.now).error is None


def test_of_one_that_was_never_seen_the_reason_is_said_at_once() -> None:
    forge = Forge(1)
    forge.down = DOWN
    forge.turn()
    assert forge.watched.view(key(1), forge.now).error is DOWN
    assert forge.changed == {key(1)}


def test_while_nothing_is_answered_the_pauses_grow() -> None:
    forge = Forge(10)
    forge.down = DOWN
    forge.turn()
    moments = [*forge.turns(4000)]
    pauses = [later - earlier for earlier, later in zip([0, *moments], moments, strict=False)]
    assert pauses == [60, 120, 240, 480, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]


def test_one_that_cannot_be_read_holds_up_no_other() -> None:
    forge = Forge(10)
    forge.close([key(1)], DOWN)
    forge.turn()
    assert forge.turns(120) == {60: 10, 120: 10}


def test_a_wrong_number_does_not_hold_up_one_that_is_new() -> None:
    forge = Forge(1)
    forge.close([key(1)], MISSING)
    forge.wait(1000)
    forge.wanted.add(key(2))
    assert forge.turn(5.0) == [2]


def test_as_long_as_the_forge_says_it_is_left_alone() -> None:
    forge = Forge(10)
    forge.down = ForgeLimited("secondary limit", 1800.0)
    forge.turn()
    forge.down = None
    forge.watched.woken.add(key(1))
    assert forge.turns(1790) == {}
    assert forge.turns(20) == {10: 10}


def test_a_mass_that_closes_at_once_ends_nothing_until_a_person_confirms_it() -> None:
    forge = Forge(100)
    forge.turn()
    forge.close(keys(30))
    forge.wait(3600)
    assert forge.ends() == set()
    assert len(forge.watched.held) == 30
    forge.close([key(50)])
    forge.wait(1200)
    assert forge.ends() == {key(50)}, "one that closes later is no part of it"
    forge.confirmed = forge.today
    forge.turn(1.0)
    assert forge.ends() == {*keys(30), key(50)}
    assert forge.changed == set(keys(30))


def test_what_was_closed_before_it_was_ever_seen_open_holds_nothing() -> None:
    """Somebody makes objects for pull requests that closed long ago."""
    forge = Forge(100)
    forge.turn()
    stale = [key(number) for number in range(1001, 1051)]
    forge.wanted |= set(stale)
    forge.close([*stale, key(7)])
    forge.wait(1200)
    assert forge.watched.held == frozenset()
    assert forge.ends() == {*stale, key(7)}


def test_a_mass_that_closes_while_the_operator_does_not_run_is_held_by_what_objects_say() -> None:
    forge = Forge(100)
    forge.open_before = set(keys(30))
    forge.close(keys(40))
    forge.wait(1200)
    assert forge.watched.held == frozenset(keys(30))
    assert forge.ends() == set(keys(40)) - set(keys(30))


def test_a_confirmation_is_no_blank_cheque_for_what_closes_later() -> None:
    forge = Forge(100)
    forge.turn()
    forge.confirmed = forge.today
    forge.close(keys(30))
    forge.wait(1200)
    assert forge.ends() == set()


def test_a_mass_of_which_most_are_seen_open_again_is_none() -> None:
    forge = Forge(100)
    forge.turn()
    forge.close(keys(30))
    forge.wait(1200)
    forge.close(keys(30)[5:], OPEN)
    forge.wait(60)
    assert forge.ends() == set(keys(5)), "those are closed indeed"


def test_what_ends_bit_by_bit_counts_although_its_objects_are_gone() -> None:
    forge = Forge(20, timedelta())
    forge.turn()
    ended = 0
    for number in range(1, 21):
        forge.close([key(number)])
        forge.turns(45)
        forge.wanted -= forge.ends()
        ended = 20 - len(forge.wanted)
    assert ended == LEAST, "not more of twenty in a quarter of an hour"
    assert WINDOW_SECONDS >= 20 * 45


def test_what_belongs_to_no_object_any_more_is_forgotten() -> None:
    forge = Forge(100)
    forge.close([key(1)])
    forge.turn()
    forge.wanted.clear()
    forge.wait(int(WINDOW_SECONDS) + 60)
    watched = forge.watched
    known: tuple[Mapping[PullRequestKey, object], ...] = (watched.sights, watched.errors)
    assert not any(known)
    assert forge.turns(300) == {}
