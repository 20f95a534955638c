import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.checks.load.figures import measured, plan

from ephemeral_endpoints.features.checks.load.measurement import Measurement, Sample, WarmUp
from ephemeral_endpoints.features.checks.load.report import MOST_BYTES, percentile, read, report

LATENCIES = st.lists(st.floats(0, 60), min_size=1, max_size=400)


@given(values=LATENCIES, share=st.floats(0.001, 1))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed_and_no_smaller_one_is(
    values: list[float], share: float
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(each <= found for each in ordered) >= share * len(ordered) - 1e-9
    assert sum(each < found for each in ordered) < share * len(ordered) + 1e-9


@pytest.mark.parametrize(
    ("latencies", "expected"),
    [
        ([index / 1000 for index in range(1, 101)], (50.0, 90.0, 99.0, 100.0)),
        ([index / 1000 for index in range(1000, 0, -1)], (500.0, 900.0, 990.0, 1000.0)),
        ([0.1], (100.0, 100.0, 100.0, 100.0)),
        ([0.01] * 99 + [9.0], (10.0, 10.0, 10.0, 9000.0)),
        ([0.01] * 98 + [9.0] * 2, (10.0, 10.0, 9000.0, 9000.0)),
    ],
)
def test_figures_of_known_distributions(latencies: list[float], expected: tuple[float, ...]) -> None:
    figures = report(measured(*latencies)).result
    assert figures is not None
    assert (figures.p50_ms, figures.p90_ms, figures.p99_ms, figures.max_ms) == expected


def test_failures_are_counted_by_their_status_and_the_most_frequent_are_told() -> None:
    statuses = [200, *[503] * 7, *[None] * 6, *[429] * 5, *[500] * 4, *[502] * 3, *[404] * 2, 204, 302]
    samples = tuple(Sample(0, 0.1, status, "") for status in statuses)
    figures = report(Measurement(plan(seconds=len(samples) / 10), WarmUp(1, 0.1, 200), samples)).result
    assert figures is not None
    assert figures.failed == len(statuses) - 2
    assert figures.failures == {"503": 7, "none": 6, "429": 5, "500": 4, "502": 3}


def test_variants_are_told_if_there_are_several_and_only_by_names_that_can_be_theirs() -> None:
    names = ["a"] * 6 + ["b"] * 3 + ["", "<script>", "x" * 31, "A"]
    samples = tuple(Sample(0, 0.1 * (name == "b"), 200, name) for name in names)
    one = plan(seconds=len(samples) / 10)
    figures = report(Measurement(one, WarmUp(1, 0.1, 200), samples)).result
    assert figures is not None
    assert [(each.name, each.answered, each.p99_ms) for each in figures.variants] == [("a", 6, 0.0), ("b", 3, 100.0)]
    only = report(measured(*[0.1] * 10, variant="a")).result
    assert only is not None
    assert only.variants == ()


@settings(max_examples=50)
@given(
    latencies=st.lists(st.floats(0, 60), min_size=10, max_size=300),
    variants=st.lists(st.text(max_size=40), min_size=10, max_size=10),
    statuses=st.lists(st.none() | st.integers(100, 599), min_size=10, max_size=10),
    lateness=st.floats(0, 10),
)
def test_every_report_fits_into_a_termination_message_and_is_read_as_it_was_written(
    latencies: list[float], variants: list[str], statuses: list[int | None], lateness: float
) -> None:
    samples = tuple(
        Sample(lateness, each, statuses[index % 10], variants[index % 10]) for index, each in enumerate(latencies)
    )
    made = report(Measurement(plan(seconds=len(samples) / 10), WarmUp(3, 0.1, 200), samples))
    text = made.to_json()
    assert len(text.encode()) <= MOST_BYTES
    assert read(text, planned=len(samples)) == made


def test_the_largest_report_does_without_its_histogram_rather_than_be_cut_off() -> None:
    samples = tuple(Sample(0, 10 ** (index / 600 - 3), 200, f"{index % 5}{'v' * 29}") for index in range(3000))
    made = report(Measurement(plan(rate=50, seconds=60.0), WarmUp(3, 0.1, 200), samples))
    text = made.to_json()
    assert len(text.encode()) <= MOST_BYTES
    told = read(text, planned=3000)
    assert told.result is not None
    assert len(told.result.variants) == 5


def test_a_load_that_was_not_begun_is_told_by_its_warm_up() -> None:
    made = report(Measurement(plan(), WarmUp(9, None, 503)))
    assert json.loads(made.to_json()) == {"warmUp": {"sent": 9, "status": 503}}
    assert read(made.to_json(), planned=100) == made


GOOD: Mapping[str, Any] = json.loads(report(measured(*[0.05] * 98, 0.2, 0.3)).to_json())
BASE = {"revision": "1f0c2a9", "rate": 10, "p50Ms": 1, "p90Ms": 1, "p99Ms": 1, "maxMs": 1}
VARIANT = {"name": "a", "answered": 9, "failed": 0, "p50Ms": 1, "p90Ms": 2, "p99Ms": 3, "maxMs": 4}


def test_what_the_hostile_ones_are_made_of_is_good() -> None:
    told = read(json.dumps(GOOD), planned=100)
    assert told.result is not None
    assert told.result.p99_ms == 200.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"planned": 3001, "sent": 3001}, "more than any plan has"),
        ({"sent": 99}, "not all that were planned"),
        ({"failed": 101}, "more failed than were sent"),
        ({"failed": -1}, "fewer than none"),
        ({"failed": 2, "failures": {"503": 3}}, "more failures than failed"),
        ({"failed": 2, "failures": {"503": -3, "500": 5}}, "a negative number of failures"),
        ({"failed": 1, "failures": {"<img src=x>": 1}}, "no status"),
        ({"failed": 6, "failures": {f"50{index}": 1 for index in range(6)}}, "more kinds of failure than are told"),
        ({"p50Ms": 300.0}, "a median above the 90th percentile"),
        ({"p99Ms": math.nan}, "not a number"),
        ({"maxMs": math.inf}, "no number that can be compared"),
        ({"maxMs": 1e9}, "longer than a Job lives"),
        ({"p50Ms": -1.0}, "before it was sent"),
        ({"p99Ms": None}, "no 99th percentile"),
        ({"latenessP99Ms": math.nan}, "no lateness"),
        ({"latenessP99Ms": None}, "likewise"),
        ({"latenessP99Ms": -5}, "a negative lateness"),
        ({"rate": math.nan}, "no rate"),
        ({"seconds": -1}, "a negative time"),
        ({"variants": [VARIANT | {"name": "a b"}]}, "no name of a variant"),
        ({"variants": [VARIANT | {"failed": 10}]}, "more failed than it answered"),
        ({"variants": [VARIANT | {"p50Ms": 9}]}, "its latencies in disorder"),
        ({"variants": [VARIANT] * 6}, "more variants than there can be"),
        ({"histogram": "AAAA"}, "no histogram"),
        ({"histogram": report(measured(0.1)).model_dump()["result"]["histogram"]}, "the histogram of others"),
    ],
)
def test_a_result_that_cannot_be_true_is_refused(changes: Mapping[str, object], reason: str) -> None:
    result = {name: value for name, value in {**GOOD["result"], **changes}.items() if value is not None}
    assert is_refused(json.dumps({**GOOD, "result": result})), reason


def is_refused(text: str) -> bool:
    try:
        read(text, planned=100)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{", "{}", '{"warmUp":{"sent":-1}}', '{"warmUp":{"sent":1},"x":1}', "\x00"]
)
def test_what_is_no_report_is_refused(text: str) -> None:
    assert is_refused(text)


def test_a_job_cannot_choose_what_it_is_compared_with() -> None:
    told = read(json.dumps({**GOOD, "result": {**GOOD["result"], "base": BASE}}), planned=100)
    assert told.result is not None
    assert told.result.base is None


@given(text=st.text(max_size=100))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert is_refused(text)
