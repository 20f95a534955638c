from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.reviews.commands.allowance import Allowance


def test_what_is_used_up_comes_back_when_its_time_is_over() -> None:
    now = 0.0
    allowance = Allowance(4, 10.0, lambda: now)
    assert (allowance.take("a"), allowance.wait("a")) == (True, 0.0)
    now = 4.0
    assert (allowance.take("a"), allowance.take("a"), allowance.wait("a")) == (True, False, 6.0)
    now = 10.0
    assert (allowance.wait("a"), allowance.take("a"), allowance.take("a"), allowance.wait("a")) == (
        0.0,
        True,
        False,
        4.0,
    )


def test_one_group_leaves_half_to_the_next_and_so_on() -> None:
    allowance = Allowance(120, 10.0, lambda: 0.0)
    taken = [sum(allowance.take(group) for _ in range(200)) for group in "abcdefgh"]
    assert taken == [60, 30, 15, 8, 4, 2, 1, 0]


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from("abc")), max_size=60), st.integers(1, 5))
def test_never_more_within_the_time_and_always_one_for_whoever_comes_alone(
    steps: list[tuple[float, str]], most: int
) -> None:
    now, taken = 0.0, list[float]()
    allowance = Allowance(most, 10.0, lambda: now)
    for pause, group in steps:
        now += pause
        recent = [moment for moment in taken if moment > now - 10.0]
        is_taken = allowance.take(group)
        assert is_taken or recent
        assert not is_taken or len(recent) < most
        taken += [now] if is_taken else []
