"""Model data: fetches the archives and folders in S3 that a model names into a folder for the model server."""

import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.errors import model_data_misnamed, model_data_missing, model_data_unreadable
from eep_platform.sagemaker.s3 import download, keys_below, location, refuse_elsewhere

_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Source:
    """Model data in S3: an archive, an object that stays as it is, or everything below a prefix."""

    uri: str
    is_prefix: bool = False
    is_archive: bool = True

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Self:
        """The source that a `ModelDataSource` defines.

        Raises:
            ServiceError: `ValidationException` for combinations that the documentation of `S3ModelDataSource` excludes,
                and for what this service does not support: hub content and manifests.
        """
        s3 = definition["S3DataSource"]
        uri, is_prefix, is_archive = s3["S3Uri"], s3["S3DataType"] == "S3Prefix", s3["CompressionType"] == "Gzip"
        refuse_elsewhere("S3Uri", uri)
        if is_prefix and is_archive:
            raise validation_exception("CompressionType Gzip needs S3DataType S3Object.")
        if is_prefix and not uri.endswith("/"):
            raise validation_exception(f'S3Uri "{uri}" must end with a forward slash for S3DataType S3Prefix.')
        if s3.get("HubAccessConfig") or s3.get("ManifestS3Uri"):
            raise validation_exception("HubAccessConfig and ManifestS3Uri are not served here.")
        return cls(uri, is_prefix, is_archive)


async def refuse_absent(source: Source | None, aws: Aws) -> None:
    """Raise CreateModel's error if there is nothing at the source; None means no model data."""
    if source is None:
        return
    if source.is_prefix and not await _below(source.uri, aws):
        raise validation_exception(f"Could not find model data at {source.uri}.")
    if not source.is_prefix:
        await refuse_missing(source.uri, aws)


async def refuse_missing(url: str | None, aws: Aws) -> None:
    """Raise CreateModel's error if there is no object at the URL; None means no model data."""
    if url is None:
        return
    try:
        await aws.call("s3", "head_object", **_object(url))
    except ClientError as error:
        raise validation_exception(f"Could not find model data at {url}.") from error


async def fetched(source: Source, folder: Path, aws: Aws) -> None:
    """Download model data into the new folder `folder`.

    Archives and keys are untrusted: devices, and members, links and keys that lead out of the folder, fail the
    deployment.

    Raises:
        DeploymentFailedError: There is nothing there, an archive is not a valid tar.gz, or keys are no names of files.
    """
    if source.is_archive:
        await _unpacked(source.uri, folder, aws)
        return
    await aws.thread(lambda: _make(folder))
    bucket, prefix = location(source.uri)
    found = await _below(source.uri, aws) if source.is_prefix else [prefix]
    if not found:
        raise model_data_missing(source.uri)
    for key in found:
        name = key.removeprefix(prefix) if source.is_prefix else key.rpartition("/")[2]
        await _placed(aws, {"Bucket": bucket, "Key": key}, folder, name)


async def _below(uri: str, aws: Aws) -> list[str]:
    """The keys below a prefix; a folder that the console has made is an empty object of that name."""
    _, prefix = location(uri)
    try:
        return [key async for key in keys_below(aws, uri) if key != prefix]
    except (ClientError, BotoCoreError) as error:
        raise model_data_missing(uri) from error


async def _placed(aws: Aws, where: Mapping[str, str], folder: Path, name: str) -> None:
    uri = f"s3://{where['Bucket']}/{where['Key']}"
    parts = name.split("/")
    if any(not part.strip() or part in {".", ".."} or len(part.encode()) > _NAME_BYTES for part in parts):
        raise model_data_misnamed(uri)
    try:
        await download(aws, where["Bucket"], where["Key"], folder.joinpath(*parts))
    except (ClientError, BotoCoreError) as error:
        raise model_data_missing(uri) from error
    except OSError as error:
        # A file and a folder of one name.
        raise model_data_misnamed(uri) from error


async def _unpacked(url: str, folder: Path, aws: Aws) -> None:
    try:
        answer = await aws.call("s3", "get_object", **_object(url))
        await aws.thread(lambda: _unpack(answer["Body"], folder))
    except (ClientError, BotoCoreError) as error:
        raise model_data_missing(url) from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise model_data_unreadable(url) from error


def _make(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o755)  # the container may run as another user


def _unpack(body: Any, folder: Path) -> None:  # noqa: ANN401 - botocore's stream has no public type
    with body:
        _make(folder)
        with tarfile.open(fileobj=body, mode="r|gz") as archive:
            archive.extractall(folder, filter="data")


def _object(url: str) -> dict[str, str]:
    bucket, key = location(url)
    return {"Bucket": bucket, "Key": key or "/"}
