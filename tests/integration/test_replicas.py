import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import uuid4

import psutil
import pytest
import requests
from kubernetes import client
from tests.fixtures.operator import DEFAULT_SETTINGS, NEEDED_CREATIONS, NEEDED_SHARED, Bench
from tests.fixtures.waiting import TIMEOUT_SECONDS, eventually

from eep_platform import operator
from eep_platform.aws.client import ControlClient
from eep_platform.aws.faults import Fault
from eep_platform.controlplane.access import client_of
from eep_platform.platform import Platform
from eep_platform.processes import ManagedProcess, find, free_port, spawn, stop
from eep_platform.workbench import is_ready
from ephemeral_endpoints.kube.lease import Timing

NAMES: Final = ("replica-a", "replica-b")
FAILOVER_SECONDS: Final = 15
"""Within which another one acts after a crash, on a machine that is not too busy for its own heartbeats."""

LEASE_LOST: Final = 3
CREATIONS: Final = {
    operation: count
    for operation, count in (NEEDED_CREATIONS | NEEDED_SHARED).items()
    if operation.startswith("Create")
}
HELD: Final = Fault(service="sagemaker", operation="CreateModel", held=True)

pytestmark = pytest.mark.settings(None)
"""The session's operator, which would act as well, is away meanwhile."""


@dataclass(frozen=True)
class Replica:
    """One of the operator's processes, with a meter of its own between it and AWS."""

    name: str
    platform: Platform
    meter: ControlClient
    settings: Mapping[str, str]

    def start(self) -> str:
        return operator.start(self.platform, self.settings, name=self.name)

    def end(self) -> None:
        operator.end(self.platform, name=self.name)

    @property
    def process(self) -> ManagedProcess:
        process = find(self.name, self.platform.state)
        assert process is not None
        return process

    def send(self, number: signal.Signals) -> None:
        psutil.Process(self.process.pid).send_signal(number)

    def leads(self) -> bool:
        return 'eep_leader{shard="0"} 1.0' in requests.get(f"{self.start()}/metrics", timeout=60).text

    def calls(self) -> list[tuple[int, str, str | None]]:
        """Number, operation and resource; not the status, which may still come."""
        return [(each.number, each.operation, each.resource) for each in self.meter.log()]

    def operations(self) -> set[str]:
        return {operation for _, operation, _ in self.calls()}

    def wait_called(self, operation: str) -> None:
        eventually(lambda: operation in self.operations(), f"{operation} by {self.name}")


@pytest.fixture(scope="module")
def competing(platform: Platform) -> Iterator[list[Replica]]:
    """Two replicas that do not run yet, with their meters, and a namespace for their Lease."""
    state, upstream = platform.state, platform.aws_endpoint
    namespace = f"replicas-{uuid4().hex[:8]}"
    client.CoreV1Api(client_of(platform.kubeconfig)).create_namespace(
        client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace))
    )
    made: list[Replica] = []
    try:
        for name in NAMES:
            port = free_port()
            front = ["--port", str(port)]
            front += ["--upstream", upstream, "--sagemaker", upstream, "--codebuild", upstream]
            meter = ControlClient(f"http://127.0.0.1:{port}")
            spawn(f"{name}-meter", [sys.executable, "-m", "eep_platform.aws.front", *front], state=state)
            settings = {
                **DEFAULT_SETTINGS,
                "AWS_ENDPOINT_URL": meter.endpoint,
                "EEP_LEADER_ELECTION": "on",
                "EEP_OWN_NAMESPACE": namespace,
            }
            made.append(Replica(name, platform, meter, settings))
        for each in made:
            eventually(partial(_answers, each.meter.endpoint), "the meter")
        yield made
    finally:
        for each in made:
            each.end()
            if meter_process := find(f"{each.name}-meter", state):
                stop(meter_process)


@pytest.fixture
def replicas(bench: Bench, competing: list[Replica]) -> Iterator[tuple[Replica, Replica]]:
    """The leader, and who stands by: the one that the test before has ended is started again."""
    for each in competing:
        each.start()
    eventually(lambda: any(each.leads() for each in competing), "a leader")
    for each in competing:
        each.meter.reset_meter()
    bench.control.reset_meter()
    leader, standby = sorted(competing, key=lambda each: not each.leads())
    yield leader, standby
    for each in competing:
        if process := find(each.name, each.platform.state):
            psutil.Process(process.pid).resume()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/_meter/calls", timeout=2).ok
    except requests.RequestException:
        return False


def holder(bench: Bench, replica: Replica) -> str | None:
    """Who holds the Lease; nobody, or whoever it is by now, if it was given back."""
    namespace = replica.settings["EEP_OWN_NAMESPACE"]
    [lease] = client.CoordinationV1Api(bench.core.api_client).list_namespaced_lease(namespace).items
    assert lease.spec is not None
    return lease.spec.holder_identity


def caller(replicas: tuple[Replica, Replica], operation: str) -> tuple[Replica, Replica]:
    """Wait until one of them has called an operation; returns it, and the other one.

    Where a machine is too busy for its renewals, it is not who led at the beginning.
    """
    found = eventually(lambda: [each for each in replicas if operation in each.operations()], operation)
    [leader] = found
    [standby] = [each for each in replicas if each is not leader]
    return leader, standby


def wait_ready(bench: Bench, acting: Replica) -> None:
    """Wait until the object is ready by this replica, which is started again, as by Kubernetes, if it lost the Lease.

    That is right of it where the machine is too busy for its renewals, and there is no other one.
    """
    bench.wait("pr", lambda obj: bool(acting.start()) and is_ready(obj), what="ready")


def delete(bench: Bench, acting: Replica) -> None:
    """Delete the object, likewise."""
    bench.delete("pr")
    eventually(lambda: bool(acting.start()) and bench.get("pr") is None, "the object gone")


def created(bench: Bench) -> dict[str, int]:
    return {operation: count for operation, count in bench.effects().items() if operation.startswith("Create")}


def twins(*replicas: Replica) -> str:
    """Which replica made which calls, to explain a duplicate."""
    made = [
        f"{each.name} {number}: {operation} {resource}"
        for each in replicas
        for number, operation, resource in each.calls()
        if operation.startswith(("Create", "Delete"))
    ]
    return "\n".join(made)


def test_one_of_two_acts_and_the_other_one_takes_over_when_it_is_ended(
    bench: Bench, replicas: tuple[Replica, Replica]
) -> None:
    bench.apply("pr", bench.spec())
    leader, standby = caller(replicas, "CreateModel")
    bench.wait_ready("pr")
    assert created(bench) == CREATIONS
    assert standby.calls() == []
    assert not standby.leads()

    held_by = holder(bench, leader)
    leader.end()
    assert holder(bench, leader) != held_by, "it has given the Lease back: nobody waits for the end of it"
    eventually(standby.leads, "the other one as leader")
    before = leader.calls()
    delete(bench, standby)
    assert leader.calls() == before
    assert "DeleteEndpoint" in standby.operations()


def test_a_leader_that_is_ended_in_a_call_finishes_it_and_gives_the_lease_back(
    bench: Bench, replicas: tuple[Replica, Replica]
) -> None:
    for each in replicas:
        each.meter.add_faults(HELD)
    bench.apply("pr", bench.spec())
    leader, standby = caller(replicas, "CreateModel")
    standby.meter.clear_faults()
    process, held_by = psutil.Process(leader.process.pid), holder(bench, leader)
    leader.send(signal.SIGTERM)
    leader.meter.clear_faults()
    assert process.wait(TIMEOUT_SECONDS) == 0
    assert holder(bench, leader) != held_by, "nobody waits for the end of the Lease"
    wait_ready(bench, standby)
    assert {call.status for call in leader.meter.log() if call.operation == "CreateModel"} == {200}
    assert created(bench) == CREATIONS, twins(leader, standby)
    delete(bench, standby)


def test_a_crash_is_taken_over_from_in_time() -> None:
    """What is left of it is for the first calls: that the Lease is taken at its end, tests/kube shows by a clock."""
    timing = Timing()
    assert timing.lease + timing.retry <= FAILOVER_SECONDS - 3


def test_the_other_one_finishes_what_a_killed_leader_began(bench: Bench, replicas: tuple[Replica, Replica]) -> None:
    bench.control.patch_sagemaker_settings({"behaviour": {"create_seconds": 3600}})
    bench.apply("pr", bench.spec())
    leader, standby = caller(replicas, "CreateEndpoint")
    leader.send(signal.SIGKILL)
    bench.control.patch_sagemaker_settings({"behaviour": None})
    wait_ready(bench, standby)
    assert standby.calls()
    assert created(bench) == CREATIONS, twins(leader, standby)
    delete(bench, standby)


def test_a_leader_that_was_stopped_for_long_ends_without_another_call_when_it_goes_on(
    bench: Bench, replicas: tuple[Replica, Replica]
) -> None:
    # One call is under way when it stops, and nothing else: its answer waits for the leader, and tempts it to go on.
    # A request that is caught half sent would be finished when it goes on, which no check can prevent.
    for each in replicas:
        each.meter.add_faults(HELD)
    bench.apply("pr", bench.spec())
    leader, standby = caller(replicas, "CreateModel")
    standby.meter.clear_faults()
    for operation in ("CreateRoute", "PutMetricAlarm", "PutRetentionPolicy", "UpdateStage"):
        leader.wait_called(operation)
    bench.wait_condition("pr", "RouteReady", reason="Routed")
    leader.send(signal.SIGSTOP)
    leader.meter.clear_faults()
    wait_ready(bench, standby)
    assert standby.leads()
    process = psutil.Process(leader.process.pid)
    before, version = leader.calls(), _version(bench)

    leader.send(signal.SIGCONT)
    assert process.wait(TIMEOUT_SECONDS) == LEASE_LOST
    assert leader.calls() == before, "not even a read"
    assert _version(bench) == version, "nor a write to Kubernetes"
    assert created(bench) == CREATIONS, twins(leader, standby)
    delete(bench, standby)


def _version(bench: Bench) -> str:
    found = bench.get("pr")
    assert found is not None
    return str(found["metadata"]["resourceVersion"])
