"""Model data: the archive that `ModelDataUrl` names, unpacked into a folder for the model server."""

import tarfile
import zlib
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.errors import (
    model_data_missing,
    model_data_unreadable,
    validation_exception,
)
from ephemeral_endpoints.local.sagemaker.s3 import location


async def refuse_missing(url: str | None, aws: Aws) -> None:
    """Raise CreateModel's refusal if there is no object at the URL; None is no model data and fine."""
    if url is None:
        return
    try:
        await aws.call("s3", "head_object", **_object(url))
    except ClientError as error:
        raise validation_exception(f"Could not find model data at {url}.") from error


async def unpacked(url: str, folder: Path, aws: Aws) -> Path:
    """Fetch the archive at `url` and unpack it into `folder`, which is made; return the folder.

    The archive is not trusted: members that would leave the folder, devices and links outwards fail the deployment.

    Raises:
        DeploymentFailedError: There is no such object, or it is no sound tar.gz archive.
    """
    try:
        answer = await aws.call("s3", "get_object", **_object(url))
        await aws.thread(lambda: _unpack(answer["Body"], folder))
    except (ClientError, BotoCoreError) as error:
        raise model_data_missing(url) from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise model_data_unreadable(url) from error
    return folder


def _unpack(body: Any, folder: Path) -> None:  # noqa: ANN401 - botocore's stream has no public type
    folder.mkdir(parents=True)
    folder.chmod(0o755)  # the container may run as another user
    with body, tarfile.open(fileobj=body, mode="r|gz") as archive:
        archive.extractall(folder, filter="data")


def _object(url: str) -> dict[str, str]:
    bucket, key = location(url)
    return {"Bucket": bucket, "Key": key or "/"}
