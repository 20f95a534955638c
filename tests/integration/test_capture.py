"""Requests through the URL, as records in S3 that the comparison of another object replays; results in a topic."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.fixtures.operator import Bench
from tests.fixtures.waiting import eventually

from ephemeral_endpoints.deploy.policies import PARAMETERS

BUCKET = "captures"
SECRET = "ada@example.com"  # noqa: S105 - what is to be redacted


@pytest.fixture
def captures(bench: Bench) -> Iterator[str]:
    """A class whose objects may have their requests captured, and replay those of their namespace."""
    bench.aws("s3").create_bucket(Bucket=BUCKET)
    name = f"captures-{bench.namespace}"
    arn = bench.aws("iam").get_role(RoleName=_delivery_role(bench))["Role"]["Arn"]
    bench.make_class(
        name,
        capture={"s3Uri": f"s3://{BUCKET}/captures", "deliveryRoleArn": arn},
        comparisons={"recordings": [f"s3://{BUCKET}/captures/{{namespace}}"]},
    )
    yield name
    bench.delete_class(name)
    bench.wait_class_gone(name)


def _delivery_role(bench: Bench) -> str:
    roles = bench.aws("iam").list_roles()["Roles"]
    return next(str(each["RoleName"]) for each in roles if "firehose" in json.dumps(each["AssumeRolePolicyDocument"]))


def files(bench: Bench, prefix: str = "captures/") -> dict[str, bytes]:
    client = bench.aws("s3")
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {each["Key"]: client.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in found}


def records(bench: Bench, name: str) -> list[dict[str, Any]]:
    lines = b"".join(files(bench, f"captures/{bench.namespace}/{name}/").values()).splitlines()
    return [json.loads(line) for line in lines]


def test_requests_on_serverless_land_in_s3_redacted_and_are_replayed_by_a_comparison(
    bench: Bench, captures: str
) -> None:
    capture = {"redact": ["/email"]}
    bench.apply("base", bench.spec(className=captures, capture=capture))
    base = bench.wait_ready("base")
    bench.wait_condition("base", "Captured", reason="Capturing")
    url, token = base["status"]["url"], bench.token("base")
    sent = json.dumps({"text": "good", "email": SECRET}).encode()
    answer = bench.call(url, sent, token=token)
    assert answer.status_code == 200
    eventually(lambda: bool(records(bench, "base")), "the record is in S3")
    [record] = records(bench, "base")
    assert record["eventMetadata"]["inferenceId"] == answer.headers["eep-inference-id"]
    assert json.loads(record["captureData"]["endpointInput"]["data"]) == {"text": "good", "email": "[redacted]"}
    assert record["ephemeralEndpoint"]["namespace"] == bench.namespace
    [key] = files(bench)
    assert key.endswith(".jsonl")

    recorded = {"s3Uri": f"s3://{BUCKET}/captures/{bench.namespace}/base"}
    compare = {"with": {"endpoint": "base"}, "recorded": recorded}
    bench.apply("head", bench.spec(className=captures, compare=compare))
    bench.wait_ready("head")
    compared = bench.wait("head", lambda obj: bool(obj["status"].get("comparison")), what="compared")
    assert compared["status"]["comparison"]["requests"] == 1, compared["status"]["comparison"]
    assert len(records(bench, "base")) == 1, "what the operator sends is not captured"

    logs = bench.aws("logs")
    for group in bench.log_groups():
        events = logs.filter_log_events(logGroupName=group["logGroupName"]).get("events", [])
        if group["logGroupName"].startswith("/aws/lambda/"):
            assert SECRET not in json.dumps(events)
    for name in ("head", "base"):
        bench.delete(name)
        bench.wait_gone(name)
    eventually(lambda: "DeliveryStream" not in bench.contents(), "the stream goes with the last object")
    assert records(bench, "base"), "the records stay"


@pytest.fixture
def publishes(bench: Bench) -> Iterator[tuple[str, str]]:
    """A class that publishes to the topic that its forwarders may publish to, and a queue that subscribes."""
    sns, sqs = bench.aws("sns"), bench.aws("sqs")
    topic = sns.create_topic(Name=PARAMETERS["ResultsTopic"].default)["TopicArn"]
    queue = sqs.create_queue(QueueName=f"results-{bench.namespace}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    name = f"publishes-{bench.namespace}"
    bench.make_class(name, results={"topicArn": topic})
    yield name, queue
    bench.delete_class(name)
    bench.wait_class_gone(name)


def test_what_the_model_answers_callers_is_published_and_nothing_else(bench: Bench, publishes: tuple[str, str]) -> None:
    name, queue = publishes
    bench.apply("told", bench.spec(className=name, results={"includeRequest": True}))
    told = bench.wait_ready("told")
    answer = bench.call(told["status"]["url"], b'{"text":"good"}', token=bench.token("told"))
    assert answer.status_code == 200
    found: list[Any] = []

    def has_one() -> bool:
        received = bench.aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        found.extend(json.loads(each["Body"]) for each in received)
        return bool(found)

    eventually(has_one, "the message is in the queue")
    [envelope] = found  # the probe and whatever else the operator has sent before would be here too
    message = json.loads(envelope["Message"])
    assert message["object"] == {"namespace": bench.namespace, "name": "told"}
    assert message["answer"]["data"] == answer.text
    assert message["request"]["data"] == '{"text":"good"}'
    assert message["inferenceId"] == answer.headers["eep-inference-id"]
    assert envelope["MessageAttributes"]["name"] == {"Type": "String", "Value": "told"}
    bench.delete("told")
    bench.wait_gone("told")
