"""Objects of pull requests in any state, with a class that publishes them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.engine.objects import CLUSTER, endpoint, make_class, merged

from ephemeral_endpoints.api.v1alpha1.reviews import ReviewPolicy
from ephemeral_endpoints.features.reviews.forge import Publication
from ephemeral_endpoints.features.reviews.publishing.desired import publication
from ephemeral_endpoints.features.subject import Subject

REVISION = "1f0c2a9d4b6e8f7a3c5d9e0b2a4c6f8e1d3b5a79"
OTHER = "9ab3c1d04b6e8f7a3c5d9e0b2a4c6f8e1d3b5a79"
CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW = CREATED + timedelta(minutes=10)
URL = "https://a1b2c3.execute-api.us-east-1.amazonaws.com/nlp/pr-42"
FAILURES = frozenset({"BuildFailed", "EndpointFailed", "ApprovalRequired", "ImageNotFound", "AccessDenied"})
REVIEWS: Mapping[str, Any] = {
    "secretName": "forge-github",
    "repositories": [{"repository": "acme/*", "namespaces": ["nlp"]}],
}

CHECK_RUN: Mapping[str, Any] = {
    "id": "run",
    "revision": REVISION,
    "finishedAt": "2026-11-01T12:09:00Z",
    "results": [
        {"name": "positive", "outcome": "Passed", "latencyMs": 12},
        {"name": "score", "outcome": "Failed", "message": "/score: expected at most 0.5, found 0.7", "latencyMs": 14},
        {
            "name": "steady",
            "outcome": "Passed",
            "load": {
                "planned": 600,
                "sent": 600,
                "failed": 0,
                "rate": 20,
                "seconds": 30,
                "p50Ms": 12.2,
                "p90Ms": 30.0,
                "p99Ms": 45.0,
                "maxMs": 1400.0,
                "variants": [
                    {
                        "name": name,
                        "answered": 300,
                        "failed": 0,
                        "p50Ms": median,
                        "p90Ms": 30.0,
                        "p99Ms": 45.0,
                        "maxMs": longest,
                    }
                    for name, median, longest in (("a", 12.0, 1400.0), ("b", 13.0, 50.0))
                ],
                "base": {
                    "endpoint": "sentiment-main",
                    "revision": OTHER,
                    "rate": 20,
                    "p50Ms": 11.0,
                    "p90Ms": 25.0,
                    "p99Ms": 41.0,
                    "maxMs": 900.0,
                },
            },
        },
    ],
}
COMPARISON: Mapping[str, Any] = {
    "id": "comparison",
    "revision": REVISION,
    "base": "sentiment-main",
    "baseRevision": OTHER,
    "finishedAt": "2026-11-01T12:09:00Z",
    "requests": 40,
    "changed": 3,
    "flipped": 1,
    "failed": 2,
    "flips": [{"base": "negative", "head": "positive", "count": 1}],
    "worst": [{"request": "positive", "pointer": "/label", "base": '"negative"', "head": '"positive"'}],
    "numbers": [{"pointer": "/score", "count": 3, "median": 0.01, "max": 0.2}],
    "latencyRatio": 1.08,
    "reportUri": "s3://acme-previews/nlp/pr-42.json",
}


def condition(type_: str, status: str, reason: str, message: str = "a message") -> dict[str, Any]:
    """A condition as the status has it."""
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-11-01T12:00:00Z",
    }


READY = condition("Ready", "True", "Serving")
SERVING: Mapping[str, Any] = {
    "observedGeneration": 1,
    "revision": REVISION,
    "url": URL,
    "cost": {"hourlyUSD": "0.115"},
    "conditions": [READY],
}


def not_ready(reason: str, message: str = "a message", **status: Any) -> dict[str, Any]:  # noqa: ANN401 - members
    """The status of an object that is not ready for a reason."""
    return {"observedGeneration": 1, "conditions": [condition("Ready", "False", reason, message)], **status}


def subject(
    status: Mapping[str, Any] | None = None,
    *,
    spec: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    reviews: Mapping[str, Any] | None = None,
) -> Subject:
    """The example object of pull request 42, of a class that publishes."""
    own = merged({"source": {"revision": REVISION}}, spec or {})
    found = endpoint({"metadata": metadata or {}, "spec": own, "status": status or {}})
    return Subject(CLUSTER, found, make_class({"spec": {"reviews": {**REVIEWS, **(reviews or {})}}}))


def policy(one: Subject) -> ReviewPolicy:
    """How the class of an object publishes."""
    found = one.endpoint_class.spec.reviews
    assert found is not None
    return found


def published(one: Subject, *others: Subject, now: datetime = NOW) -> Publication | None:
    """What is wanted of an object that speaks together with others, itself the first."""
    together: Sequence[Subject] = (one, *others)
    return publication(one, policy(one), together, FAILURES, now)


def certainly(wanted: Publication | None) -> Publication:
    """What is wanted, which is something."""
    assert wanted is not None
    return wanted
