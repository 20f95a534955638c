from ephemeral_endpoints.local.chaos.matrix import covering, full, itineraries
from ephemeral_endpoints.local.chaos.points import Phase, Point
from ephemeral_endpoints.local.chaos.troubles import Trouble

POINTS = [Point(phase, "logs", f"Operation{number}") for phase in Phase for number in range(4)]


def test_all_cases_are_every_call_with_every_trouble() -> None:
    cases = full(POINTS)
    assert len(set(cases)) == len(POINTS) * len(Trouble)


def test_the_covering_part_has_every_call_once_and_every_trouble() -> None:
    cases = covering(POINTS)
    assert [case.point for case in cases] == POINTS
    assert {case.trouble for case in cases} == set(Trouble)


def test_every_case_is_in_exactly_one_life_and_in_its_own_phase() -> None:
    cases = full(POINTS)
    lives = itineraries(cases)
    assert sorted(map(str, cases)) == sorted(str(case) for life in lives for case in life.cases.values())
    assert all(
        phase in life.phases and case.point.phase is phase for life in lives for phase, case in life.cases.items()
    )


def test_half_of_the_lives_end_by_expiry() -> None:
    lives = itineraries(full(POINTS))
    assert sum(life.expires for life in lives) == len(lives) / 2
