from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.engine import objects

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.telemetry.summary import UNSEEN, Summary, summary

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LEFT = [{"kind": "Endpoint", "name": "eep-x"}]


def ago(seconds: int) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def conditions(status: str, reason: str) -> list[dict[str, Any]]:
    return [
        {"type": "Reconciling", "status": "False", "reason": "Other", "lastTransitionTime": ago(9)},
        {"type": "Ready", "status": status, "reason": reason, "lastTransitionTime": ago(9)},
    ]


def endpoint(*, status: dict[str, Any] | None = None, deleted_at: str | None = None) -> EphemeralEndpoint:
    return objects.endpoint({"metadata": {"deletionTimestamp": deleted_at}, "status": status or {}})


def of(*endpoints: EphemeralEndpoint, classes: Sequence[EphemeralEndpointClass] = ()) -> Summary:
    return summary([("default", each) for each in endpoints], classes, NOW)


def test_those_that_are_not_ready_are_counted_by_why() -> None:
    ready = endpoint(status={"conditions": conditions("True", "Serving")})
    stuck = endpoint(status={"conditions": conditions("False", "Stuck")})
    unknown = endpoint(status={"conditions": conditions("Unknown", "AccessDenied")})
    assert of(ready, stuck, stuck, unknown, endpoint()).not_ready == {"Stuck": 2, "AccessDenied": 1, UNSEEN: 1}


def test_the_longest_deletion_counts_from_when_it_was_asked_for() -> None:
    assert of(endpoint(deleted_at=ago(60)), endpoint(deleted_at=ago(300)), endpoint()).terminating_seconds == 300.0


def test_what_expired_counts_until_nothing_is_left_of_it() -> None:
    assert of(endpoint(status={"expiresAt": ago(120), "resources": LEFT})).terminating_seconds == 120.0
    assert of(endpoint(status={"expiresAt": ago(120)})).terminating_seconds == 0.0, "a tombstone"
    assert of(endpoint(status={"expiresAt": ago(-120), "resources": LEFT})).terminating_seconds == 0.0, "not yet"


def test_what_expired_before_it_was_deleted_counts_from_the_earlier() -> None:
    both = endpoint(deleted_at=ago(60), status={"expiresAt": ago(600), "resources": LEFT})
    assert of(both).terminating_seconds == 600.0


def test_what_is_retained_stays_on_purpose() -> None:
    status = {"expiresAt": ago(600), "resources": LEFT, "conditions": conditions("False", "Retained")}
    assert of(endpoint(status=status)).terminating_seconds == 0.0
    assert of(endpoint(status=status, deleted_at=ago(30))).terminating_seconds == 600.0, "its finalizer should go"


def test_known_costs_are_summed_by_class() -> None:
    cheap, unpriced = endpoint(status={"cost": {"hourlyUSD": "0.25"}}), endpoint(status={"cost": {}})
    found = summary([("a", cheap), ("a", cheap), ("b", cheap), ("b", unpriced), (None, cheap)], (), NOW)
    assert found.usd_per_hour == {"a": 0.5, "b": 0.25}
    assert found.usd_accrued == {}


def test_what_accrues_is_computed_as_of_now() -> None:
    cost = {"hourlyUSD": "0.25", "accruedUSD": "1.00", "since": ago(7200)}
    found = summary([("a", endpoint(status={"cost": cost}))] * 2, (), NOW)
    assert found.usd_accrued == {"a": 3.0}


def test_a_class_is_usable_until_reported_otherwise() -> None:
    def endpoint_class(name: str, *reported: str) -> EphemeralEndpointClass:
        status = {"conditions": conditions(*reported) if reported else []}
        return objects.make_class({"metadata": {"name": name}, "status": status})

    classes = [
        endpoint_class("new"),
        endpoint_class("good", "True", "Connected"),
        endpoint_class("bad", "False", "WrongAccount"),
    ]
    assert of(classes=classes).classes == {"new": True, "good": True, "bad": False}
