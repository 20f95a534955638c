"""The messages of the condition ``Compared``."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tests.engine.objects import endpoint

from ephemeral_endpoints.api.v1alpha1.comparison import Comparison, ComparisonPolicy, ComparisonResult, LabelFlip
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.features.checks.comparison import policy, stage
from ephemeral_endpoints.features.checks.comparison.policy import Base
from ephemeral_endpoints.features.checks.comparison.reasons import BASE_NOT_READY, RECORDINGS_UNAVAILABLE

_NOW = datetime(2026, 11, 30, tzinfo=UTC)
_BASE = Base("main", "b" * 40)
_FLIPS = (LabelFlip(base="cat", head="dog", count=1),)
_DENIED = Denied("Access Denied (AccessDenied)", operation="GetObject", is_quoted=True)


def conditions() -> Iterator[tuple[str, str]]:
    updates = (*map(stage.of_result, _results()), *map(stage.of_cause, _causes()))
    yield from ((f"{each.type}={each.status} {each.reason}", each.message) for each in updates)


def _results() -> Iterator[ComparisonResult]:
    given: dict[str, Any] = {"id": "a-b", "revision": "1f0c2a9", "base": "main", "base_revision": "b" * 40}
    for fields in (
        {"requests": 40},
        {"requests": 40, "changed": 3, "flipped": 1, "flips": _FLIPS, "failed": 1, "errors": 1, "skipped": 2},
        {"requests": 40, "report_error": _DENIED.described},
        {"failed": 5, "errors": 5},
        {"skipped": 5},
        {"base": "previous revision", "base_revision": None},
    ):
        yield ComparisonResult(**{**given, "finished_at": _NOW, **fields})


def _causes() -> Iterator[Cause]:
    yield from (stage.not_ready(), stage.settling(_BASE), stage.comparing(_BASE), stage.comparing(Base(None, None)))
    suspended = endpoint({"metadata": {"name": "main"}, "spec": {"suspend": True}})
    queue = {"instances": {"type": "ml.m5.large"}, "asynchronous": {"s3Uri": "s3://bucket/queue"}}
    for other in (
        None,
        endpoint({"metadata": {"deletionTimestamp": "2026-11-30T00:00:00Z"}}),
        suspended,
        endpoint(),
        endpoint({"spec": {"serving": queue}}),
    ):
        yield from filter(None, [policy.base_problem("main", other, "nlp", _NOW)])
    for spec in (
        {"with": {"previousRevision": True}},
        {"with": {"endpoint": "main"}, "recorded": {"s3Uri": "s3://acme-data/rec/other"}},
    ):
        allowed = ComparisonPolicy(recordings=("s3://acme-data/rec/{namespace}",))
        yield from filter(None, [policy.refusal(Comparison.model_validate(spec), allowed, "nlp")])
    yield Cause(RECORDINGS_UNAVAILABLE, _DENIED.described)
    yield Cause(BASE_NOT_READY, "the token of main cannot be read: the Secret main-endpoint-token does not exist")
