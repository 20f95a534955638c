"""Where what models answer is published, and what is refused."""

from typing import Any

import pytest
from tests.engine.objects import endpoint, make_class

from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.engine.resources import ObservedResource, Phase
from ephemeral_endpoints.features.monitoring.specs import IN_ALARM, AlarmSpec
from ephemeral_endpoints.features.routing.forwarder.config import ResultsConfig
from ephemeral_endpoints.features.routing.forwarder.results import Publisher
from ephemeral_endpoints.features.routing.results.desired import (
    alarm_key,
    forwarder_results,
    refused_results,
    results_of_class,
)
from ephemeral_endpoints.features.routing.results.stage import published
from ephemeral_endpoints.features.subject import Subject

REGION = make_class().spec.region
TOPIC = f"arn:aws:sns:{REGION}:123456789012:results"


def a_class(**policy: Any) -> Any:  # noqa: ANN401 - members of any type
    return make_class({"spec": {"results": policy} if policy else {}})


LOST = ObservedResource(alarm_key("c1", a_class()), Phase.READY, status=IN_ALARM)


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


@pytest.mark.parametrize("policy", [{"topicArn": TOPIC}, {"deliveryStream": "a"}, {"kinesisStream": "a"}], ids=str)
def test_the_alarm_of_a_class_is_on_what_its_forwarders_count(policy: dict[str, Any]) -> None:
    [alarm] = results_of_class("c1", a_class(**policy))
    config = forwarder_results(subject({}, policy))
    assert isinstance(alarm.spec, AlarmSpec)
    assert config
    assert alarm.key == alarm_key("c1", a_class())
    assert (alarm.spec.metric, alarm.spec.dimensions) == (
        Publisher.terms.metric,
        ((Publisher.terms.dimension, config.target),),
    )


def test_a_class_that_publishes_nothing_has_no_alarm() -> None:
    assert results_of_class("c1", a_class()) == []
    assert published(None, None, None, asked=True) is None


@pytest.mark.parametrize(
    ("alarm", "error", "asked", "expected"),
    [
        (None, None, False, "True NothingPublished"),
        (None, None, True, "True ResultsPublished"),
        (LOST, None, True, "False ResultsLost"),
        (None, Denied("not authorized", operation="PutMetricAlarm"), True, "False ResultsUnwatched"),
        (LOST, Denied("not authorized", operation="PutMetricAlarm"), True, "False ResultsLost"),
    ],
)
def test_a_class_tells_whether_results_arrive(
    alarm: ObservedResource | None,
    error: Denied | None,
    asked: bool,  # noqa: FBT001 - of a table
    expected: str,
) -> None:
    update = published(a_class(topicArn=TOPIC).spec.results, alarm, error, asked=asked)
    assert update
    assert f"{update.status} {update.reason}" == expected
