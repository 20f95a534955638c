"""S3, where reports are written and recorded requests are read.

Every method may raise an error of the ``AwsError`` tree.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.errors import translate
from ephemeral_endpoints.engine.errors import NotFound
from ephemeral_endpoints.features.checks.comparison import recordings, report
from ephemeral_endpoints.features.checks.requests import ModelRequest

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MOST_FILES: Final = 200
"""Files that are read for one comparison."""

MOST_REQUESTS_BYTES: Final = 4 * 1024 * 1024
"""Of all recorded requests of a comparison together."""

MOST_READ_BYTES: Final = 16 * 1024 * 1024
"""Of recordings for one comparison."""

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class RecordedRequests:
    """The recorded requests in their order, and how many records were none or too large."""

    requests: tuple[ModelRequest, ...]
    skipped: int


@dataclass(frozen=True, slots=True)
class Storage:
    """Reads and writes as the operator's role of a class may."""

    calls: Calls
    client: "S3Client"

    @classmethod
    async def of(cls, calls: Calls, clients: Clients) -> Self:
        """S3 by the clients of an account. The first one of a region takes a moment to make."""
        try:
            return cls(calls, await asyncio.get_running_loop().run_in_executor(calls.pool, clients.s3))
        except BotoCoreError as error:
            raise translate(error, "") from error

    async def write(self, uri: str, content: bytes) -> None:
        """Write a report in place of an earlier one."""
        bucket, key = _location(uri)
        await self.calls(self.client.put_object, Bucket=bucket, Key=key, Body=content, ContentType="application/json")

    async def report(self, uri: str) -> bytes | None:
        """The report of that URL; None if there is none, or none of ours."""
        try:
            content, _, is_cut = await self._read(*_location(uri), report.MOST_BYTES)
        except NotFound:
            return None
        return None if is_cut else content

    async def recorded(self, uri: str, limit: int) -> RecordedRequests:
        """The first ``limit`` requests of the file, or of the files below the folder, in the order of their names."""
        requests: list[ModelRequest] = []
        skipped = size = 0
        async for each in self._records(uri):
            if each is None or size + len(each.body) > MOST_REQUESTS_BYTES:
                skipped += 1
                continue
            requests.append(each)
            size += len(each.body)
            if len(requests) == limit:
                break
        return RecordedRequests(tuple(requests), skipped)

    async def _records(self, uri: str) -> AsyncIterator[ModelRequest | None]:
        bucket, key = _location(uri)
        left = MOST_READ_BYTES
        for name in await self._files(bucket, key):
            content, media_type, is_cut = await self._read(bucket, name, recordings.MOST_FILE_BYTES)
            for each in recordings.requests_of(name, content, media_type, is_cut=is_cut):
                yield each
            left -= len(content)
            if left <= 0:
                return

    async def _files(self, bucket: str, key: str) -> list[str]:
        """The files below a folder, or the one file of that name if there is no such folder."""
        folder = f"{key.rstrip('/')}/" if key else ""
        page = await self.calls(self.client.list_objects_v2, Bucket=bucket, Prefix=folder, MaxKeys=_PAGE)
        # Consoles make empty objects in place of folders.
        found = [each["Key"] for each in page.get("Contents", ()) if each["Size"] > 0]
        return found[:MOST_FILES] if found or not key else [key]

    async def _read(self, bucket: str, key: str, most: int) -> tuple[bytes, str, bool]:
        """The first ``most`` bytes, the media type, and whether there are more."""
        answer = await self.calls(self.client.get_object, Bucket=bucket, Key=key)
        body: Any = answer["Body"]

        def beginning() -> bytes:
            with body:
                return bytes(body.read(most + 1))

        try:
            content = await asyncio.get_running_loop().run_in_executor(self.calls.pool, beginning)
        except BotoCoreError as error:
            raise translate(error, "GetObject") from error
        return content[:most], answer.get("ContentType", ""), len(content) > most


def _location(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")
