from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.reviews.publishing.turns import (
    DEBOUNCE_SECONDS,
    FIRST_BACKOFF_SECONDS,
    LONGEST_BACKOFF_SECONDS,
    LONGEST_DEBOUNCE_SECONDS,
    OLDEST_EVERY,
    Turns,
    backoff,
)

LATER = 1000.0


def order(turns: Turns[str], now: float = LATER) -> list[str]:
    """In which order everything has its turn."""
    found = []
    while (key := turns.take(now)) is not None:
        found.append(key)
        turns.done(key)
    return found


def waiting(*keys: str, urgent: str = "") -> Turns[str]:
    """Changes of objects of one repository, a second apart."""
    turns: Turns[str] = Turns()
    for second, key in enumerate(keys):
        turns.add(key, "nlp", "acme/wine", float(second), is_urgent=key in urgent.split())
    return turns


def test_nothing_has_its_turn_before_it_stops_changing() -> None:
    turns: Turns[str] = Turns()
    turns.add("a", "nlp", "acme/wine", 0.0)
    assert turns.take(DEBOUNCE_SECONDS - 0.1) is None
    turns.add("a", "nlp", "acme/wine", 1.0)
    assert turns.take(DEBOUNCE_SECONDS) is None
    assert turns.due_in(DEBOUNCE_SECONDS) == 1.0
    assert order(turns, DEBOUNCE_SECONDS + 1.0) == ["a"]


def test_what_changes_all_the_time_has_its_turn_all_the_same() -> None:
    turns: Turns[str] = Turns()
    for tenth in range(int(LONGEST_DEBOUNCE_SECONDS * 10)):
        assert turns.take(tenth / 10) is None
        turns.add("a", "nlp", "acme/wine", tenth / 10)
    assert turns.take(LONGEST_DEBOUNCE_SECONDS) == "a"


def test_what_changes_five_times_while_it_waits_has_one_turn() -> None:
    assert order(waiting("a", "a", "b", "a", "a", "a")) == ["a", "b"]


def test_the_newest_change_comes_first_and_what_is_urgent_before_it() -> None:
    assert order(waiting("a", "b", "c", urgent="a")) == ["a", "c", "b"]


def test_each_fourth_turn_is_of_what_waits_longest() -> None:
    keys = [str(number) for number in range(8)]
    assert order(waiting(*keys)) == ["7", "6", "5", "0", "4", "3", "2", "1"]


def test_neither_urgent_nor_newer_changes_starve_an_old_one() -> None:
    turns = waiting("old")
    for second in range(1, OLDEST_EVERY + 1):
        turns.add(str(second), "nlp", "acme/wine", float(second), is_urgent=True)
    found = []
    for second in range(OLDEST_EVERY):
        turns.add(f"more {second}", "nlp", "acme/wine", 100.0 + second, is_urgent=True)
        key = turns.take(LATER)
        assert key is not None
        turns.done(key)
        found.append(key)
    assert "old" in found


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
def test_namespaces_share_the_turns_and_so_do_their_repositories(places: list[tuple[int, int]]) -> None:
    turns: Turns[str] = Turns()
    for number, (namespace, repository) in enumerate(places):
        turns.add(str(number), f"n{namespace}", f"r{repository}", float(number))
    left = Counter(namespace for namespace, _ in places)
    had: Counter[int] = Counter()
    for key in order(turns):
        namespace = places[int(key)][0]
        # Whoever has less than another had to have nothing left.
        assert all(had[namespace] <= had[other] for other in left if left[other])
        had[namespace] += 1
        left[namespace] -= 1
    assert had.total() == len(places)


def test_one_repository_of_a_namespace_does_not_starve_another() -> None:
    turns: Turns[str] = Turns()
    for number in range(50):
        turns.add(f"many {number}", "nlp", "acme/many", float(number))
    turns.add("one", "nlp", "acme/one", 0.0)
    assert "one" in order(turns)[:2]


def test_what_failed_waits_ever_longer_and_a_change_does_not_shorten_that() -> None:
    turns = waiting("a")
    now = LATER
    for failures in range(1, 9):
        assert turns.take(now) == "a"
        assert turns.failed("a", now) == failures
        turns.add("a", "nlp", "acme/wine", now)
        assert turns.due_in(now) == backoff(failures)
        now += backoff(failures)
    assert backoff(1) == FIRST_BACKOFF_SECONDS
    assert backoff(50) == LONGEST_BACKOFF_SECONDS


def test_what_changed_while_it_was_tried_has_one_more_turn_and_keeps_its_failures() -> None:
    turns = waiting("a")
    assert turns.take(LATER) == "a"
    turns.add("a", "nlp", "acme/wine", LATER)
    assert turns.failed("a", LATER) == 1
    assert turns.due_in(LATER) == FIRST_BACKOFF_SECONDS
    assert turns.take(LATER + FIRST_BACKOFF_SECONDS) == "a"
    assert turns.failed("a", LATER) == 2
    assert order(turns, LATER * 2) == ["a"]


def test_when_the_forge_answers_again_what_failed_is_tried_at_once() -> None:
    turns = waiting("a", "b")
    for _ in range(2):
        key = turns.take(LATER)
        assert key is not None
        turns.failed(key, LATER)
    assert turns.take(LATER) is None
    turns.revive(LATER)
    assert order(turns) == ["b", "a"]


def test_a_repository_that_is_held_holds_no_other() -> None:
    turns = waiting("a")
    turns.add("other", "nlp", "acme/other", 0.0)
    turns.hold("acme/wine", LATER + 60.0)
    assert order(turns) == ["other"]
    assert turns.due_in(LATER) == 60.0
    assert order(turns, LATER + 60.0) == ["a"]


@pytest.mark.parametrize("changes", [False, True])
def test_what_is_scheduled_comes_at_its_time_or_when_it_changes(*, changes: bool) -> None:
    turns: Turns[str] = Turns()
    turns.schedule("a", "nlp", "acme/wine", LATER)
    if changes:
        turns.add("a", "nlp", "acme/wine", 10.0)
    assert turns.due_in(10.0) == (DEBOUNCE_SECONDS if changes else LATER - 10.0)
    turns.schedule("a", "nlp", "acme/wine", 5.0)
    assert turns.take(9.0) is None


def test_what_is_discarded_has_no_turn() -> None:
    turns = waiting("a")
    turns.discard("a")
    assert turns.due_in(LATER) is None
    assert turns.take(LATER) is None
