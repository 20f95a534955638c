from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.checks.load.figures import load, result

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome
from ephemeral_endpoints.api.v1alpha1.load import BaseLoad
from ephemeral_endpoints.features.checks.load.policy import Capacity
from ephemeral_endpoints.features.checks.load.report import LoadReport, WarmUpReport
from ephemeral_endpoints.features.checks.load.verdict import Verdict, judge

PASSED, FAILED, INCONCLUSIVE = CheckOutcome.PASSED, CheckOutcome.FAILED, CheckOutcome.INCONCLUSIVE
WARM = WarmUpReport(sent=6, median_ms=50, status=200)
PREVIOUS = {"previousRevision": True}
MAIN = {"endpoint": "main"}
BASE = BaseLoad(revision="a" * 40, rate=10, p50_ms=40, p90_ms=60, p99_ms=80, max_ms=90)
CAPACITY = Capacity(2, "spec.serving.serverless.maxConcurrency")


def verdict(wanted: dict[str, Any], base: BaseLoad | str | None = None, **figures: object) -> Verdict:
    return judge(load(**wanted), LoadReport(warm_up=WARM, result=result(**figures)), base, CAPACITY)


@pytest.mark.parametrize(
    ("wanted", "figures", "outcome", "said"),
    [
        ({}, {}, PASSED, ""),
        ({"p99Ms": 100}, {}, PASSED, ""),
        ({"p99Ms": 99}, {}, FAILED, "p99 is 100 ms, expected at most 99 ms"),
        (
            {"p50Ms": 10, "p90Ms": 10, "maxMs": 10},
            {},
            FAILED,
            (
                "p50 is 50 ms, expected at most 10 ms; p90 is 80 ms, expected at most 10 ms; "
                "max is 120 ms, expected at most 10 ms"
            ),
        ),
        ({}, {"failed": 3, "failures": {"503": 3}}, PASSED, ""),
        (
            {},
            {"failed": 4, "failures": {"503": 3, "none": 1}},
            FAILED,
            "4 of 300 requests failed (3 with 503, 1 without an answer), 1.33 %, expected at most 1 %",
        ),
        ({"errorPercent": 0}, {"failed": 1, "failures": {"500": 1}}, FAILED, "1 of 300 requests failed"),
        ({"errorPercent": 100}, {"failed": 300, "failures": {"500": 300}}, PASSED, ""),
        ({}, {"failed": 1, "failures": {"401": 1}}, INCONCLUSIVE, "the URL refused the token of 1 requests"),
        ({"p99Ms": 200}, {"lateness_p99_ms": 20.0}, PASSED, ""),
        ({"p99Ms": 200}, {"lateness_p99_ms": 20.1}, INCONCLUSIVE, "the generator itself was late by 20.1 ms"),
        ({"p99Ms": 20}, {"lateness_p99_ms": 20.1}, INCONCLUSIVE, "the generator itself was late"),
        ({"maxMs": 9000, "p50Ms": 100}, {"lateness_p99_ms": 11.0}, INCONCLUSIVE, "the generator itself was late"),
        ({"p50Ms": 5}, {"p50_ms": 4.0, "lateness_p99_ms": 1.0}, PASSED, ""),
        ({}, {"lateness_p99_ms": 5000.0}, PASSED, ""),
        ({"p99Ms": 200}, {"sent": 99, "planned": 99}, INCONCLUSIVE, "99 requests are too few, at least 100"),
        ({"p90Ms": 200}, {"sent": 99, "planned": 99}, PASSED, ""),
        ({}, {"sent": 9, "planned": 9}, INCONCLUSIVE, "9 requests are too few, at least 10"),
    ],
)
def test_figures_are_judged_by_thresholds(
    wanted: dict[str, Any], figures: dict[str, Any], outcome: CheckOutcome, said: str
) -> None:
    found = verdict(wanted, **figures)
    assert found.outcome is outcome
    assert found.message.startswith(said)
    assert bool(found.message) == bool(said)


@pytest.mark.parametrize(
    ("wanted", "base", "figures", "outcome", "said"),
    [
        ({"base": PREVIOUS, "p99RatioToBase": 1.25}, BASE, {}, PASSED, ""),
        (
            {"base": PREVIOUS, "p99RatioToBase": 1.2},
            BASE,
            {},
            FAILED,
            "p99 is 100 ms, expected at most 96 ms, 1.2 times the 80 ms of the previous revision",
        ),
        (
            {"base": MAIN, "p50RatioToBase": 1.2, "maxRatioToBase": 2},
            BASE.model_copy(update={"endpoint": "main"}),
            {},
            FAILED,
            "p50 is 50 ms, expected at most 48 ms, 1.2 times the 40 ms of main",
        ),
        ({"base": PREVIOUS, "p99RatioToBase": 1.2}, None, {}, PASSED, "there is no earlier revision to compare with"),
        ({"base": MAIN, "p99RatioToBase": 1.2}, "the base main is gone", {}, INCONCLUSIVE, "the base main is gone"),
        ({"base": MAIN, "p99RatioToBase": 9, "p99Ms": 1}, "it is gone", {}, FAILED, "p99 is 100 ms"),
        (
            {"base": PREVIOUS, "p99RatioToBase": 1.2},
            BASE.model_copy(update={"rate": 5}),
            {},
            INCONCLUSIVE,
            "the base was measured at 5 requests per second, this at 10",
        ),
        (
            {"base": PREVIOUS, "p99RatioToBase": 2},
            BASE,
            {"lateness_p99_ms": 16.1},
            INCONCLUSIVE,
            "the generator itself was late by 16.1 ms (p99), more than 10 % of the threshold of 160 ms",
        ),
        ({"base": PREVIOUS}, BASE, {"p99_ms": 119.0}, PASSED, ""),
    ],
)
def test_figures_are_judged_by_those_of_the_base(
    wanted: dict[str, Any], base: BaseLoad | str | None, figures: dict[str, Any], outcome: CheckOutcome, said: str
) -> None:
    found = verdict(wanted, base, **figures)
    assert found.outcome is outcome
    assert found.message.startswith(said)
    assert bool(found.message) == bool(said)


@pytest.mark.parametrize(
    ("warm_up", "capacity", "outcome", "said"),
    [
        (
            WarmUpReport(sent=6, median_ms=300, status=200),
            CAPACITY,
            INCONCLUSIVE,
            (
                "the load was not begun: at 300 ms a request, 10 per second are 3.0 at once, and the endpoint takes 2: "
                "lower rate to 6, or raise spec.serving.serverless.maxConcurrency"
            ),
        ),
        (
            WarmUpReport(sent=6, median_ms=3000, status=200),
            CAPACITY,
            INCONCLUSIVE,
            "the load was not begun: at 3000 ms",
        ),
        (WarmUpReport(sent=6, median_ms=300, status=200), None, INCONCLUSIVE, "the load was not begun, and the"),
        (
            WarmUpReport(sent=9, status=503),
            CAPACITY,
            FAILED,
            "the load was not begun: none of 9 requests of the warm-up was answered with 2xx; the last one was 503",
        ),
        (WarmUpReport(sent=4), CAPACITY, FAILED, "the load was not begun: none of 4 requests"),
        (WarmUpReport(sent=1, status=401), CAPACITY, INCONCLUSIVE, "the load was not begun: the URL refused the token"),
    ],
)
def test_a_load_that_was_not_begun_is_explained(
    warm_up: WarmUpReport, capacity: Capacity | None, outcome: CheckOutcome, said: str
) -> None:
    found = judge(load(), LoadReport(warm_up=warm_up), None, capacity)
    assert found.outcome is outcome
    assert found.message.startswith(said)


@given(p99=st.floats(1, 50_000), limit=st.integers(1, 50_000), lateness=st.floats(0, 10_000))
def test_no_threshold_is_failed_by_a_latency_within_it_nor_passed_by_one_above(
    p99: float, limit: int, lateness: float
) -> None:
    figures: dict[str, Any] = {"p50_ms": 0.1, "p90_ms": 0.1, "p99_ms": p99, "max_ms": p99, "lateness_p99_ms": lateness}
    found = verdict({"p99Ms": limit}, **figures).outcome
    if found is PASSED:
        assert p99 <= limit
    if found is FAILED:
        assert p99 > limit
    assert (found is INCONCLUSIVE) == (lateness > max(limit / 10, 1))
