"""Figures of load checks, as the tests of its parts use them."""

from collections.abc import Mapping
from typing import Any

from ephemeral_endpoints.api.v1alpha1.load import Load, LoadResult
from ephemeral_endpoints.features.checks.load.measurement import Measurement, Sample, WarmUp
from ephemeral_endpoints.features.checks.load.plan import LoadPlan
from ephemeral_endpoints.features.checks.requests import ModelRequest

REQUEST = ModelRequest(b'{"text": "hello"}')


def load(**fields: object) -> Load:
    return Load.model_validate({"rate": 10, "duration": "30s", **fields})


def plan(**changes: Any) -> LoadPlan:  # noqa: ANN401 - fields of several types
    fields: dict[str, Any] = {
        "url": "https://x.example/a",
        "request": REQUEST,
        "rate": 10,
        "seconds": 10.0,
        "warm_up": 3,
    }
    return LoadPlan(**(fields | changes))


def result(**changes: object) -> LoadResult:
    fields: Mapping[str, object] = {
        "planned": 300,
        "sent": 300,
        "failed": 0,
        "rate": 10,
        "seconds": 30.0,
        "p50_ms": 50.0,
        "p90_ms": 80.0,
        "p99_ms": 100.0,
        "max_ms": 120.0,
        "lateness_p99_ms": 0.5,
    }
    return LoadResult.model_validate({**fields, **changes})


def measured(*latencies: float, lateness: float = 0.0, status: int | None = 200, variant: str = "") -> Measurement:
    samples = tuple(Sample(lateness, each, status, variant) for each in latencies)
    return Measurement(plan(seconds=len(samples) / 10), WarmUp(4, 0.05, 200), samples)
