from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.fixtures.operator import DEFAULT_SETTINGS, NEEDED_CREATIONS, NEEDED_SHARED, REVISION, Bench

from ephemeral_endpoints.local import operator
from ephemeral_endpoints.local import platform as local_platform
from ephemeral_endpoints.local.aws.ledger import Call
from ephemeral_endpoints.local.bootstrap import EXAMPLE_REPOSITORY
from ephemeral_endpoints.local.containers import registry
from ephemeral_endpoints.local.containers.build import build_model_image
from ephemeral_endpoints.local.paths import cache_dir
from ephemeral_endpoints.local.processes import wait_until
from ephemeral_endpoints.settings import Settings

OBJECTS = 50
SNAPSHOT_SECONDS = 5.0
MOST_CALLS_A_MINUTE = 10
FIRST_OF_A_SNAPSHOT = "ListFunctions"
ECHO = Path(__file__).parent / "echo"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Fifty ready objects on a platform of their own, which ends with them at once."""
    state = tmp_path_factory.mktemp("crowd")
    try:
        platform = local_platform.up(state)
        bench = Bench(platform)
        image = build_model_image(ECHO, revision=REVISION, cache=cache_dir() / "images")
        registry.push(image, registry=platform.registry, repository=EXAMPLE_REPOSITORY, tag="echo")
        bench = replace(bench, image=bench.image_uri("echo"))
        operator.start(platform, {**DEFAULT_SETTINGS, "EEP_SNAPSHOT_SECONDS": str(SNAPSHOT_SECONDS)})
        bench.control.reset_meter()
        for number in range(OBJECTS):
            bench.apply(f"pr-{number}", bench.spec())
        for number in range(OBJECTS):
            bench.wait_ready(f"pr-{number}", seconds=240)
        yield bench
    finally:
        local_platform.down(state)


def test_fifty_objects_at_once_cost_exactly_the_calls_that_they_need(crowd: Bench) -> None:
    needed = {operation: OBJECTS * count for operation, count in NEEDED_CREATIONS.items()}
    assert crowd.effects() == needed | NEEDED_SHARED


def test_at_rest_aws_is_asked_in_snapshots_only_and_kubernetes_not_written_to(crowd: Bench) -> None:
    versions = resource_versions(crowd)
    events = number_of_events(crowd)
    crowd.control.reset_meter()
    wait_until(lambda: len(beginnings(crowd)) > 2, seconds=6 * SNAPSHOT_SECONDS, what="two snapshots and a third begun")

    begun, log = beginnings(crowd), crowd.control.log()
    assert {call.operation for call in log if not call.operation.startswith(("Get", "List", "Describe"))} == set()
    snapshots = bursts(log)
    calls = [f"{call.time:%T.%f} {call.operation}" for call in log]
    assert len(snapshots) == len(begun), f"between snapshots no call at all: {calls}"
    a_minute = max(len(snapshot) for snapshot in snapshots) * 60 / Settings.from_environment({}).snapshot_seconds
    assert a_minute <= MOST_CALLS_A_MINUTE
    assert resource_versions(crowd) == versions
    assert number_of_events(crowd) == events


def beginnings(bench: Bench) -> list[Call]:
    return [call for call in bench.control.log() if call.operation == FIRST_OF_A_SNAPSHOT]


def bursts(log: list[Call]) -> list[list[Call]]:
    """Calls that follow one another within half a period, together."""
    found: list[list[Call]] = []
    for call in log:
        if not found or call.time - found[-1][-1].time > timedelta(seconds=SNAPSHOT_SECONDS / 2):
            found.append([])
        found[-1].append(call)
    return found


def resource_versions(bench: Bench) -> dict[str, str]:
    objects = [bench.get(name) for name in bench.names()]
    return {obj["metadata"]["name"]: obj["metadata"]["resourceVersion"] for obj in objects if obj}


def number_of_events(bench: Bench) -> int:
    return len(bench.core.list_event_for_all_namespaces().items)
