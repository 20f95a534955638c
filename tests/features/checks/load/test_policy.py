from collections.abc import Mapping
from typing import Any

import pytest
from tests.engine.objects import endpoint, subject
from tests.features.checks.load.figures import REQUEST, load, result

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.load import BaseLoad, LoadBase
from ephemeral_endpoints.features.checks.load.plan import MOST_BODY_BYTES
from ephemeral_endpoints.features.checks.load.policy import base_of, capacity, refusal
from ephemeral_endpoints.features.checks.requests import ModelRequest

INSTANCES = {"serving": {"instances": {"type": "ml.m5.large"}}}
RESERVED = {"routing": {"reservedConcurrency": 3}}
ASYNCHRONOUS = {"serving": {"instances": {"type": "ml.m5.large"}, "asynchronous": {"s3Uri": "s3://bucket/queue"}}}


@pytest.mark.parametrize(
    ("spec", "endpoint_class", "expected", "reason"),
    [
        ({}, {}, 1, "the default of a serverless endpoint"),
        ({"serving": {"serverless": {"maxConcurrency": 8}}}, {}, 8, "as it is set"),
        ({"serving": {"serverless": {"maxConcurrency": 8}}}, RESERVED, 3, "the forwarder takes fewer"),
        (INSTANCES, {}, None, "an instance queues what it cannot take"),
        (INSTANCES, RESERVED, 3, "but the forwarder does not"),
        (
            {"serving": {"serverless": {"maxConcurrency": 4}, "variants": [{"name": "a"}, {"name": "b"}]}},
            {},
            8,
            "each of two variants has an endpoint of its own",
        ),
        (
            {"serving": {"serverless": {"maxConcurrency": 4}, "variants": [{"name": "a", "weight": 3}, {"name": "b"}]}},
            {},
            16 / 3,
            "the one with three quarters of the requests is full first",
        ),
        (
            {"serving": {"variants": [{"name": "a"}, {"name": "b", "weight": 0}]}},
            {},
            1,
            "a variant without weight takes nothing",
        ),
    ],
)
def test_how_many_requests_at_once_an_endpoint_takes(
    spec: Mapping[str, Any], endpoint_class: Mapping[str, Any], expected: float | None, reason: str
) -> None:
    found = capacity(subject(spec, endpoint_class))
    assert (found.concurrency if found else None) == pytest.approx(expected), reason


@pytest.mark.parametrize(
    ("spec", "endpoint_class", "body", "expected"),
    [
        ({}, {}, b"", None),
        (ASYNCHRONOUS, {}, b"", "an asynchronous endpoint queues requests"),
        ({}, {"routing": {"throttle": {"rateLimit": 9, "burstLimit": 1}}}, b"", "the class lets 9 requests per second"),
        ({}, {"routing": {"throttle": {"rateLimit": 10, "burstLimit": 1}}}, b"", None),
        ({"api": {"throttle": {"rateLimit": 9, "burstLimit": 9}}}, {}, b"", "the URL lets 9 requests per second pass"),
        ({"api": {"throttle": {"rateLimit": 10, "burstLimit": 9}}}, {}, b"", None),
        ({}, {}, bytes(MOST_BODY_BYTES), None),
        ({}, {}, bytes(MOST_BODY_BYTES + 1), "the request has 65537 bytes"),
    ],
)
def test_what_cannot_show_anything_is_not_tried(
    spec: Mapping[str, Any], endpoint_class: Mapping[str, Any], body: bytes, expected: str | None
) -> None:
    found = refusal(subject(spec, endpoint_class), load(rate=10), ModelRequest(body))
    assert found is None if expected is None else (found or "").startswith(expected)
    assert refusal(subject(), load(), REQUEST) is None


OLD, NEW = "a" * 40, "b" * 40
PREVIOUS = LoadBase(previous_revision=True)
MAIN = LoadBase(endpoint="main")
KEPT = BaseLoad(revision="c" * 40, rate=10, p50_ms=1, p90_ms=2, p99_ms=3, max_ms=4)


def run(revision: str, outcome: str = "Passed", name: str = "fast", **figures: object) -> dict[str, Any]:
    figured = result(**figures).to_wire() if figures != {"none": True} else None
    check = {"name": name, "outcome": outcome, **({"load": figured} if figured else {})}
    return {"id": "1", "revision": revision, "finishedAt": "2026-11-01T12:00:00Z", "results": [check]}


def having(checks: Mapping[str, Any] | None, name: str = "pr-42") -> EphemeralEndpoint:
    status = {"status": {"checks": checks}} if checks else {}
    return endpoint({"metadata": {"name": name}, "spec": {"source": {"revision": NEW}}, **status})


FIGURES = BaseLoad(revision=OLD, rate=10, p50_ms=50, p90_ms=80, p99_ms=100, max_ms=120)


@pytest.mark.parametrize(
    ("checks", "expected", "reason"),
    [
        (None, None, "nothing was ever measured"),
        (run(OLD), FIGURES, "the last run was that of the revision before"),
        (run(OLD, "Failed"), FIGURES, "its figures are good, though it failed"),
        (run(OLD, "Inconclusive"), None, "its figures say nothing"),
        (run(OLD, name="other"), None, "another check"),
        (run(OLD, none=True), None, "a check that had no load then"),
        (run(OLD, failed=300), None, "nothing was answered"),
        (run(OLD, "Inconclusive", base=KEPT), KEPT, "then the one before it counts"),
        (run(NEW), None, "it is this revision itself"),
        (run(NEW, base=KEPT), KEPT, "what this revision was compared with, when it is measured again"),
        (run(NEW, base=KEPT.model_copy(update={"endpoint": "main"})), None, "that was another object"),
    ],
)
def test_the_previous_revision_is_the_last_other_one_with_figures(
    checks: Mapping[str, Any] | None, expected: BaseLoad | None, reason: str
) -> None:
    assert base_of(PREVIOUS, "fast", having(checks), {}) == expected, reason


@pytest.mark.parametrize(
    ("others", "expected", "reason"),
    [
        ({}, "the base main does not exist", "it is gone"),
        ({"main": None}, "the base main has no figures of a check fast", "it has no results yet"),
        ({"main": run(OLD, "Inconclusive")}, "the base main has no figures", "they say nothing"),
        ({"main": run(OLD, name="slow")}, "the base main has no figures", "those of another check"),
    ],
)
def test_a_base_without_figures_is_told(
    others: Mapping[str, Mapping[str, Any] | None], expected: str, reason: str
) -> None:
    known = {name: having(checks, name) for name, checks in others.items()}
    found = base_of(MAIN, "fast", having(run(OLD)), known)
    assert isinstance(found, str), reason
    assert found.startswith(expected), reason


def test_another_object_is_the_base_whatever_its_revision() -> None:
    found = base_of(MAIN, "fast", having(None), {"main": having(run(NEW), "main")})
    assert found == FIGURES.model_copy(update={"endpoint": "main", "revision": NEW})
    assert base_of(None, "fast", having(run(OLD)), {}) is None
