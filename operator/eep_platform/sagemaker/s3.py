"""S3 URIs, and reading and writing objects."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

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

    body: bytes | IO[bytes]
    content_type: str
    kms_key: str | None = None


async def put(aws: Aws, uri: str, content: Content) -> None:
    """Store an object; raises botocore's errors."""
    bucket, key = location(uri)
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": content.kms_key} if content.kms_key else {}
    await aws.call(
        "s3", "put_object", Bucket=bucket, Key=key, Body=content.body, ContentType=content.content_type, **encryption
    )


async def keys_below(aws: Aws, uri: str) -> AsyncIterator[str]:
    """The keys that begin with a prefix, in their order; raises botocore's errors."""
    bucket, prefix = location(uri)
    more: dict[str, str] = {}
    while True:
        page = await aws.call("s3", "list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
        for each in page.get("Contents", []):
            yield each["Key"]
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


async def download(aws: Aws, bucket: str, key: str, path: Path) -> None:
    """Write an object into a new file; raises botocore's errors, and OSError where there can be no such file."""
    answer = await aws.call("s3", "get_object", Bucket=bucket, Key=key)
    await aws.thread(lambda: _write(answer["Body"], path))


def _write(body: Any, path: Path) -> None:  # noqa: ANN401 - botocore's stream has no public type
    with body:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.writelines(body.iter_chunks())
