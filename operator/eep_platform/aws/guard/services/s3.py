"""The operations of S3."""

from collections.abc import Iterable
from typing import Final

from eep_platform.aws.guard.rules import CallScope, Operations, Rule
from eep_platform.aws.inputs.rules import Parameters


def _bucket(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (f"arn:{scope.partition}:s3:::{parameters['Bucket']}",)


def _object(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (f"arn:{scope.partition}:s3:::{parameters['Bucket']}/{parameters['Key']}",)


# Only callers who may list the bucket learn that an object is missing
# (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html); forwarders always read objects that may be.
_READING_OBJECTS: Final = (Rule("s3:GetObject", _object), Rule("s3:ListBucket", _bucket))
RULES: Final[Operations] = {
    ("s3", "GetObject"): _READING_OBJECTS,
    ("s3", "HeadObject"): _READING_OBJECTS,
    ("s3", "ListObjectsV2"): (Rule("s3:ListBucket", _bucket),),
    ("s3", "PutObject"): (Rule("s3:PutObject", _object),),
    ("s3", "DeleteObject"): (Rule("s3:DeleteObject", _object),),
}
