"""What the operator, forwarders and Firehose do for captured requests.

Reference: "Actions, resources, and condition keys for Amazon Kinesis Firehose"
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonkinesisfirehose.html). The delivery role:
https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-s3.
"""

from typing import Final

from ephemeral_endpoints.iam.scope import IS_NEW, IS_OF_CLASS, IS_OURS, OURS, arn, pass_role
from ephemeral_endpoints.iam.statement import Statement

_STREAMS: Final = (arn("firehose", f"deliverystream/{OURS}"),)

CAPTURE: Final = (
    Statement(
        "ListStreams",
        ("firehose:ListDeliveryStreams",),
        ("*",),
        "The inventory. The action supports no resource types.",
    ),
    Statement(
        "ReadStreams",
        ("firehose:DescribeDeliveryStream", "firehose:ListTagsForDeliveryStream"),
        _STREAMS,
        "Changes, and the owner tags.",
    ),
    Statement(
        "CreateStreams",
        ("firehose:CreateDeliveryStream", "firehose:TagDeliveryStream"),
        _STREAMS,
        "Creating a resource with tags requires the permission to tag it.",
        IS_NEW,
    ),
    Statement(
        "ChangeStreams",
        ("firehose:DeleteDeliveryStream", "firehose:UpdateDestination"),
        _STREAMS,
        "Updates and deletions.",
        IS_OURS,
    ),
    pass_role("PassDeliveryRole", "DeliveryRole", "firehose", "Streams write with this role only."),
)

FORWARDER_CAPTURE: Final = (
    Statement(
        "PutRecords",
        ("firehose:PutRecord",),
        _STREAMS,
        "Records of requests and answers, in the class's stream.",
        IS_OF_CLASS,
    ),
)

FORWARDER_STREAM: Final = (
    Statement(
        "PutRecordsElsewhere",
        ("firehose:PutRecord",),
        (arn("firehose", "deliverystream/${DeliveryStream}"),),
        "Likewise, in the stream that the class names.",
    ),
)

FORWARDER_KINESIS: Final = (
    Statement(
        "PutRecordsToKinesis",
        ("kinesis:PutRecord",),
        (arn("kinesis", "stream/${KinesisStream}"),),
        "Likewise, in Kinesis Data Streams.",
    ),
)

_BUCKET: Final = arn("s3", "${CaptureBucket}", at=":")

DELIVERY: Final = (
    Statement(
        "WriteRecords",
        ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"),
        (f"{_BUCKET}/${{CapturePrefix}}/*",),
        "The files of records. Firehose reads none, but AWS documents the permission as needed.",
    ),
    Statement(
        "UseBucket",
        ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"),
        (_BUCKET,),
        "Where the bucket is, and uploads that did not end.",
    ),
)
