import json
import urllib.parse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.async_jobs import Job, Result, job, notification
from eep_platform.sagemaker.metrics import Backlog

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

NOW = datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)
TOPICS = {"SuccessTopic": "arn:s", "ErrorTopic": "arn:e", "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"]}
OUTPUT: dict[str, Any] = {"S3OutputPath": "s3://b/out/", "S3FailurePath": "s3://b/failed", "NotificationConfig": TOPICS}


def a_job(**request: Any) -> Job:  # noqa: ANN401 - members of a request
    return job("e", {"Body": b"", "InputLocation": "s3://b/in"} | request, OUTPUT, NOW)


def test_places_are_made_of_the_configuration_and_the_request() -> None:
    plain = a_job(InferenceId="i")
    identity = plain.output.removeprefix("s3://b/out/").removesuffix(".out")
    assert (len(identity), plain.failure) == (36, f"s3://b/failed/{identity}-error.out")
    assert (plain.inference_id, plain.timeout_seconds, plain.ttl_seconds) == ("i", 900, 21_600)
    assert a_job(S3OutputPathExtension="x/y/", Filename="f.json").output == "s3://b/out/x/y/f.json"


@pytest.mark.parametrize(
    "request_", [{"InputLocation": ""}, {"Body": b"x"}, {"InputLocation": "https://s3.amazonaws.com/b/k"}]
)
def test_there_is_exactly_one_input_in_s3_or_in_the_request(request_: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as raised:
        a_job(**request_)
    assert raised.value.code == "ValidationError"


def test_a_job_expires_after_its_time_in_line() -> None:
    waiting = a_job(RequestTTLSeconds=60)
    assert not waiting.has_expired(NOW + timedelta(seconds=60))
    assert waiting.has_expired(NOW + timedelta(seconds=61))


def test_notifications_have_the_documented_members() -> None:
    done = a_job(InferenceId="i", ContentType="text/csv")
    reported = notification(done, Result(b"1", "text/plain"), "us-east-1", NOW)
    assert reported is not None
    assert reported[0] == "arn:s"
    assert json.loads(reported[1]) == {
        "awsRegion": "us-east-1",
        "eventTime": "2026-03-04T05:06:07.089Z",
        "receivedTime": "2026-03-04T05:06:07.089Z",
        "invocationStatus": "Completed",
        "requestParameters": {"contentType": "text/csv", "endpointName": "e", "inputLocation": "s3://b/in"},
        "responseParameters": {
            "contentType": "text/plain",
            "outputLocation": done.output,
            "responseBody": {"content": "1", "encoding": "UTF-8"},
        },
        "inferenceId": "i",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    topic, message = notification(done, Result(b"", "text/plain", "why"), "us-east-1", NOW) or ("", "{}")
    failed = json.loads(message)
    assert (topic, failed["invocationStatus"], failed["failureReason"]) == ("arn:e", "Failed", "why")
    assert failed["responseParameters"] == {"contentType": "text/plain", "outputLocation": done.failure}


def test_a_backlog_is_measured_also_without_instances() -> None:
    measured = [{name: value for name, _, value in Backlog("e", 6, count).samples()} for count in (2, 0)]
    assert [each["ApproximateBacklogSizePerInstance"] for each in measured] == [3, 6]
    assert [each["HasBacklogWithoutCapacity"] for each in measured] == [False, True]


@pytest.fixture
def bucket(service: "Service") -> str:
    name = service.name()
    service.aws("s3").create_bucket(Bucket=name)
    return name


def an_endpoint(service: "Service", bucket: str, *, at_once: int = 4, **output: Any) -> str:  # noqa: ANN401 - members of a request
    places = {"S3OutputPath": f"s3://{bucket}/out", "S3FailurePath": f"s3://{bucket}/failed"}
    config = {
        "OutputConfig": places | output,
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": at_once},
    }
    return service.endpoint(service.config_of(service.instances(), AsyncInferenceConfig=config))


def stored(service: "Service", location: str) -> bytes | None:
    place = urllib.parse.urlsplit(location)
    s3 = service.aws("s3")
    try:
        content: bytes = s3.get_object(Bucket=place.netloc, Key=place.path[1:])["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return content


def put(service: "Service", bucket: str, body: str) -> str:
    key = f"in/{body}"
    service.aws("s3").put_object(Bucket=bucket, Key=key, Body=body.encode())
    return f"s3://{bucket}/{key}"


def test_a_result_goes_to_s3_and_is_notified(service: "Service", bucket: str) -> None:
    sqs, sns = service.aws("sqs"), service.aws("sns")
    queue = sqs.create_queue(QueueName=service.name())["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name=service.name())["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    name = an_endpoint(service, bucket, NotificationConfig={"SuccessTopic": topic, "ErrorTopic": topic})
    shown = service.sagemaker.describe_endpoint(EndpointName=name)["AsyncInferenceConfig"]
    assert shown["OutputConfig"]["S3OutputPath"] == f"s3://{bucket}/out"
    place = put(service, bucket, "12345")
    answer = service.invoker.invoke_endpoint_async(
        EndpointName=name, InputLocation=place, InferenceId="i-1", ContentType="text/csv"
    )
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["InferenceId"]) == (202, "i-1")
    facts = json.loads(service.eventually(lambda: stored(service, answer["OutputLocation"]), "the result"))
    assert (facts["bytes"], facts["headers"]["Content-Type"]) == (5, "text/csv")
    [received] = service.eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), "the notification")
    reported = json.loads(json.loads(received["Body"])["Message"])
    assert (reported["invocationStatus"], reported["inferenceId"]) == ("Completed", "i-1")
    assert reported["responseParameters"]["outputLocation"] == answer["OutputLocation"]


@pytest.mark.parametrize(
    ("body", "request_", "failure"),
    [
        pytest.param("status 500", {}, b"the model says no", id="the model fails"),
        pytest.param("sleep 3", {"InvocationTimeoutSeconds": 1}, b"Your invocation timed out", id="it takes too long"),
        pytest.param(None, {}, b"cannot be read", id="there is no such input"),
    ],
)
def test_a_failure_goes_to_the_failure_location(
    service: "Service", bucket: str, body: str | None, request_: dict[str, Any], failure: bytes
) -> None:
    name = an_endpoint(service, bucket)
    place = put(service, bucket, body) if body else f"s3://{bucket}/absent"
    answer = service.invoker.invoke_endpoint_async(EndpointName=name, InputLocation=place, **request_)
    assert failure in service.eventually(lambda: stored(service, answer["FailureLocation"]), "the failure")
    assert stored(service, answer["OutputLocation"]) is None


def test_requests_wait_for_their_turn_and_for_instances(service: "Service", bucket: str, tmp_path: Path) -> None:
    service.settings(behaviour={"update_seconds": 0})
    name, gate = an_endpoint(service, bucket, at_once=1), tmp_path / "gate"
    slow, last = (
        service.invoker.invoke_endpoint_async(EndpointName=name, InputLocation=put(service, bucket, body))
        for body in (f"until {gate}", "x")
    )
    service.eventually(gate.with_suffix(".waiting").exists, "the first one's turn")
    _scale(service, name, 0)
    gate.touch()
    service.eventually(lambda: stored(service, slow["OutputLocation"]), "what was under way ends")
    assert stored(service, last["OutputLocation"]) is None
    service.wait(name, "InService")
    _scale(service, name, 1)
    service.eventually(lambda: stored(service, last["OutputLocation"]), "the other one has its turn")


def _scale(service: "Service", name: str, count: int) -> None:
    change: Any = {"VariantName": "AllTraffic", "DesiredInstanceCount": count}
    service.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=[change])


def test_synchronous_and_asynchronous_endpoints_refuse_each_others_requests(service: "Service", bucket: str) -> None:
    queued, direct = an_endpoint(service, bucket), service.endpoint()
    with pytest.raises(ClientError, match="does not support InvokeEndpoint: use InvokeEndpointAsync") as raised:
        service.invoke(queued)
    assert raised.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="does not support InvokeEndpointAsync: use InvokeEndpoint") as raised:
        service.invoker.invoke_endpoint_async(EndpointName=direct, InputLocation="s3://b/k")
    assert raised.value.response["Error"]["Code"] == "ValidationError"
