"""Reports and recordings in the embedded AWS's S3."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from tests.features.test_permissions import needed
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.engine.errors import AwsError, Denied, NotFound, Throttled, Transient
from ephemeral_endpoints.features.checks.comparison import report, storage
from ephemeral_endpoints.features.checks.comparison.iam import ACTIONS
from ephemeral_endpoints.features.checks.comparison.recordings import MOST_FILE_BYTES
from ephemeral_endpoints.features.checks.comparison.storage import Storage
from ephemeral_endpoints.features.checks.requests import ModelRequest

NUMBERS: Iterator[int] = count()


@pytest.fixture
async def s3(clients: Clients, calls: Calls) -> Storage:
    return await Storage.of(calls, clients)


@pytest.fixture
def bucket(aws: Aws) -> str:
    name = f"recordings-{next(NUMBERS)}"
    aws.client("s3").create_bucket(Bucket=name)
    return name


def put(aws: Aws, bucket: str, key: str, body: bytes, **more: Any) -> None:  # noqa: ANN401 - parameters of a call
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **more)


async def no_sleep(_: float) -> None:
    """Wait for nothing."""


def line(number: int) -> bytes:
    return json.dumps({"request": str(number)}).encode() + b"\n"


async def test_a_report_is_written_in_place_of_an_earlier_one_and_read(s3: Storage, aws: Aws, bucket: str) -> None:
    uri = f"s3://{bucket}/reports/nlp/pr/1f0c2a9.json"
    assert await s3.report(uri) is None
    for content in (b"one", b"two"):
        await s3.write(uri, content)
        assert await s3.report(uri) == content
    head = aws.client("s3").head_object(Bucket=bucket, Key="reports/nlp/pr/1f0c2a9.json")
    assert head["ContentType"] == "application/json"


async def test_a_report_larger_than_ours_is_none(
    s3: Storage, aws: Aws, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_BYTES", 10)
    put(aws, bucket, "a.json", b"x" * 11)
    assert await s3.report(f"s3://{bucket}/a.json") is None


async def test_recorded_requests_come_in_the_order_of_the_files_below_the_folder(
    s3: Storage, aws: Aws, bucket: str
) -> None:
    put(aws, bucket, "rec/b.jsonl", line(3) + b"nonsense\n" + line(4))
    put(aws, bucket, "rec/a/1.jsonl", line(1) + line(2))
    put(aws, bucket, "rec/c.csv", b"1,2", ContentType="text/csv")
    put(aws, bucket, "rec/empty/", b"")
    put(aws, bucket, "rec-2/a.jsonl", line(9))
    put(aws, bucket, "record", line(9))
    found = await s3.recorded(f"s3://{bucket}/rec", 50)
    bodies = [ModelRequest(str(number).encode()) for number in (1, 2, 3, 4)]
    assert found.requests == (*bodies, ModelRequest(b"1,2", "text/csv"))
    assert found.skipped == 1
    assert [each.body for each in (await s3.recorded(f"s3://{bucket}/rec/", 2)).requests] == [b"1", b"2"]


async def test_one_file_may_be_named(s3: Storage, aws: Aws, bucket: str) -> None:
    put(aws, bucket, "rec/a.jsonl", line(1))
    assert [each.body for each in (await s3.recorded(f"s3://{bucket}/rec/a.jsonl", 5)).requests] == [b"1"]
    with pytest.raises(NotFound):
        await s3.recorded(f"s3://{bucket}/rec/b.jsonl", 5)


async def test_of_huge_recordings_a_bounded_part_is_read(
    s3: Storage, aws: Aws, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    padding = b" " * (MOST_FILE_BYTES // 2)
    put(aws, bucket, "rec/a.jsonl", line(1) + padding + line(2) + padding + line(3))
    put(aws, bucket, "rec/b.jsonl", line(4))
    put(aws, bucket, "rec/c.jsonl", line(5))
    found = await s3.recorded(f"s3://{bucket}/rec", 50)
    assert [each.body for each in found.requests] == [b"1", b"2", b"4", b"5"]
    monkeypatch.setattr(storage, "MOST_REQUESTS_BYTES", 3)
    found = await s3.recorded(f"s3://{bucket}/rec", 50)
    assert (len(found.requests), found.skipped) == (3, 1)
    monkeypatch.setattr(storage, "MOST_READ_BYTES", 1)
    assert [each.body for each in (await s3.recorded(f"s3://{bucket}/rec", 50)).requests] == [b"1", b"2"]


async def test_a_bucket_that_does_not_exist_is_said_to(s3: Storage) -> None:
    with pytest.raises(NotFound, match="bucket does not exist"):
        await s3.write("s3://no-such-bucket-of-ours/a.json", b"")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [("AccessDenied", 403, Denied), ("InternalError", 500, Transient), ("SlowDown", 503, Throttled)],
)
async def test_errors_of_s3_are_those_of_every_service(
    s3: Storage, fresh_aws: Aws, code: str, status: int, kind: type[AwsError]
) -> None:
    error = FaultError(code=code, message="no", status=status)
    fresh_aws.control.add_faults(Fault(service="s3", operation="PutObject", error=error))
    quick = replace(s3, calls=replace(s3.calls, sleep=no_sleep))
    try:
        with pytest.raises(kind):
            await quick.write("s3://any-bucket/a.json", b"")
    finally:
        fresh_aws.control.clear_faults()


async def test_the_declared_permissions_are_those_that_are_needed(s3: Storage, aws: Aws, bucket: str) -> None:
    put(aws, bucket, "rec/a.jsonl", line(1))
    aws.control.reset_meter()
    await s3.recorded(f"s3://{bucket}/rec", 5)
    await s3.write(f"s3://{bucket}/a.json", b"{}")
    await s3.report(f"s3://{bucket}/a.json")
    assert needed(aws.control.calls()) == ACTIONS
