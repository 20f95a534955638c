import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.checks.load.figures import plan

from ephemeral_endpoints.features.checks.load.plan import MOST_BODY_BYTES, LoadPlan
from ephemeral_endpoints.features.checks.requests import ModelRequest


@settings(max_examples=30)
@given(rate=st.integers(1, 50), seconds=st.integers(1, 60))
def test_requests_are_planned_at_equal_distances_within_the_duration(rate: int, seconds: int) -> None:
    made = plan(rate=rate, seconds=float(seconds))
    starts = made.starts()
    assert len(starts) == made.requests == rate * seconds
    assert starts[0] == 0
    assert starts[-1] < seconds
    assert all(later - earlier == pytest.approx(1 / rate) for earlier, later in pairwise(starts))


@pytest.mark.parametrize(
    ("concurrency", "median", "exceeds", "lanes", "reason"),
    [
        (1.0, 0.1, False, 1, "10 per second at 100 ms are exactly one at once"),
        (1.0, 0.11, True, 1, "a little more than one at once"),
        (4.0, 0.25, False, 3, "two and a half at once need three containers"),
        (2.5, 0.25, False, 2, "and no more are started than are taken"),
        (None, 9.0, False, 1, "nobody knows how many an instance takes"),
        (0.5, 0.01, False, 1, "there is always one"),
    ],
)
def test_what_the_endpoint_takes_follows_from_littles_law(
    concurrency: float | None,
    median: float,
    exceeds: bool,  # noqa: FBT001 - a table
    lanes: int,
    reason: str,
) -> None:
    made = plan(concurrency=concurrency)
    assert (made.exceeds(median), made.lanes(median)) == (exceeds, lanes), reason


@given(body=st.binary(max_size=200), content_type=st.text(max_size=20), concurrency=st.none() | st.floats(1, 200))
def test_a_job_reads_the_plan_that_the_operator_wrote(
    body: bytes, content_type: str, concurrency: float | None
) -> None:
    made = plan(request=ModelRequest(body, content_type), concurrency=concurrency)
    assert LoadPlan.from_json(made.to_json()) == made


def test_the_largest_plan_fits_into_a_variable_of_a_process() -> None:
    made = plan(request=ModelRequest(bytes(MOST_BODY_BYTES)), url="https://x.example/" + "a" * 2000)
    assert len(f"EEP_LOAD_PLAN={made.to_json()}".encode()) < 128 * 1024


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": 1}', "null"])
def test_anything_else_is_no_plan(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError), match=re.compile("")):
        LoadPlan.from_json(text)
