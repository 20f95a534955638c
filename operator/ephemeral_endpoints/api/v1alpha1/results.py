"""Publication of what models answer: what an object asks for, and where a class has the results go."""

from typing import ClassVar

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.capture import DeliveryStreamName, KinesisStreamName
from ephemeral_endpoints.api.v1alpha1.types import TopicArn


class Results(ApiModel):
    """Publication of what the model answers on the URL, where the class says."""

    include_request: bool = False
    """Whether messages have the request too. Default false."""


class ResultsPolicy(ApiModel):
    """Where the results of the class's objects are published."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.topicArn), has(self.deliveryStream), has(self.kinesisStream)].filter(x, x).size() == 1",
            message="set exactly one of topicArn, deliveryStream and kinesisStream",
            holds=lambda policy: (
                [policy.topic_arn, policy.delivery_stream, policy.kinesis_stream].count(None) == 2  # noqa: PLR2004 - of 3
            ),
        ),
    )

    topic_arn: TopicArn | None = None
    """ARN of an SNS topic in the class's region. The forwarder's role must be able to publish to it. Messages have
    the attributes namespace, name, variant and status, for filters of subscriptions; bodies that do not fit into the
    256 KiB of a message are left out."""

    delivery_stream: DeliveryStreamName | None = None
    """Name of an existing delivery stream of Firehose, with Direct PUT as its source, in the class's region and the
    account of its roles. The forwarder's role must be able to put records into it."""

    kinesis_stream: KinesisStreamName | None = None
    """Likewise the name of an existing stream of Kinesis Data Streams."""
