import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.containers import build_image
from tests.fixtures.operator import DEFAULT_SETTINGS, NEEDED_CREATIONS, NEEDED_SHARED, REVISION, Bench
from tests.fixtures.waiting import eventually

from eep_platform import operator
from eep_platform import platform as local_platform
from eep_platform.bootstrap import EXAMPLE_REPOSITORY
from eep_platform.containers import registry
from ephemeral_endpoints.settings import Settings

OBJECTS = 30
"""So many that some lists have two pages: each has two log groups, of which a page has fifty."""
READY_SECONDS = 900
"""As many model servers and functions are started one after the other on a busy machine."""

WHOLE = 2
ONCE = "ListFunctions"
"""What a snapshot calls once."""

MOST_CALLS_A_MINUTE = 10
ECHO = Path(__file__).parent / "echo"

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Thirty ready objects on a platform of their own, which ends with them at once."""
    state = tmp_path_factory.mktemp("crowd")
    try:
        platform = local_platform.up(state)
        bench = Bench(platform)
        image = build_image(ECHO, revision=REVISION)
        registry.push(image, registry=platform.registry, repository=EXAMPLE_REPOSITORY, tag="echo")
        bench = replace(bench, image=bench.image_uri("echo"))
        operator.start(platform, {**DEFAULT_SETTINGS, "EEP_SNAPSHOT_SECONDS": "2"})
        bench.control.reset_meter()
        for number in range(OBJECTS):
            bench.apply(f"pr-{number}", bench.spec())
        for number in range(OBJECTS):
            bench.wait_ready(f"pr-{number}", seconds=READY_SECONDS)
        yield bench
    finally:
        local_platform.down(state)


def test_thirty_objects_at_once_cost_exactly_the_calls_that_they_need(crowd: Bench) -> None:
    needed = {operation: OBJECTS * count for operation, count in NEEDED_CREATIONS.items()}
    crowd.wait_effects(needed | NEEDED_SHARED)


def test_at_rest_aws_is_asked_in_snapshots_only_and_kubernetes_not_written_to(crowd: Bench) -> None:
    eventually(lambda: has_no_late_invocations(crowd), "the end of invocations that nobody waits for")
    versions = resource_versions(crowd)
    events = number_of_events(crowd)
    crowd.control.reset_meter()
    eventually(lambda: called(crowd).count(ONCE) > WHOLE + 1, "whole snapshots between two that may not be")

    calls = called(crowd)
    assert {call for call in calls if not call.startswith(("Get", "List", "Describe"))} == set()
    snapshot = repeated(calls)
    assert snapshot, f"between snapshots no call at all: {calls}"
    a_minute = snapshot.total() * 60 / Settings.from_environment({}).snapshot_seconds
    assert a_minute <= MOST_CALLS_A_MINUTE
    assert resource_versions(crowd) == versions
    assert number_of_events(crowd) == events


def has_no_late_invocations(crowd: Bench) -> bool:
    """Whether no function calls its model meanwhile, as one does on a busy machine after its caller has left."""
    crowd.control.reset_meter()
    eventually(lambda: called(crowd).count(ONCE) > 1, "a snapshot")
    return "InvokeEndpoint" not in called(crowd)


def test_after_a_restart_each_object_is_reconciled_once(crowd: Bench) -> None:
    log = operator.log(crowd.platform)
    operator.end(crowd.platform)
    before = log.stat().st_size
    operator.start(crowd.platform, {**DEFAULT_SETTINGS, "EEP_LOG_LEVEL": "DEBUG"})
    eventually(lambda: len(reconciled(log, before)) == OBJECTS, "every object is reconciled")
    assert set(reconciled(log, before).values()) == {1}


def reconciled(log: Path, offset: int) -> Counter[str]:
    """How often each object was reconciled, by the lines of the log after ``offset``."""
    lines = log.read_bytes()[offset:].decode().split("\n")[:-1]
    entries = (json.loads(line) for line in lines if line.startswith("{"))
    return Counter(entry["object_name"] for entry in entries if entry["message"] == "reconciled")


def called(bench: Bench) -> list[str]:
    """The operations since the meter's reset, in their order."""
    return [call.operation for call in bench.control.log()]


def repeated(calls: list[str]) -> Counter[str] | None:
    """What each snapshot calls, in any order; None if there are other calls beside those of snapshots.

    A snapshot begins when the one before is over. Of the first and the last there may be parts.
    """
    for size in range(1, len(calls)):
        for start in range(size):
            cuts = range(start - size, len(calls), size)
            first, *whole, last = (Counter(calls[max(0, cut) : cut + size]) for cut in cuts)
            if len(whole) >= WHOLE and whole[0][ONCE] == 1:
                every = whole[0]
                if all(each == every for each in whole) and first <= every and last <= every:
                    return every
    return None


def resource_versions(bench: Bench) -> dict[str, str]:
    objects = [bench.get(name) for name in bench.names()]
    return {obj["metadata"]["name"]: obj["metadata"]["resourceVersion"] for obj in objects if obj}


def number_of_events(bench: Bench) -> int:
    return len(bench.core.list_event_for_all_namespaces().items)
