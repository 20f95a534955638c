"""What a job reads from S3 and stores there, with the permissions of its role."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.emulation.aws import Aws
from eep_platform.sagemaker import s3
from eep_platform.sagemaker.jobs.errors import download_failed, no_objects, upload_failed
from eep_platform.sagemaker.jobs.permissions import Permissions
from eep_platform.sagemaker.jobs.plans import Delivery, Input, Output, joined
from eep_platform.sagemaker.jobs.workspace import FoundFile, Workspace

_TYPE = "application/octet-stream"
_ARCHIVE_TYPE = "application/x-tar"


async def keys_of(source: Input, aws: Aws, permissions: Permissions) -> list[str]:
    """The keys of the objects of an input; raises botocore's errors."""
    bucket, prefix = s3.location(source.uri)
    permissions.refuse_denied("ListObjectsV2", "s3:ListBucket", arn_of(permissions, bucket), s3__prefix=prefix)
    return [key async for key in s3.keys_below(aws, source.uri)]


@dataclass(slots=True)
class Transfer:
    """The transfers of one job."""

    aws: Aws
    workspace: Workspace
    permissions: Permissions
    delivered: dict[tuple[str, str], FoundFile] = field(default_factory=dict)
    """What was stored last of each file of a folder that is delivered file by file."""

    async def fetch(self, source: Input, is_wanted: Callable[[], bool]) -> None:
        """Download the objects of an input, until they are not wanted any more.

        Raises:
            JobFailedError: There are none, they cannot be read, or their keys are no names of files.
        """
        bucket, prefix = s3.location(source.uri)
        missing = no_objects(source.uri, self.permissions.account.region, self.permissions.role)
        folder = self.workspace.root / source.folder
        try:
            keys = await keys_of(source, self.aws, self.permissions)
            if not keys and not source.may_be_empty:
                raise download_failed(missing)
            for key in keys:
                if not is_wanted():
                    return
                path = _path_of(folder, prefix, key)
                if path is not None:
                    self.permissions.refuse_denied("GetObject", "s3:GetObject", arn_of(self.permissions, bucket, key))
                    await s3.download(self.aws, bucket, key, path)
        except (BotoCoreError, ClientError) as error:
            raise download_failed(f"{missing} Error message from S3: {error}") from error
        except (OSError, ValueError) as error:
            raise download_failed(f"The keys below {source.uri} cannot be files of one folder: {error}") from error

    async def deliver(self, output: Output) -> None:
        """Store what is in the folder of an output, file by file only what has changed.

        Raises:
            JobFailedError: S3 does not take it.
        """
        try:
            if output.delivery is Delivery.ARCHIVE:
                await self._deliver_archive(output)
            else:
                await self._deliver_files(output)
        except (BotoCoreError, ClientError, OSError) as error:
            raise upload_failed(f"{output.uri}: {error}") from error

    async def _deliver_archive(self, output: Output) -> None:
        with TemporaryDirectory(dir=self.workspace.root.parent) as folder:
            archive = Path(folder) / "archive"
            if await self.aws.thread(lambda: self.workspace.pack(output.folder, archive)):
                with archive.open("rb") as file:
                    await self._put(output.uri, s3.Content(file, _ARCHIVE_TYPE, output.kms_key))

    async def _deliver_files(self, output: Output) -> None:
        for found in await self.aws.thread(lambda: self.workspace.files(output.folder)):
            known = (output.folder, found.name)
            if self.delivered.get(known) != found:
                with self.workspace.opened(f"{output.folder}/{found.name}") as file:
                    await self._put(joined(output.uri, found.name), s3.Content(file, _TYPE, output.kms_key))
                self.delivered[known] = found

    async def _put(self, uri: str, content: s3.Content) -> None:
        arn = arn_of(self.permissions, *s3.location(uri))
        self.permissions.refuse_denied("PutObject", "s3:PutObject", arn)
        await s3.put(self.aws, uri, content)


def arn_of(permissions: Permissions, *path: str) -> str:
    """The ARN of a bucket, or of a key in it."""
    return f"arn:{permissions.account.partition}:s3:::{'/'.join(path)}"


def _path_of(folder: Path, prefix: str, key: str) -> Path | None:
    """Where an object goes; None for what the console shows as a folder. Raises ValueError for an unsafe key."""
    if key.endswith("/"):
        return None
    name = key.removeprefix(prefix).lstrip("/") or key.rpartition("/")[2]
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in name:
        raise ValueError(key)
    return folder.joinpath(*parts)
