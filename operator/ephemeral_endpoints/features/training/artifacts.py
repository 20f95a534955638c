"""The files in S3 that a version leaves behind, and that go with it.

Whoever registers a version writes into it which files those are. So only files of two names go, below a folder that
holds nothing but what trainings produce, and none that anything else names.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from botocore.exceptions import BotoCoreError

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import if_there
from ephemeral_endpoints.aws.errors import translate

NAMES: Final = ("model.tar.gz", "evaluation.json")
"""What files are called that go: the model, as SageMaker calls it, and its figures."""

_S3: Final = "s3"
_STEPS: Final = frozenset({"", ".", ".."})
"""Names of folders that some client or server may resolve to another folder."""


def files_below(folder: str, urls: Iterable[str]) -> tuple[str, ...]:
    """The URLs of the files that may go of those that a version names. ``folder`` is an S3 URL."""
    prefix = f"{folder.rstrip('/')}/"
    return tuple(sorted(each for each in urls if each.startswith(prefix) and _may_go(each.removeprefix(prefix))))


def is_named(file: str, urls: Iterable[str]) -> bool:
    """Whether any of the URLs is that of the file, or of a folder that it is in."""
    bucket, key = location(file)
    return any(_covers(each, bucket, key) for each in urls)


def location(file: str) -> tuple[str, str]:
    """The bucket and the key of an S3 URL."""
    bucket, _, key = file.partition("://")[2].partition("/")
    return bucket, key


async def delete_file(account: Account, calls: Calls, file: str) -> None:
    """Delete a file; one that is gone is no error. Raises an ``AwsError``."""
    bucket, key = location(file)
    try:
        client = await asyncio.get_running_loop().run_in_executor(calls.pool, account.clients.s3)
    except BotoCoreError as error:
        raise translate(error, "DeleteObject") from error
    await if_there(calls(client.delete_object, Bucket=bucket, Key=key))


def _may_go(path: str) -> bool:
    *folders, name = path.split("/")
    return bool(folders) and name in NAMES and _STEPS.isdisjoint(folders)


def _covers(url: str, bucket: str, key: str) -> bool:
    scheme, _, rest = url.partition("://")
    place, _, path = rest.partition("/")
    if scheme == _S3:
        return place == bucket and (not path or _is_in(key, path))
    # The registry takes HTTP addresses of S3 too, which have the bucket in the host or in the path.
    return bool(path) and (_is_in(key, path) or _is_in(f"{bucket}/{key}", path))


def _is_in(key: str, path: str) -> bool:
    return key == path or key.startswith(f"{path.rstrip('/')}/")
