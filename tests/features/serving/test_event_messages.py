import json
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.serving.event_messages import (
    BUILD_CHANGED,
    EXECUTION_CHANGED,
    LONGEST_BODY,
    STEP_CHANGED,
    Changed,
    Kind,
    changed_in,
)

EVENT: dict[str, Any] = {
    "version": "0",
    "id": "d2921b5a-b0ea-4fea-b8d5-5f2a2d5a0d4c",
    "detail-type": "SageMaker Endpoint State Change",
    "source": "aws.sagemaker",
    "account": "123456789012",
    "time": "2026-11-21T12:00:00Z",
    "region": "eu-central-1",
    "resources": ["arn:aws:sagemaker:eu-central-1:123456789012:endpoint/eep-c1-pr-42-abcdefghij"],
    "detail": {"EndpointName": "eep-c1-pr-42-abcdefghij", "EndpointStatus": "IN_SERVICE", "Tags": {}},
}


@dataclass(frozen=True)
class Case:
    reason: str
    change: dict[str, Any]

    @property
    def body(self) -> str:
        return json.dumps({key: value for key, value in {**EVENT, **self.change}.items() if value is not None})

    def __str__(self) -> str:
        return self.reason


PACKAGE: dict[str, Any] = {
    "detail-type": "SageMaker Model Package State Change",
    "detail": {"ModelPackageGroupName": "wine", "ModelPackageVersion": 7, "ModelApprovalStatus": "Approved"},
}
BUILD_ID: Final = "previews:8745a7a9-c340-456a-9166-edf953571b00"
BUILD: dict[str, Any] = {
    "source": "aws.codebuild",
    "detail-type": BUILD_CHANGED,
    "detail": {
        "build-status": "SUCCEEDED",
        "project-name": "previews",
        "build-id": f"arn:aws:codebuild:eu-central-1:123456789012:build/{BUILD_ID}",
        "additional-information": {"environment": {"environment-variables": [{"name": "A", "value": "secret"}]}},
    },
}
ENDPOINTS = [
    Case("as SageMaker sends it", {}),
    Case("a status that nobody knows", {"detail": {**EVENT["detail"], "EndpointStatus": "DANCING"}}),
    Case("only what is read", {key: None for key in EVENT if key not in {"source", "detail-type", "detail"}}),
]
OTHERS = [
    Case("another kind of event", {"detail-type": "SageMaker Training Job State Change"}),
    Case("by anyone: EventBridge keeps aws.* for AWS", {"source": "acme.sagemaker"}),
    Case("another kind, with another detail", {"detail-type": "SageMaker Image State Change", "detail": {}}),
    Case("a package by anyone", {**PACKAGE, "source": "acme.sagemaker"}),
    Case("a build by anyone", {**BUILD, "source": "acme.codebuild"}),
    Case("a phase of a build", {**BUILD, "detail-type": "CodeBuild Build Phase Change"}),
    Case("an endpoint of another service", {"source": "aws.codebuild"}),
    Case("an unversioned package, of no group", {**PACKAGE, "detail": {"ModelPackageName": "wine"}}),
]
MALFORMED = [
    Case("no source", {"source": None}),
    Case("no type", {"detail-type": None}),
    Case("no detail", {"detail": None}),
    Case("a detail that is a text", {"detail": json.dumps(EVENT["detail"])}),
    Case("a detail that is a list", {"detail": [EVENT["detail"]]}),
    Case("no name", {"detail": {"EndpointStatus": "IN_SERVICE"}}),
    Case("a name that is a number", {"detail": {"EndpointName": 7}}),
    Case("a name that is an object", {"detail": {"EndpointName": {"a": "b"}}}),
    Case("a name longer than any", {"detail": {"EndpointName": "x" * 64}}),
    Case("a source that is a number", {"source": 1}),
    Case("a group that is a number", {**PACKAGE, "detail": {"ModelPackageGroupName": 7}}),
    Case("a group with a name longer than any", {**PACKAGE, "detail": {"ModelPackageGroupName": "x" * 64}}),
    Case("a build without a status", {**BUILD, "detail": {"build-id": "arn"}}),
    Case("a build that is a number", {**BUILD, "detail": {"build-id": 7, "build-status": "FAILED"}}),
    Case(
        "a build with an ARN longer than any", {**BUILD, "detail": {"build-id": "x" * 2049, "build-status": "FAILED"}}
    ),
    Case("too long", {"padding": "x" * LONGEST_BODY}),
]
NO_OBJECTS = [
    pytest.param("", id="empty"),
    pytest.param("null", id="null"),
    pytest.param("[]", id="a list"),
    pytest.param("secret", id="no JSON"),
    pytest.param("{'source': 'aws.sagemaker'}", id="Python"),
    pytest.param('{"source": "aws.sagemaker"', id="cut off"),
    pytest.param("[" * LONGEST_BODY, id="as deep as can be"),
    pytest.param('{"detail":' * 5000 + "1" + "}" * 5000, id="deep and well formed"),
    pytest.param('{"a": ' + "9" * 60_000 + "}", id="a number that takes long to read"),
    pytest.param('{"source": "\\ud800"}', id="half a character"),
    pytest.param("\x00" * 100, id="zeros"),
]


@pytest.mark.parametrize("case", ENDPOINTS, ids=str)
def test_the_endpoint_is_read(case: Case) -> None:
    assert changed_in(case.body) == Changed(Kind.ENDPOINT, EVENT["detail"]["EndpointName"])


PIPELINE: Final = "arn:aws:sagemaker:eu-central-1:123456789012:pipeline/eep-c1-wine-abcdefghij-01234567"
EXECUTION: Final = f"{PIPELINE}/execution/abcdefghijkl"
OVER: Final = Changed(Kind.PIPELINE, "eep-c1-wine-abcdefghij-01234567")
BEGUN: Final = replace(OVER, execution=EXECUTION)


@pytest.mark.parametrize(
    ("kind", "detail", "found"),
    [
        pytest.param(EXECUTION_CHANGED, {"currentPipelineExecutionStatus": "Succeeded"}, OVER, id="an end"),
        pytest.param(EXECUTION_CHANGED, {"currentPipelineExecutionStatus": "Stopping"}, OVER, id="a stop"),
        pytest.param(EXECUTION_CHANGED, {"currentPipelineExecutionStatus": "Executing"}, None, id="our own start"),
        pytest.param(EXECUTION_CHANGED, {}, OVER, id="nothing known"),
        pytest.param(STEP_CHANGED, {"stepType": "Training", "currentStepStatus": "Executing"}, BEGUN, id="a job"),
        pytest.param(STEP_CHANGED, {"stepType": "Training", "currentStepStatus": "Starting"}, None, id="about to"),
        pytest.param(STEP_CHANGED, {"stepType": "Training", "currentStepStatus": "Failed"}, None, id="its end follows"),
        pytest.param(STEP_CHANGED, {"stepType": "Condition", "currentStepStatus": "Executing"}, None, id="no job"),
        pytest.param(STEP_CHANGED, {}, None, id="a step of which nothing is known"),
    ],
)
def test_an_execution_is_looked_at_when_it_ends_and_its_steps_when_a_job_begins(
    kind: str, detail: dict[str, str], found: Changed | None
) -> None:
    arns = {"pipelineArn": PIPELINE, "pipelineExecutionArn": EXECUTION}
    assert changed_in(Case("a pipeline", {"detail-type": kind, "detail": arns | detail}).body) == found


@pytest.mark.parametrize(
    ("status", "found"),
    [
        *((each, Changed(Kind.BUILD, BUILD_ID)) for each in ("SUCCEEDED", "FAILED", "STOPPED", "TIMED_OUT", "FAULT")),
        ("DANCING", Changed(Kind.BUILD, BUILD_ID)),
        ("IN_PROGRESS", None),
    ],
)
def test_a_build_is_looked_at_when_it_has_ended(status: str, found: Changed | None) -> None:
    assert changed_in(Case("", {**BUILD, "detail": {**BUILD["detail"], "build-status": status}}).body) == found


@pytest.mark.parametrize("case", OTHERS, ids=str)
def test_what_is_about_something_else_is_about_no_endpoint(case: Case) -> None:
    assert changed_in(case.body) is None


@pytest.mark.parametrize("case", MALFORMED, ids=str)
def test_what_is_malformed_is_refused(case: Case) -> None:
    with pytest.raises(ValueError, match=r"."):
        changed_in(case.body)


@pytest.mark.parametrize("body", NO_OBJECTS)
def test_what_is_no_object_is_refused_without_being_repeated(body: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        changed_in(body)
    assert "secret" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


def test_the_group_of_a_package_is_read() -> None:
    assert changed_in(Case("", PACKAGE).body) == Changed(Kind.PACKAGE_GROUP, "wine")


def test_a_member_that_is_there_twice_does_not_hide_the_group() -> None:
    """AWS's own sample of such an event has its source twice."""
    body = Case("", PACKAGE).body.replace('"source": ', '"source": ["aws.sagemaker"], "source": ')
    assert changed_in(body) == Changed(Kind.PACKAGE_GROUP, "wine")


@given(st.text() | st.recursive(st.none() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)))
def test_whatever_is_sent_is_an_endpoint_or_none_or_refused(sent: object) -> None:
    for body in (str(sent), json.dumps(sent), json.dumps({**EVENT, "detail": sent})):
        try:
            assert changed_in(body) is None
        except ValueError:
            continue
