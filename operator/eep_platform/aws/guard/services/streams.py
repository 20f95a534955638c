"""The operations of Firehose and Kinesis."""

from typing import Final

from eep_platform.aws.guard.rules import Operations, Rule, any_resource, at, creating, named, tagging


def _passing_to_firehose(member: str) -> Rule:
    """Passing the role in a destination, if it names one."""
    return Rule(
        "iam:PassRole",
        lambda parameters, _: (parameters[member]["RoleARN"],),
        lambda _: {"iam:PassedToService": "firehose.amazonaws.com"},
        lambda parameters: "RoleARN" in parameters.get(member, {}),
    )


_DELIVERY_STREAM: Final = at("firehose", "deliverystream/", "DeliveryStreamName")
RULES: Final[Operations] = {
    **named("firehose", any_resource, "ListDeliveryStreams"),
    **named(
        "firehose",
        _DELIVERY_STREAM,
        "DeleteDeliveryStream",
        "DescribeDeliveryStream",
        "ListTagsForDeliveryStream",
        "PutRecord",
    ),
    **named("firehose", _DELIVERY_STREAM, "TagDeliveryStream", keys=tagging),
    **creating(
        "firehose",
        "CreateDeliveryStream",
        _DELIVERY_STREAM,
        _passing_to_firehose("ExtendedS3DestinationConfiguration"),
        tag="TagDeliveryStream",
    ),
    ("firehose", "UpdateDestination"): (
        Rule("firehose:UpdateDestination", _DELIVERY_STREAM),
        _passing_to_firehose("ExtendedS3DestinationUpdate"),
    ),
    **named("kinesis", at("kinesis", "stream/", "StreamName"), "PutRecord"),
}
