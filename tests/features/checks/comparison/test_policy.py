from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.engine.objects import endpoint, merged

from ephemeral_endpoints.api import COMPARE_AT_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.comparison import Comparison, ComparisonPolicy, ComparisonResult, Recorded
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.features.checks.comparison import policy
from ephemeral_endpoints.features.checks.comparison.policy import Base, RunId
from ephemeral_endpoints.features.checks.comparison.reasons import (
    BASE_NOT_FOUND,
    BASE_NOT_READY,
    COMPARISON_REFUSED,
)

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
SAMPLES = [{"name": "a", "request": "1"}, {"name": "b", "request": "2"}]
COMPARED = {"spec": {"api": {"samples": SAMPLES}, "compare": {"with": {"endpoint": "main"}}}}
READY = {"type": "Ready", "status": "True", "reason": "Serving", "lastTransitionTime": "2026-11-02T11:00:00Z"}
MAIN = {
    "metadata": {"name": "main", "generation": 3},
    "spec": {"source": {"revision": "b" * 40}},
    "status": {"url": "https://x/nlp/main", "conditions": [{**READY, "observedGeneration": 3}]},
}


def main(**changes: Any) -> EphemeralEndpoint:  # noqa: ANN401 - parts of an object
    return endpoint(merged(MAIN, changes))


def comparison(**spec: Any) -> Comparison:  # noqa: ANN401 - members of a spec
    return Comparison.model_validate({"with": {"endpoint": "main"}, **spec})


def result(**fields: Any) -> ComparisonResult:  # noqa: ANN401 - fields of a result
    given = {"id": "x-y", "revision": "1f0c2a9", "base": "main", "base_revision": "b" * 40, "finished_at": NOW}
    return ComparisonResult(**{**given, **fields})


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({}, None, ""),
        ({"metadata": {"deletionTimestamp": "2026-11-02T11:00:00Z"}}, BASE_NOT_FOUND, "is deleted or has expired"),
        ({"status": {"expiresAt": "2026-11-02T11:59:59Z"}}, BASE_NOT_FOUND, "is deleted or has expired"),
        ({"status": {"expiresAt": "2026-11-02T12:00:01Z"}}, None, ""),
        ({"spec": {"suspend": True}}, BASE_NOT_READY, "Set its spec.suspend to false"),
        ({"status": {"conditions": []}}, BASE_NOT_READY, "see its conditions"),
        ({"status": {"conditions": [{**READY, "status": "False"}]}}, BASE_NOT_READY, "not Ready (Serving)"),
        ({"metadata": {"generation": 4}}, BASE_NOT_READY, "is not Ready: see its conditions"),
        ({"status": {"url": None}}, BASE_NOT_READY, "is not Ready"),
        (
            {
                "spec": {
                    "serving": {
                        "instances": {"type": "ml.m5.large"},
                        "asynchronous": {"s3Uri": "s3://bucket/queue"},
                    }
                }
            },
            COMPARISON_REFUSED,
            "does not answer at once",
        ),
    ],
)
def test_a_base_is_ready_as_its_spec_says_or_the_message_says_what_to_do(
    changes: dict[str, Any], reason: Reason | None, words: str
) -> None:
    found = policy.base_problem("main", main(**changes), "nlp", NOW)
    assert (found.reason if found else None) is reason
    assert words in (found.message if found else "")


def test_a_base_that_does_not_exist_is_named_with_its_namespace() -> None:
    found = policy.base_problem("main", None, "nlp", NOW)
    assert found is not None
    assert found.message.startswith("there is no EphemeralEndpoint main in namespace nlp: create it")


@pytest.mark.parametrize(
    ("uri", "allowed", "is_refused", "reason"),
    [
        ("s3://b/rec/nlp", ("s3://b/rec/{namespace}",), False, "the folder of the namespace"),
        ("s3://b/rec/nlp/", ("s3://b/rec/{namespace}/",), False, "with slashes at the end"),
        ("s3://b/rec/nlp/day/1.jsonl", ("s3://b/rec/{namespace}",), False, "what is below it"),
        ("s3://b/rec/nlp2", ("s3://b/rec/{namespace}",), True, "another namespace, whose name begins alike"),
        ("s3://b/rec", ("s3://b/rec/{namespace}",), True, "all namespaces"),
        ("s3://b/rec/other", ("s3://b/rec/{namespace}",), True, "another namespace"),
        ("s3://b/rec/{namespace}x", ("s3://b/rec/{namespace}",), True, "nor is the placeholder one of the object"),
        ("s3://b/x", ("s3://a/x", "s3://b"), False, "a whole bucket"),
        ("s3://bb/x", ("s3://b",), True, "another bucket"),
        ("s3://b/rec/nlp", (), True, "nothing is allowed by itself"),
    ],
)
def test_recorded_requests_are_those_that_the_class_allows_the_namespace(
    uri: str,
    allowed: tuple[str, ...],
    *,
    is_refused: bool,
    reason: str,
) -> None:
    recorded = Recorded.model_construct(s3_uri=uri)  # also what the API refuses
    spec = Comparison.model_construct(with_=comparison().with_, recorded=recorded)
    found = policy.refusal(spec, ComparisonPolicy.model_construct(recordings=allowed), "nlp")
    assert (found is not None) is is_refused, reason
    assert found is None or found.reason is COMPARISON_REFUSED


def test_a_previous_revision_needs_a_place_for_its_answers() -> None:
    spec = comparison(**{"with": {"previousRevision": True}})
    assert policy.refusal(spec, ComparisonPolicy(reports_s3_uri="s3://acme/reports"), "nlp") is None
    refused = policy.refusal(spec, ComparisonPolicy(), "nlp")
    assert refused is not None
    assert "comparisons.reportsS3Uri" in refused.message


@pytest.mark.parametrize(
    ("last", "expected", "reason"),
    [
        (None, None, "nothing was compared"),
        (result(revision="0" * 7), "0" * 7, "the one that was compared last"),
        (result(base="previous revision", base_revision="0" * 7), "0" * 7, "the same again: with the same"),
        (result(base="previous revision", base_revision=None), None, "the first one again"),
        (result(base="main"), None, "what was compared with another object was not kept"),
    ],
)
def test_the_previous_revision_is_known_by_the_last_result(
    last: ComparisonResult | None, expected: str | None, reason: str
) -> None:
    assert policy.previous_revision(last, "1f0c2a9") == expected, reason


def run_id(own: EphemeralEndpoint, other: EphemeralEndpoint) -> RunId:
    spec = own.spec.compare
    assert spec is not None
    return RunId.of(own, spec, policy.base_of("main", other, None, own.spec.source.revision), other)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"spec": {"source": {"revision": "2" * 40}}}, "another revision"),
        ({"spec": {"model": {"environment": {"A": "b"}}}}, "the model is run otherwise"),
        ({"spec": {"api": {"samples": SAMPLES[:1]}}}, "other requests"),
        ({"spec": {"compare": {"samples": ["a"]}}}, "fewer requests"),
        ({"spec": {"compare": {"ignore": ["/a"]}}}, "answers are compared otherwise"),
        ({"metadata": {"annotations": {COMPARE_AT_ANNOTATION: "now"}}}, "on request"),
    ],
)
def test_what_the_object_itself_decides_makes_another_comparison(changes: dict[str, Any], reason: str) -> None:
    before, after = run_id(endpoint(COMPARED), main()), run_id(endpoint(merged(COMPARED, changes)), main())
    assert before.own != after.own, reason
    assert before.base == after.base, reason


@pytest.mark.parametrize(
    ("changes", "is_other", "reason"),
    [
        ({"spec": {"source": {"revision": "c" * 40}}}, True, "main moves on"),
        ({"spec": {"model": {"environment": {"A": "b"}}}}, True, "main is run otherwise"),
        ({"spec": {"lifecycle": {"ttl": "1h"}}}, False, "how long it lives changes no answer"),
        ({"metadata": {"annotations": {COMPARE_AT_ANNOTATION: "now"}}}, False, "main's own comparison"),
    ],
)
def test_what_the_base_serves_makes_another_comparison(changes: dict[str, Any], *, is_other: bool, reason: str) -> None:
    before, after = (run_id(endpoint(COMPARED), each) for each in (main(), main(**changes)))
    assert (before.base != after.base) is is_other, reason
    assert before.is_own_of(result(id=str(after)))
    assert before.is_of(result(id=str(after))) is not is_other


@pytest.mark.parametrize(
    ("last", "since", "expected", "reason"),
    [
        (None, 1, 0, "nothing was compared yet"),
        (result(revision="0" * 7), 1, 0, "a new revision is compared at once"),
        (result(base_revision="0" * 7), 1, 59, "the base may change again in a moment"),
        (result(base_revision="0" * 7), 61, 0, "it has not"),
        (result(), 1, 0, "the base serves what it did: it was requested"),
    ],
)
def test_a_change_of_the_base_alone_waits_for_further_ones(
    last: ComparisonResult | None, since: int, expected: float, reason: str
) -> None:
    base = Base("main", "b" * 40, NOW - timedelta(seconds=since))
    assert policy.wait_for_base(last, "1f0c2a9", base, NOW) == expected, reason
