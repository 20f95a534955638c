"""S3 URIs, and writing objects."""

from dataclasses import dataclass

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import validation_exception

_SCHEME = "s3://"


def location(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; the key is empty for a bucket alone."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def refuse_elsewhere(member: str, uri: str | None) -> None:
    """Raise `ValidationException` for a URI other than `s3://bucket/...`; None is fine."""
    if uri is not None and not uri.startswith(_SCHEME):
        raise validation_exception(f"Write {member} as s3://bucket/prefix: other URLs of S3 are not served here.")


@dataclass(frozen=True, slots=True)
class Content:
    """The content of an object; `kms_key` encrypts it at rest."""

    body: bytes
    content_type: str
    kms_key: str | None = None


async def put(aws: Aws, uri: str, content: Content) -> None:
    """Store an object; raises botocore's errors."""
    bucket, key = location(uri)
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": content.kms_key} if content.kms_key else {}
    await aws.call(
        "s3", "put_object", Bucket=bucket, Key=key, Body=content.body, ContentType=content.content_type, **encryption
    )
