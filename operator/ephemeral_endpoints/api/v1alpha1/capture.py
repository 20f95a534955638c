"""Recording of requests and answers: what an object asks for, and where a class has the records go."""

from typing import Annotated, ClassVar, Final

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.comparison import Pointers
from ephemeral_endpoints.api.v1alpha1.types import Integer, RoleArn, S3Prefix

DEFAULT_MAX_BYTES: Final = 65_536
_MOST_BYTES: Final = 262_144

# https://docs.aws.amazon.com/firehose/latest/APIReference/API_CreateDeliveryStream.html
DeliveryStreamName = Annotated[
    str,
    Field(max_length=64),
    matches(
        "[a-zA-Z0-9_.-]{1,64}",
        "must be the name of a delivery stream of Firehose, not its ARN: letters, digits, '_', '.' and '-'",
    ),
]

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html
KinesisStreamName = Annotated[
    str,
    Field(max_length=128),
    matches(
        "[a-zA-Z0-9_.-]{1,128}",
        "must be the name of a stream of Kinesis Data Streams, not its ARN: letters, digits, '_', '.' and '-'",
    ),
]


class Capture(ApiModel):
    """Recording of requests and answers, in the format of SageMaker's data capture.

    Without s3Uri, the function in front of the endpoint sends the records to where the class says.
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.s3Uri) || !(has(self.maxBytes) || (has(self.redact) && size(self.redact) > 0))",
            message="redact and maxBytes must not be set with s3Uri: SageMaker records everything as it is",
            holds=lambda capture: capture.s3_uri is None or not (capture.max_bytes or capture.redact),
        ),
    )

    s3_uri: S3Prefix | None = None
    """Have SageMaker itself record what reaches the endpoint, past the URL too, in this folder: s3://<bucket>/<prefix>.
    Needs serving.instances; the class's execution role must be able to write there. The operator does not delete the
    records: set a lifecycle rule on the bucket. Absent: what the URL answers is recorded where the class says."""

    sampling_percent: Annotated[Integer, Field(ge=1, le=100)] = 100
    """Share of the requests that are recorded, in percent, 1 to 100. Default 100."""

    max_bytes: Annotated[Integer, Field(ge=1, le=_MOST_BYTES)] | None = None
    """How much of a request, and of an answer, is recorded, in bytes, 1 to 262144; records say what was cut. Default
    65536."""

    redact: Pointers = ()
    """JSON pointers to what is not recorded of requests and answers, with everything below it, at most 20:
    /instances/-/email, where - stands for every index of an array and * also for every member. What is not JSON is then
    not recorded at all. Default none."""


class CapturePolicy(ApiModel):
    """Where the records of the class's objects go."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.s3Uri), has(self.deliveryStream), has(self.kinesisStream)].filter(each, each).size() == 1",
            message="set exactly one of s3Uri, deliveryStream and kinesisStream",
            holds=lambda policy: (
                [policy.s3_uri, policy.delivery_stream, policy.kinesis_stream].count(None) == 2  # noqa: PLR2004 - of 3
            ),
        ),
        Rule(
            cel="has(self.s3Uri) == has(self.deliveryRoleArn)",
            message="s3Uri and deliveryRoleArn must be set together: Firehose writes to the bucket with that role",
            holds=lambda policy: (policy.s3_uri is None) == (policy.delivery_role_arn is None),
        ),
    )

    s3_uri: S3Prefix | None = None
    """S3 URL of a folder in the class's region: s3://<bucket>/<prefix>. The operator makes one delivery stream of
    Firehose for the class, which writes <namespace>/<name>/<yyyy>/<MM>/<dd>/<HH>/*.jsonl below it, about a minute
    later. The operator never deletes records: set a lifecycle rule on the bucket."""

    delivery_role_arn: RoleArn | None = None
    """ARN of the role that Firehose assumes to write there. The operator's role must be able to pass it."""

    delivery_stream: DeliveryStreamName | None = None
    """Name of an existing delivery stream of Firehose, with Direct PUT as its source, that takes the records instead,
    in the class's region and the account of its roles. The forwarder's role must be able to put records into it."""

    kinesis_stream: KinesisStreamName | None = None
    """Likewise the name of an existing stream of Kinesis Data Streams."""

    redact: Pointers = ()
    """JSON pointers to what no object of the class records, beside what each redacts itself, at most 20. Default
    none."""
