import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.serving.event_messages import LONGEST_BODY, endpoint_in

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


ENDPOINTS = [
    Case("as SageMaker sends it", {}),
    Case("a status that nobody knows", {"detail": {**EVENT["detail"], "EndpointStatus": "DANCING"}}),
    Case("only what is read", {key: None for key in EVENT if key not in {"source", "detail-type", "detail"}}),
]
OTHERS = [
    Case("another kind of event", {"detail-type": "SageMaker Training Job State Change"}),
    Case("by anyone: EventBridge keeps aws.* for AWS", {"source": "acme.sagemaker"}),
    Case("another kind, with another detail", {"detail-type": "SageMaker Image State Change", "detail": {}}),
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
    assert endpoint_in(case.body) == EVENT["detail"]["EndpointName"]


@pytest.mark.parametrize("case", OTHERS, ids=str)
def test_what_is_about_something_else_is_about_no_endpoint(case: Case) -> None:
    assert endpoint_in(case.body) is None


@pytest.mark.parametrize("case", MALFORMED, ids=str)
def test_what_is_malformed_is_refused(case: Case) -> None:
    with pytest.raises(ValueError, match=r"."):
        endpoint_in(case.body)


@pytest.mark.parametrize("body", NO_OBJECTS)
def test_what_is_no_object_is_refused_without_being_repeated(body: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        endpoint_in(body)
    assert "secret" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


@given(st.text() | st.recursive(st.none() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)))
def test_whatever_is_sent_is_an_endpoint_or_none_or_refused(sent: object) -> None:
    for body in (str(sent), json.dumps(sent), json.dumps({**EVENT, "detail": sent})):
        try:
            assert endpoint_in(body) is None
        except ValueError:
            continue
