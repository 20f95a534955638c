"""The embedded Firehose: as strict as AWS's, and with the rights of the delivery role alone."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.fixtures.platform import Aws
from tests.fixtures.waiting import eventually

from eep_platform.aws.firehose import BUFFER_SECONDS, SECONDS, Buffer, Firehose, embedded_metrics

PREFIX = "captures/!{partitionKeyFromQuery:name}/!{timestamp:yyyy}/"
QUERY = [
    {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{name:.name}"},
    {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
]
DESTINATION: dict[str, Any] = {
    "RoleARN": "arn:aws:iam::000000000000:role/any",
    "BucketARN": "arn:aws:s3:::captures",
    "Prefix": PREFIX,
    "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
    "FileExtension": ".jsonl",
    "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
    "DynamicPartitioningConfiguration": {"Enabled": True},
    "ProcessingConfiguration": {
        "Enabled": True,
        "Processors": [{"Type": "MetadataExtraction", "Parameters": QUERY}],
    },
}
WRITING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::captures/captures/*"}],
}


def create(aws: Aws, name: str = "s", **changes: object) -> None:
    aws.client("firehose").create_delivery_stream(
        DeliveryStreamName=name, ExtendedS3DestinationConfiguration={**DESTINATION, **changes}
    )


def status(aws: Aws, name: str = "s") -> str:
    stream = aws.client("firehose").describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    return str(stream["DeliveryStreamStatus"])


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return caught.value.response["Error"]["Code"]


def stored(aws: Aws) -> dict[str, bytes]:
    client = aws.client("s3")
    found = client.list_objects_v2(Bucket="captures").get("Contents", [])
    return {each["Key"]: client.get_object(Bucket="captures", Key=each["Key"])["Body"].read() for each in found}


def put(aws: Aws, data: bytes) -> None:
    aws.client("firehose").put_record(DeliveryStreamName="s", Record={"Data": data})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"RoleARN": "arn:aws:iam::000000000000:role/nobody"}, "a role that is not there"),
        ({"BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60}}, "a buffer too small for partitions"),
        ({"Prefix": "captures/"}, "partitions without a place"),
        ({"DynamicPartitioningConfiguration": {"Enabled": False}}, "a place without partitions"),
        ({"ErrorOutputPrefix": ""}, "no place for what fails"),
    ],
)
def test_a_stream_that_aws_would_refuse_is_refused(fresh_aws: Aws, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ClientError) as caught:
        create(fresh_aws, **changes)
    assert code_of(caught) == "InvalidArgumentException", why


def test_a_stream_takes_records_of_some_size_once_it_is_active(fresh_aws: Aws) -> None:
    create(fresh_aws)
    eventually(lambda: status(fresh_aws) == "ACTIVE", "active")
    put(fresh_aws, b"{}")
    with pytest.raises(ClientError) as caught:
        put(fresh_aws, b"x" * 1_024_001)
    assert code_of(caught) in {"InvalidArgumentException", "ValidationException"}


def test_records_are_written_below_the_prefix_of_their_partition(fresh_aws: Aws) -> None:
    fresh_aws.client("s3").create_bucket(Bucket="captures")
    fresh_aws.client("iam").put_role_policy(RoleName="any", PolicyName="p", PolicyDocument=json.dumps(WRITING))
    create(fresh_aws)
    eventually(lambda: status(fresh_aws) == "ACTIVE", "active")
    for name in ("a", "b", "a"):
        put(fresh_aws, json.dumps({"name": name}).encode() + b"\n")

    def of(partition: str) -> bytes:
        # The second record comes in a file of its own if it was sent later than the first is kept for.
        return b"".join(data for key, data in stored(fresh_aws).items() if key.startswith(f"captures/{partition}/"))

    expected = {"a": b'{"name": "a"}\n{"name": "a"}\n', "b": b'{"name": "b"}\n'}
    eventually(lambda: {name: of(name) for name in expected} == expected, "both partitions are there")
    assert all(key.endswith(".jsonl") for key in stored(fresh_aws))


def test_what_the_role_may_not_write_waits_and_is_written_once_it_may(fresh_aws: Aws) -> None:
    fresh_aws.client("s3").create_bucket(Bucket="captures")
    create(fresh_aws)
    eventually(lambda: status(fresh_aws) == "ACTIVE", "active")
    put(fresh_aws, b'{"name": "a"}\n')

    def is_old() -> bool:
        found = fresh_aws.client("cloudwatch").list_metrics(Namespace="AWS/Firehose")["Metrics"]
        return any(each["MetricName"] == "DeliveryToS3.DataFreshness" for each in found)

    eventually(is_old, "the age of what waits is told")
    assert stored(fresh_aws) == {}
    fresh_aws.client("iam").put_role_policy(RoleName="any", PolicyName="p", PolicyDocument=json.dumps(WRITING))
    eventually(lambda: len(stored(fresh_aws)) == 1, "it is written")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Delivery:
    """A Firehose with a clock of its own, which cannot write what goes to the location `bad`."""

    def __init__(self) -> None:
        self.clock, self.ages, self.written = Clock(), list[float](), list[tuple[str, bytes]]()
        self.streams: dict[str, dict[str, Any]] = {"s": {"name": "s", "status": "ACTIVE"}}
        self.firehose = Firehose(
            self.streams,
            lambda _, data: (("b", data.decode().strip()), data),
            self.write,
            lambda _, age: self.ages.append(age),
            lambda code, message: (400, {}, f"{code} {message}".encode()),
            self.clock,
        )

    def write(self, _: object, __: object, location: tuple[str, str], content: bytes) -> bool:
        self.written.append((location[1], content))
        return location[1] != "bad"

    def call(self, operation: str) -> str:
        """What an operation on the stream answers, or what it is refused with."""

        def handle(_: object) -> tuple[int, dict[str, str], bytes]:
            if operation == "CreateDeliveryStream":
                self.streams["s"] = {"name": "s", "status": "ACTIVE"}
            return 200, {}, b"handled"

        answer = self.firehose.over(operation, handle)({"DeliveryStreamName": "s", "Record": {"Data": ""}})
        return answer[2].decode().split()[0]

    def take(self, *records: bytes) -> None:
        self.firehose.take(self.streams["s"], {}, [("1", each) for each in records])


def test_the_age_of_what_could_not_be_written_is_measured_and_the_rest_goes() -> None:
    delivery = Delivery()
    delivery.take(b"good\n", b"bad\n", b"good\n")
    delivery.firehose.deliver()
    assert delivery.written == [], "it is buffered"
    delivery.clock.now = BUFFER_SECONDS
    delivery.firehose.deliver()
    assert delivery.written == [("good", b"good\ngood\n"), ("bad", b"bad\n")]
    assert delivery.ages == [BUFFER_SECONDS]
    delivery.clock.now = 900.0
    delivery.firehose.deliver()
    assert (delivery.written[2:], delivery.ages[1:]) == ([("bad", b"bad\n")], [900.0])
    assert SECONDS < BUFFER_SECONDS
    assert Buffer({}, {}).records == []


def test_a_stream_takes_a_moment_to_be_created_in_which_it_takes_nothing_and_cannot_go() -> None:
    delivery = Delivery()
    assert delivery.call("CreateDeliveryStream") == "handled"
    assert delivery.streams["s"]["status"] == "CREATING"
    assert delivery.call("DeleteDeliveryStream") == "ResourceInUseException"
    assert delivery.call("PutRecord") == "ResourceNotFoundException"
    delivery.clock.now = SECONDS
    assert delivery.call("PutRecord") == "handled"
    assert delivery.streams["s"]["status"] == "ACTIVE"
    delivery.call("DeleteDeliveryStream")
    assert delivery.streams["s"]["status"] == "DELETING"
    delivery.clock.now = 2 * SECONDS
    delivery.firehose.deliver()
    assert delivery.streams == {}


def test_a_reset_leaves_nothing_that_is_delivered_or_measured_later() -> None:
    delivery = Delivery()
    delivery.take(b"bad\n")
    delivery.clock.now = BUFFER_SECONDS
    delivery.firehose.deliver()
    assert (delivery.written, delivery.ages) == ([("bad", b"bad\n")], [BUFFER_SECONDS]), "it is tried again and again"
    delivery.firehose.before(delivery.streams.clear)()
    delivery.clock.now = 900.0
    delivery.firehose.deliver()
    assert (len(delivery.written), len(delivery.ages), delivery.streams) == (1, 1, {})


METRIC = {"Namespace": "N", "Dimensions": [["Stream"]], "Metrics": [{"Name": "Lost", "Unit": "Count"}]}
LINE = {"_aws": {"Timestamp": 1000, "CloudWatchMetrics": [METRIC]}, "Stream": "s", "Lost": 1}


@pytest.mark.parametrize(
    ("line", "count", "why"),
    [
        (json.dumps(LINE), 1, "a metric"),
        (json.dumps({**LINE, "_aws": {**LINE["_aws"], "CloudWatchMetrics": []}}), 0, "no metric"),  # type: ignore[dict-item]
        (json.dumps({key: LINE[key] for key in ("_aws", "Lost")}), 0, "a dimension without a value"),
        ('{"_aws": ', 0, "no JSON"),
        ("plain text", 0, "an ordinary line"),
    ],
)
def test_metrics_that_are_embedded_in_lines_are_found(line: str, count: int, why: str) -> None:
    assert len(embedded_metrics(f"START\n{line}\nEND")) == count, why


def test_an_embedded_metric_has_the_value_and_the_dimensions_of_its_line() -> None:
    [found] = embedded_metrics(json.dumps(LINE))
    assert found["MetricData"] == [
        {
            "MetricName": "Lost",
            "Dimensions": [{"Name": "Stream", "Value": "s"}],
            "Timestamp": 1.0,
            "Value": 1.0,
            "Unit": "Count",
        }
    ]
