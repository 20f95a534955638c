import asyncio
from dataclasses import dataclass

import pytest
from tests.aws.conftest import CLUSTER
from tests.aws.connectors import HOME, Same
from tests.aws.world import World

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.freshness import REFRESH, poll, take_snapshots
from ephemeral_endpoints.core.names import owner_hash
from ephemeral_endpoints.core.resources import Kind, Phase
from ephemeral_endpoints.local.aws.faults import Fault, FaultError

SNAPSHOT = {
    "application-autoscaling": {"DescribeScalableTargets": 1},
    "cloudwatch": {"DescribeAlarms": 1},
    "ecr": {"DescribeRepositories": 1},
    "lambda": {"ListFunctions": 1},
    "logs": {"DescribeLogGroups": 2},
    "apigatewayv2": {"GetApis": 1},
    "sagemaker": {"ListEndpointConfigs": 1, "ListEndpoints": 1, "ListModels": 1},
}


class Over(Exception):  # noqa: N818 - no fault
    """The time that a test gives has passed."""


@dataclass
class Time:
    """A clock that moves by what is slept, and ends after some rounds."""

    now: float = 0.0
    rounds: int = 0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == REFRESH))
        if not self.rounds:
            raise Over
        self.rounds -= 1
        self.now += seconds


class Fresh:
    """The loop that keeps an account fresh, for as many polls as a test wants."""

    def __init__(self, world: World, calls: Calls) -> None:
        self.world = world
        self.time = Time()
        self.woken: list[str] = []
        self.connector = Same(world.clients)
        self.accounts = Accounts(
            CLUSTER, connector=self.connector, calls=lambda _: calls, clock=self.time, on_change=self.woken.append
        )

    async def account(self) -> Account:
        account = await self.accounts.by(HOME)
        self.woken.clear()
        self.world.aws.control.reset_meter()
        return account

    async def poll(self, rounds: int) -> None:
        self.time.rounds = rounds
        with pytest.RaisesGroup(Over):
            await poll(self.accounts, 1, self.time, self.time.sleep)

    async def snapshot(self, rounds: int) -> None:
        self.time.rounds = rounds
        with pytest.RaisesGroup(Over):
            await take_snapshots(self.accounts, 100, self.time, self.time.sleep)

    def called(self) -> dict[str, dict[str, int]]:
        return self.world.aws.control.calls()


@pytest.fixture
def fresh(world: World, calls: Calls) -> Fresh:
    return Fresh(world, calls)


async def test_without_an_account_nothing_is_asked(fresh: Fresh) -> None:
    await fresh.poll(9)
    await fresh.snapshot(9)
    assert fresh.called() == {}


async def test_an_account_at_rest_costs_nothing_but_a_snapshot_a_period(fresh: Fresh) -> None:
    await fresh.world.prepare(Kind.ENDPOINT)
    await fresh.world.make(fresh.world.wants[Kind.ENDPOINT])
    await fresh.account()
    await fresh.poll(100)
    assert fresh.called() == {}
    await fresh.snapshot(1)
    assert fresh.called() == SNAPSHOT
    assert fresh.woken == []


async def test_while_an_endpoint_changes_it_costs_one_list_a_poll_for_all(fresh: Fresh) -> None:
    world = fresh.world
    await world.prepare(Kind.ENDPOINT)
    config = world.key(Kind.ENDPOINT_CONFIG).name
    world.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    for number in range(3):
        name = f"{world.names.base}-{number:08x}"
        world.clients.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    account = await fresh.account()
    await fresh.poll(7)
    assert fresh.called() == {"sagemaker": {"ListEndpoints": 7}}
    assert fresh.woken == []

    world.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": False}})
    while account.is_in_flight():
        await fresh.poll(1)
    assert set(fresh.woken) == {owner_hash(world.uid)}
    assert "DescribeEndpoint" not in fresh.called()["sagemaker"]


async def test_what_changed_by_hand_wakes_its_owner_at_the_next_snapshot(fresh: Fresh) -> None:
    world = fresh.world
    await world.make(world.wants[Kind.LOG_GROUP])
    await fresh.account()
    world.clients.logs.delete_log_group(logGroupName=world.key(Kind.LOG_GROUP).name)
    await fresh.snapshot(1)
    assert fresh.woken == [world.names.owner]


async def test_a_list_that_fails_is_tried_again_at_the_next_poll(fresh: Fresh) -> None:
    world = fresh.world
    want = await world.prepare(Kind.ENDPOINT)
    world.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    await world.components[Kind.ENDPOINT].apply(world.calls, want, None, {})
    account = await fresh.account()
    world.aws.control.add_faults(Fault(service="sagemaker", reset=True, times=2))
    await fresh.poll(3)
    assert fresh.called() == {"sagemaker": {"ListEndpoints": 3}}
    assert account.inventory.all[want.key].phase is Phase.BUSY
    assert fresh.accounts.connected == (account,)


async def test_an_account_whose_credentials_stopped_working_is_forgotten(fresh: Fresh) -> None:
    await fresh.account()
    expired = FaultError(code="ExpiredTokenException", status=400)
    fresh.world.aws.control.add_faults(*(Fault(service=service, error=expired) for service in SNAPSHOT))
    await fresh.snapshot(1)
    assert fresh.accounts.connected == ()
    fresh.world.aws.control.clear_faults()
    await fresh.account()
    assert len(fresh.connector.connected) == 2
    assert fresh.connector.forgotten == 1
