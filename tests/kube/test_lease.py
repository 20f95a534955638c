from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from kubernetes.aio.client import ApiClient as AsyncApiClient
from kubernetes.client import ApiClient, CoordinationV1Api, V1Lease, V1LeaseSpec, V1ObjectMeta

from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.kube.errors import Conflict, Gone
from ephemeral_endpoints.kube.lease import (
    Lease,
    Record,
    Sighting,
    claimed,
    free_in,
    lease_name,
    own_namespace,
    resigned,
    sight,
)

MOMENT = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
LATER = MOMENT + timedelta(seconds=2)
TEXT = "2026-11-21T12:00:00.000000Z"
OURS_IN_FULL = Record("us", 10, TEXT, TEXT)
OURS = Record("us", 10, acquired="a", renewed="r1")
THEIRS = Record("them", 10, acquired="a", renewed="r1", transitions=3)
RENEWED = Record("them", 10, acquired="a", renewed="r2", transitions=3)
FREE = Record("", 1, acquired="a", renewed="r2", transitions=3)


@pytest.mark.parametrize(
    ("before", "record", "expected", "reason"),
    [
        (None, None, None, "there has never been a Lease"),
        (None, THEIRS, Sighting(THEIRS, 50.0), "seen for the first time: its age is unknown"),
        (Sighting(THEIRS, 1.0), THEIRS, Sighting(THEIRS, 1.0), "unchanged: the time goes on"),
        (Sighting(THEIRS, 1.0), RENEWED, Sighting(RENEWED, 50.0), "renewed: the time begins anew"),
        (Sighting(THEIRS, 1.0), FREE, Sighting(FREE, 50.0), "released"),
        (Sighting(THEIRS, 1.0), None, Sighting(THEIRS, 1.0), "deleted under its holder, who may act on for a while"),
    ],
)
def test_a_sighting_lasts_as_long_as_nothing_changes(
    before: Sighting | None, record: Record | None, expected: Sighting | None, reason: str
) -> None:
    assert sight(before, record, 50.0) == expected, reason


@pytest.mark.parametrize(
    ("sighting", "now", "expected", "reason"),
    [
        (None, 0.0, 0.0, "no Lease: the first one makes it"),
        (Sighting(FREE, 100.0), 100.0, 0.0, "released: at once"),
        (Sighting(OURS, 100.0), 100.0, 0.0, "ours already: the answer to the write was lost"),
        (Sighting(THEIRS, 100.0), 100.0, 10.0, "just seen: the whole duration"),
        (Sighting(THEIRS, 100.0), 109.5, 0.5, "almost over"),
        (Sighting(THEIRS, 100.0), 110.0, 0.0, "over to the moment"),
        (Sighting(THEIRS, 100.0), 1e9, 0.0, "long over"),
        (Sighting(Record("them", 60), 100.0), 110.0, 50.0, "the holder's own duration counts, not ours"),
        (Sighting(Record("them", 10, renewed="2099-01-01T00:00:00.000000Z"), 100.0), 110.0, 0.0, "a clock far ahead"),
        (Sighting(Record("them", 10, renewed="1970-01-01T00:00:00.000000Z"), 100.0), 105.0, 5.0, "a clock far behind"),
    ],
)
def test_the_lease_is_free_when_it_stood_unchanged_for_its_duration_by_our_own_clock(
    sighting: Sighting | None, now: float, expected: float, reason: str
) -> None:
    assert free_in(sighting, "us", now) == expected, reason


@pytest.mark.parametrize(
    ("record", "expected", "reason"),
    [
        (None, Record("us", 10, TEXT, TEXT, 0), "the first holder is no transition"),
        (OURS, Record("us", 10, "a", TEXT, 0), "a renewal keeps when it was acquired"),
        (Record("us", 60, "a", "r"), Record("us", 10, "a", TEXT), "a renewal states the duration in force"),
        (THEIRS, Record("us", 10, TEXT, TEXT, 4), "taken from another one"),
        (FREE, Record("us", 10, TEXT, TEXT, 4), "taken after a release"),
    ],
)
def test_a_claim_says_who_holds_the_lease_since_when(record: Record | None, expected: Record, reason: str) -> None:
    assert claimed(record, "us", 10, MOMENT) == expected, reason


def test_a_leader_that_resigns_frees_the_lease() -> None:
    left = resigned(OURS, MOMENT)
    assert free_in(Sighting(left, 5.0), "them", 5.0) == 0
    assert (left.acquired, left.transitions) == (OURS.acquired, OURS.transitions)


def test_replicas_that_watch_the_same_namespaces_compete_and_others_do_not() -> None:
    assert lease_name(()) == "ephemeral-endpoints"
    assert lease_name(("a", "b")) == lease_name(("b", "a"))
    names = {lease_name(each) for each in ((), ("a",), ("b",), ("a", "b"), ("ab",))}
    assert len(names) == 5
    assert all(len(name) <= 63 for name in names)


def test_shards_do_not_compete() -> None:
    names = {lease_name(each, Shard(index, 2)) for each in ((), ("a",)) for index in range(2)}
    assert len(names | {lease_name(()), lease_name(("a",))}) == 6
    assert all(len(name) <= 63 for name in names)


@pytest.mark.parametrize(("text", "expected"), [("mlops\n", "mlops"), ("", "default"), (None, "default")])
def test_the_namespace_is_the_pods_where_there_is_one(tmp_path: Path, text: str | None, expected: str) -> None:
    file = tmp_path / "namespace"
    if text is not None:
        file.write_text(text)
    assert own_namespace(file) == expected


@pytest.fixture
def name() -> str:
    return f"test-{uuid4().hex[:8]}"


@pytest.fixture
def lease(api: AsyncApiClient, name: str) -> Lease:
    return Lease(api, "default", name)


async def test_what_is_written_is_read_back_as_it_was_written(lease: Lease) -> None:
    assert await lease.read() == (None, None)
    record = claimed(None, "us", 10, MOMENT)
    version = await lease.write(record, None)
    assert await lease.read() == (record, version)
    left = resigned(record, MOMENT)
    newer = await lease.write(left, version)
    assert newer != version
    assert await lease.read() == (left, newer)


async def test_of_two_who_write_at_once_one_succeeds(lease: Lease) -> None:
    first = await lease.write(claimed(None, "us", 10, MOMENT), None)
    with pytest.raises(Conflict):
        await lease.write(claimed(None, "them", 10, MOMENT), None)
    second = await lease.write(claimed(OURS_IN_FULL, "us", 10, LATER), first)
    with pytest.raises(Conflict):
        await lease.write(claimed(OURS_IN_FULL, "them", 10, LATER), first)
    assert (await lease.read())[1] == second


async def test_a_lease_that_was_deleted_is_not_made_again_unawares(
    lease: Lease, name: str, kubernetes_client: ApiClient
) -> None:
    version = await lease.write(OURS_IN_FULL, None)
    CoordinationV1Api(kubernetes_client).delete_namespaced_lease(name, "default")
    with pytest.raises(Gone):
        await lease.write(OURS_IN_FULL, version)


async def test_labels_of_others_on_the_lease_stay(lease: Lease, name: str, kubernetes_client: ApiClient) -> None:
    leases = CoordinationV1Api(kubernetes_client)
    leases.create_namespaced_lease(
        "default", V1Lease(metadata=V1ObjectMeta(name=name, labels={"a": "b"}), spec=V1LeaseSpec())
    )
    record, version = await lease.read()
    assert record == Record("", 10), "a Lease that says nothing is free"
    await lease.write(OURS_IN_FULL, version)
    metadata = leases.read_namespaced_lease(name, "default").metadata
    assert metadata is not None
    assert metadata.labels == {"a": "b"}
