from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.expiry.brake import LEAST, WINDOW_SECONDS
from ephemeral_endpoints.features.reviews.forge import PullRequestKey
from ephemeral_endpoints.features.reviews.pull_requests.breaker import held

SHARE = 0.25


def keys(count: int, repository: str = "acme/wine") -> list[PullRequestKey]:
    return [PullRequestKey(repository, number) for number in range(count)]


def of(*groups: tuple[str, Iterable[PullRequestKey]]) -> dict[PullRequestKey, set[str]]:
    """Pull requests with the namespaces of their objects."""
    found: dict[PullRequestKey, set[str]] = {}
    for namespace, numbers in groups:
        for each in numbers:
            found.setdefault(each, set()).add(namespace)
    return found


def at(moment: float, *groups: Iterable[PullRequestKey]) -> Mapping[PullRequestKey, float]:
    return {each: moment for group in groups for each in group}


@pytest.mark.parametrize(
    ("closed", "total", "share", "count", "why"),
    [
        (250, 1000, 0.25, 0, "as many as may"),
        (251, 1000, 0.25, 251, "one more, and all of them are held"),
        (1000, 1000, 0.25, 1000, "all"),
        (LEAST, LEAST, 0.25, 0, "so few are no sign of anything"),
        (LEAST + 1, LEAST + 1, 0.25, LEAST + 1, "but one more is"),
        (1000, 1000, 1.0, 0, "the guard is off"),
        (0, 0, 0.25, 0, "there are none"),
    ],
)
def test_more_than_a_share_that_is_closed_at_once_ends_nothing(
    closed: int, total: int, share: float, count: int, why: str
) -> None:
    assert len(held(at(0.0, keys(closed)), of(("nlp", keys(total))), share)) == count, why


def test_what_closes_one_after_the_other_is_no_mass() -> None:
    spread = {key: number * WINDOW_SECONDS for number, key in enumerate(keys(100))}
    assert held(spread, of(("nlp", spread)), SHARE) == frozenset()


def test_only_what_closed_at_about_the_same_time_is_held() -> None:
    long_before, *mass = keys(32)
    closed = {long_before: 0.0, **at(10 * WINDOW_SECONDS, mass)}
    assert held(closed, of(("nlp", keys(100))), SHARE) == frozenset(mass)


def test_what_a_person_confirms_is_neither_held_nor_counted() -> None:
    first, *others = keys(40)
    closed, watched = at(0.0, [first], others), of(("nlp", keys(100)))
    assert held(closed, watched, SHARE, confirmed=others) == frozenset()
    assert held(closed, watched, SHARE, confirmed=[first]) == frozenset(others)


OURS, THEIRS = keys(40), keys(40, "acme/beer")
FEW = [each for number in range(5) for each in keys(9, f"acme/{number}")]


@pytest.mark.parametrize(
    ("watched", "closed", "expected", "why"),
    [
        (of(("a", OURS), ("b", THEIRS)), [OURS, THEIRS[:1]], OURS, "one namespace does not hold up another"),
        (of(("a", [*OURS, *THEIRS])), [OURS, THEIRS[:1]], OURS, "nor one repository another"),
        (of(("a", OURS), ("b", [*OURS[:10], *THEIRS])), [THEIRS, OURS[:10]], THEIRS, "nor by objects for the same"),
        (of(("a", keys(40)), ("b", keys(40))), [OURS], OURS, "it is a mass in both"),
        (of(("a", FEW)), [FEW], FEW, "few of each of many repositories are a mass of the namespace"),
    ],
)
def test_who_is_held_up_by_whom(
    watched: Mapping[PullRequestKey, set[str]],
    closed: list[list[PullRequestKey]],
    expected: list[PullRequestKey],
    why: str,
) -> None:
    assert held(at(0.0, *closed), watched, SHARE) == frozenset(expected), why


def test_few_of_each_of_many_namespaces_are_a_mass_all_the_same() -> None:
    watched = of(*((f"team-{number}", keys(10, f"acme/{number}")) for number in range(20)))
    assert held(at(0.0, watched), watched, SHARE) == frozenset(watched), "the forge must be wrong"
    assert held(at(0.0, list(watched)[:10]), watched, SHARE) == frozenset(), "one team that is done is not"


@given(st.lists(st.floats(0, 3000), max_size=60), st.integers(0, 60), st.sampled_from((0.05, 0.25, 1.0)))
def test_no_window_has_more_than_the_share_of_closed_ones_that_may_end(
    moments: list[float], others: int, share: float
) -> None:
    total = len(moments) + others
    closed = dict(zip(keys(len(moments)), moments, strict=True))
    found = held(closed, of(("nlp", keys(total))), share)
    free = sorted(moment for key, moment in closed.items() if key not in found)
    for begin in free:
        within = [moment for moment in free if begin <= moment <= begin + WINDOW_SECONDS]
        assert len(within) <= max(LEAST, share * total + 1)
