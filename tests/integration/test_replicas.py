import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import psutil
import pytest
import requests
from tests.fixtures.operator import DEFAULT_SETTINGS, NEEDED_CREATIONS, NEEDED_SHARED, Bench, OperatorProcess

from ephemeral_endpoints.local import operator
from ephemeral_endpoints.local.aws.client import ControlClient
from ephemeral_endpoints.local.aws.faults import Fault
from ephemeral_endpoints.local.processes import ManagedProcess, find, free_port, spawn, stop, wait_until

NAMES: Final = ("replica-a", "replica-b")
FAILOVER_SECONDS: Final = 15
LEASE_LOST: Final = 3
CREATIONS: Final = {
    operation: count
    for operation, count in (NEEDED_CREATIONS | NEEDED_SHARED).items()
    if operation.startswith("Create")
}


@dataclass(frozen=True)
class Replica:
    """One of the operator's processes, with a meter of its own between it and AWS."""

    name: str
    bench: Bench
    meter: ControlClient
    settings: Mapping[str, str]

    def start(self) -> str:
        return operator.start(self.bench.platform, self.settings, name=self.name)

    def end(self) -> None:
        operator.end(self.bench.platform, name=self.name)

    @property
    def process(self) -> ManagedProcess:
        process = find(self.name, self.bench.platform.state)
        assert process is not None
        return process

    def send(self, number: signal.Signals) -> None:
        psutil.Process(self.process.pid).send_signal(number)

    def leads(self) -> bool:
        return 'eep_leader{shard="0"} 1.0' in requests.get(f"{self.start()}/metrics", timeout=5).text

    def calls(self) -> list[tuple[int, str, str | None]]:
        """Number, operation and resource; not the status, which may still come."""
        return [(each.number, each.operation, each.resource) for each in self.meter.log()]

    def wait_called(self, operation: str) -> None:
        wait_until(
            lambda: any(called == operation for _, called, _ in self.calls()),
            seconds=30,
            what=f"{operation} by {self.name}",
        )


@pytest.fixture
def replicas(bench: Bench, operator_process: OperatorProcess) -> Iterator[tuple[Replica, Replica]]:
    """The leader, and who stands by. The session's operator, which would act as well, is away meanwhile."""
    operator_process.stop()
    bench.control.reset_meter()
    state, upstream = bench.platform.state, bench.platform.aws_endpoint
    made: list[Replica] = []
    try:
        for name in NAMES:
            port = free_port()
            front = ["--port", str(port)]
            front += ["--upstream", upstream, "--sagemaker", upstream, "--codebuild", upstream]
            meter = ControlClient(f"http://127.0.0.1:{port}")
            spawn(f"{name}-meter", [sys.executable, "-m", "ephemeral_endpoints.local.aws.front", *front], state=state)
            settings = {
                **DEFAULT_SETTINGS,
                "AWS_ENDPOINT_URL": meter.endpoint,
                "EEP_LEADER_ELECTION": "on",
                "EEP_LEASE_NAMESPACE": bench.namespace,
            }
            made.append(Replica(name, bench, meter, settings))
        for each in made:
            wait_until(partial(_answers, each.meter.endpoint), seconds=30, what="the meter")
        for each in made:
            each.start()
        wait_until(lambda: any(each.leads() for each in made), seconds=30, what="a leader")
        made.sort(key=lambda each: not each.leads())
        yield made[0], made[1]
    finally:
        for each in made:
            if process := find(each.name, state):
                psutil.Process(process.pid).resume()
            each.end()
            if meter_process := find(f"{each.name}-meter", state):
                stop(meter_process)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/_meter/calls", timeout=2).ok
    except requests.RequestException:
        return False


def created(bench: Bench) -> dict[str, int]:
    return {operation: count for operation, count in bench.effects().items() if operation.startswith("Create")}


def twins(*replicas: Replica) -> str:
    """Who made what, to be told when something was made twice."""
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
    leader, standby = replicas
    bench.apply("pr", bench.spec())
    bench.wait_ready("pr")
    assert created(bench) == CREATIONS
    assert standby.calls() == []
    assert not standby.leads()

    leader.end()
    wait_until(standby.leads, seconds=FAILOVER_SECONDS / 3, what="the other one as leader")
    before = leader.calls()
    bench.delete("pr")
    bench.wait_gone("pr")
    assert leader.calls() == before
    assert "DeleteEndpoint" in {operation for _, operation, _ in standby.calls()}


def test_the_other_one_finishes_what_a_killed_leader_began(bench: Bench, replicas: tuple[Replica, Replica]) -> None:
    leader, standby = replicas
    bench.control.patch_sagemaker_settings({"behaviour": {"create_seconds": 2.0}})
    bench.apply("pr", bench.spec())
    leader.wait_called("CreateEndpoint")
    leader.send(signal.SIGKILL)
    began = time.monotonic()
    bench.wait_ready("pr", seconds=FAILOVER_SECONDS)
    print(f"failover took {time.monotonic() - began:.1f} s")  # noqa: T201 - shown by pytest -s
    assert standby.calls()
    assert created(bench) == CREATIONS, twins(leader, standby)


def test_a_leader_that_was_stopped_for_long_ends_without_another_call_when_it_goes_on(
    bench: Bench, replicas: tuple[Replica, Replica]
) -> None:
    leader, standby = replicas
    # One call is under way when it stops, and nothing else: its answer waits for the leader, and tempts it to go on.
    # A request that is caught half sent would be finished when it goes on, which no check can prevent.
    leader.meter.add_faults(Fault(service="sagemaker", operation="CreateModel", delay_seconds=5))
    bench.apply("pr", bench.spec())
    for operation in ("CreateModel", "CreateRoute", "PutMetricAlarm", "PutRetentionPolicy"):
        leader.wait_called(operation)
    bench.wait_condition("pr", "RouteReady", reason="Routed")
    leader.send(signal.SIGSTOP)
    bench.wait_ready("pr", seconds=3 * FAILOVER_SECONDS)
    assert standby.leads()
    process = psutil.Process(leader.process.pid)
    before, version = leader.calls(), _version(bench)

    leader.send(signal.SIGCONT)
    assert process.wait(FAILOVER_SECONDS) == LEASE_LOST
    assert leader.calls() == before, "not even a read"
    assert _version(bench) == version, "nor a write to Kubernetes"
    assert created(bench) == CREATIONS, twins(leader, standby)
    bench.delete("pr")
    bench.wait_gone("pr")


def _version(bench: Bench) -> str:
    found = bench.get("pr")
    assert found is not None
    return str(found["metadata"]["resourceVersion"])
