"""Where what models answer is published, and what is refused."""

from typing import Any

import pytest
from tests.engine.objects import endpoint, make_class

from ephemeral_endpoints.features.routing.forwarder.config import ResultsConfig
from ephemeral_endpoints.features.routing.results.desired import forwarder_results, refused_results
from ephemeral_endpoints.features.subject import Subject

REGION = make_class().spec.region
TOPIC = f"arn:aws:sns:{REGION}:123456789012:results"


def subject(asked: dict[str, Any] | None, policy: dict[str, Any] | None) -> Subject:
    own = {"spec": {"results": asked}} if asked is not None else {}
    return Subject("c1", endpoint(own), make_class({"spec": {"results": policy} if policy is not None else {}}))


def to(service: str, target: str, *, include_request: bool = False) -> ResultsConfig:
    return ResultsConfig(service, target, include_request)


@pytest.mark.parametrize(
    ("asked", "policy", "config", "why"),
    [
        (None, {"topicArn": TOPIC}, None, "the object does not ask"),
        ({}, None, None, "the class does not say where to"),
        ({}, {"topicArn": TOPIC}, to("sns", TOPIC), "a topic"),
        ({"includeRequest": True}, {"topicArn": TOPIC}, to("sns", TOPIC, include_request=True), "with requests"),
        ({}, {"deliveryStream": "a"}, to("firehose", "a"), "Firehose"),
        ({}, {"kinesisStream": "a"}, to("kinesis", "a"), "Kinesis"),
    ],
)
def test_results_go_where_the_class_says(
    asked: dict[str, Any] | None, policy: dict[str, Any] | None, config: ResultsConfig | None, why: str
) -> None:
    assert forwarder_results(subject(asked, policy)) == config, why


def test_an_object_is_refused_what_its_class_does_not_have() -> None:
    refused = refused_results(subject({}, None))
    assert refused is not None
    assert "ask the platform team to set spec.results of the class" in str(refused)
    assert refused_results(subject(None, None)) is None
    assert refused_results(subject({}, {"topicArn": TOPIC})) is None
