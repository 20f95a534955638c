"""Where captured requests go, what a class has for it, and what is told of it."""

from dataclasses import replace
from typing import Any

import pytest
from tests.engine.objects import endpoint, make_class

from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.monitoring.specs import IN_ALARM
from ephemeral_endpoints.features.routing.capture.desired import (
    capture_of_class,
    forwarder_capture,
    lost_alarm,
    stale_alarm,
    stream_key,
)
from ephemeral_endpoints.features.routing.capture.specs import DeliveryStreamSpec
from ephemeral_endpoints.features.routing.capture.stage import captured, delivered
from ephemeral_endpoints.features.routing.forwarder.config import CaptureConfig
from ephemeral_endpoints.features.subject import Subject

ROLE = "arn:aws:iam::000000000000:role/delivery"
TO_S3: dict[str, Any] = {"s3Uri": "s3://captures/records/", "deliveryRoleArn": ROLE}
CLUSTER = "c1"


def a_class(**capture: Any) -> Any:  # noqa: ANN401 - members of any type
    roles = dict.fromkeys(("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), ROLE)
    return make_class({"spec": {**roles, **({"capture": capture} if capture else {})}})


def subject(asked: dict[str, Any] | None, **capture: Any) -> Subject:  # noqa: ANN401 - members of any type
    return Subject(CLUSTER, endpoint({"spec": {"capture": asked}} if asked is not None else {}), a_class(**capture))


STREAM = stream_key(CLUSTER, a_class())


@pytest.mark.parametrize(
    ("policy", "stream", "why"),
    [
        (TO_S3, STREAM.name, "the class's own"),
        ({"deliveryStream": "theirs"}, "theirs", "an existing one of Firehose"),
        ({"kinesisStream": "theirs"}, "theirs", "an existing one of Kinesis"),
    ],
)
def test_a_forwarder_captures_into_the_stream_of_its_class(policy: dict[str, Any], stream: str, why: str) -> None:
    is_kinesis = "kinesisStream" in policy
    asked = subject({"samplingPercent": 5, "redact": ["/a", "/b"]}, **policy, redact=["/b", "/c"])
    uid = asked.endpoint.metadata.uid
    assert forwarder_capture(asked) == CaptureConfig(stream, is_kinesis, 5, 65_536, ("/b", "/c", "/a"), uid), why


@pytest.mark.parametrize(
    ("asked", "policy", "why"),
    [
        (None, TO_S3, "the object does not ask"),
        ({}, {}, "the class does not say where to"),
    ],
)
def test_a_forwarder_captures_only_what_object_and_class_ask_for(
    asked: dict[str, Any] | None, policy: dict[str, Any], why: str
) -> None:
    assert forwarder_capture(subject(asked, **policy)) is None, why


def test_the_stream_of_a_class_has_a_prefix_for_each_object_and_two_alarms() -> None:
    [stream, lost, stale] = capture_of_class(CLUSTER, a_class(**TO_S3))
    assert (stream.key, lost.key, stale.key) == (STREAM, lost_alarm(STREAM), stale_alarm(STREAM))
    assert len(STREAM.name) <= 64
    assert isinstance(stream.spec, DeliveryStreamSpec)
    place = "!{partitionKeyFromQuery:namespace}/!{partitionKeyFromQuery:name}/!{timestamp:yyyy/MM/dd/HH}/"
    assert (stream.spec.bucket, stream.spec.prefix) == ("captures", f"records/{place}")
    assert stream.spec.error_prefix.startswith("records/_errors/")
    assert stream.spec.query == "{namespace:.ephemeralEndpoint.namespace,name:.ephemeralEndpoint.name}"


def test_a_bucket_may_be_the_whole_place() -> None:
    [stream, *_] = capture_of_class(CLUSTER, a_class(s3Uri="s3://captures", deliveryRoleArn=ROLE))
    assert isinstance(stream.spec, DeliveryStreamSpec)
    assert stream.spec.prefix.startswith("!{partitionKeyFromQuery:namespace}/")


def test_a_stream_that_the_class_names_has_an_alarm_on_what_is_lost() -> None:
    [lost] = capture_of_class(CLUSTER, a_class(kinesisStream="theirs"))
    assert lost.key == lost_alarm(STREAM)
    assert getattr(lost.spec, "dimensions", None) == (("Stream", "theirs"),)


def observed(phase: Phase = Phase.READY, **members: Any) -> dict[Key, ObservedResource]:  # noqa: ANN401 - members
    return {STREAM: ObservedResource(STREAM, phase, status=phase.upper(), **members)}


def gone_off(*alarms: Key) -> dict[Key, ObservedResource]:
    return observed() | {key: ObservedResource(key, Phase.READY, status=IN_ALARM) for key in alarms}


@pytest.mark.parametrize(
    ("policy", "found", "expected"),
    [
        ({}, {}, "False NoCaptureDestination"),
        (TO_S3, {}, "False StreamChanging"),
        (TO_S3, observed(Phase.BUSY), "False StreamChanging"),
        (TO_S3, observed(Phase.FAILED, detail="role"), "False StreamFailed"),
        (TO_S3, observed(), "True Capturing"),
        ({"deliveryStream": "theirs"}, {}, "True Capturing"),
    ],
)
def test_an_object_tells_whether_it_is_captured(policy: dict[str, Any], found: Any, expected: str) -> None:  # noqa: ANN401 - a mapping
    assert told(captured(subject({}, **policy), found)) == expected


def test_an_object_that_does_not_ask_tells_nothing() -> None:
    assert captured(subject(None, **TO_S3), observed()) is None


@pytest.mark.parametrize(
    ("found", "error", "expected"),
    [
        ({}, Denied("not authorized", operation="CreateDeliveryStream"), "False StreamFailed"),
        (observed(Phase.BUSY), None, "False StreamChanging"),
        (observed(), None, "True RecordsDelivered"),
        (gone_off(lost_alarm(STREAM)), None, "False RecordsLost"),
        (gone_off(lost_alarm(STREAM), stale_alarm(STREAM)), None, "False DeliveryFailing"),
    ],
)
def test_a_class_tells_whether_records_arrive(found: Any, error: Denied | None, expected: str) -> None:  # noqa: ANN401 - a mapping
    policy = a_class(**TO_S3).spec.capture
    assert told(delivered(policy, STREAM, found, error, asked=True)) == expected


def test_a_class_of_which_nothing_is_captured_says_so() -> None:
    assert told(delivered(a_class(**TO_S3).spec.capture, STREAM, {}, None, asked=False)) == "True NothingCaptured"


def test_a_class_without_capture_tells_nothing() -> None:
    assert delivered(None, STREAM, {}, None, asked=True) is None


def told(update: ConditionUpdate | None) -> str:
    assert update is not None
    return f"{update.status} {update.reason}"


def test_streams_differ_by_where_they_write() -> None:
    [stream, *_] = capture_of_class(CLUSTER, a_class(**TO_S3))
    assert isinstance(stream.spec, DeliveryStreamSpec)
    assert not replace(stream.spec, is_partitioned=False).can_become(stream.spec)
    assert replace(stream.spec, prefix="elsewhere").can_become(stream.spec)
