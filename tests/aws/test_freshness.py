import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.aws.cloud import Cloud, eventually
from tests.aws.connectors import HOME, Same
from tests.fixtures.aws import CLUSTER

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.freshness import COMPLETE_POLLS, REFRESH, poll, take_snapshots
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.resources import Phase
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.registry import components
from ephemeral_endpoints.features.routing.feedback.specs import FEEDBACK_TABLE
from ephemeral_endpoints.features.serving import components as serving
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG

SNAPSHOT = {
    "application-autoscaling": {"DescribeScalableTargets": 1},
    "cloudwatch": {"DescribeAlarms": 1},
    "dynamodb": {"ListTables": 1},
    "ecr": {"DescribeRepositories": 1},
    "events": {"ListRules": 1},
    "firehose": {"ListDeliveryStreams": 1},
    "lambda": {"ListFunctions": 1},
    "ssm": {"DescribeParameters": 1},
    "logs": {"DescribeLogGroups": 2},
    "apigatewayv2": {"GetApis": 1, "GetDomainNames": 1},
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

    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        self.cloud = cloud
        self.time = Time()
        self.enqueued: list[str] = []
        self.connector = Same(cloud.clients)
        self.accounts = Accounts(
            CLUSTER,
            connector=self.connector,
            calls=lambda _: calls,
            components=components,
            clock=self.time,
            on_change=self.enqueued.append,
        )

    async def account(self) -> Account:
        account = await self.accounts.by(HOME)
        self.enqueued.clear()
        self.cloud.aws.control.reset_meter()
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
        return self.cloud.aws.control.calls()


@pytest.fixture
def fresh(cloud: Cloud, calls: Calls) -> Fresh:
    return Fresh(cloud, calls)


async def test_without_an_account_nothing_is_asked(fresh: Fresh) -> None:
    await fresh.poll(9)
    await fresh.snapshot(9)
    assert fresh.called() == {}


async def test_an_account_at_rest_costs_nothing_but_a_snapshot_a_period(fresh: Fresh) -> None:
    await fresh.cloud.prepare(ENDPOINT)
    await fresh.cloud.make(fresh.cloud.resources[ENDPOINT])
    await fresh.account()
    await fresh.poll(100)
    assert fresh.called() == {}
    await fresh.snapshot(1)
    assert fresh.called() == SNAPSHOT
    assert fresh.enqueued == []


async def test_while_an_endpoint_changes_it_costs_one_list_a_poll_for_all(fresh: Fresh) -> None:
    cloud = fresh.cloud
    await cloud.prepare(ENDPOINT)
    config = cloud.key(ENDPOINT_CONFIG).name
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    for number in range(3):
        name = f"{cloud.names.base}-{number:08x}"
        cloud.clients.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    account = await fresh.account()
    await fresh.poll(7)
    assert fresh.called() == {"sagemaker": {"ListEndpoints": 7}}
    assert fresh.enqueued == []

    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": False}})
    while account.is_in_flight():
        await fresh.poll(1)
    assert set(fresh.enqueued) == {owner_hash(cloud.uid)}
    assert "DescribeEndpoint" not in fresh.called()["sagemaker"]


@pytest.fixture
async def many(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """An account with an endpoint that is being created, and so many others that a list of all has several pages."""
    monkeypatch.setattr(serving, "PAGE", 1)
    monkeypatch.setattr(serving, "OVERLAP_SECONDS", 0)
    await cloud.make(await cloud.prepare(ENDPOINT))
    config = cloud.key(ENDPOINT_CONFIG).name
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    for number in range(2):
        name = f"{cloud.names.base}-{number:08x}"
        cloud.clients.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    return cloud


@pytest.mark.usefixtures("many")
async def test_of_many_endpoints_polls_list_what_changed_and_every_tenth_lists_all(fresh: Fresh) -> None:
    await fresh.account()
    await fresh.poll(COMPLETE_POLLS)
    assert fresh.called() == {"sagemaker": {"ListEndpoints": COMPLETE_POLLS - 1 + 3}}


async def test_a_list_of_all_leaves_out_the_kinds_of_which_there_is_nothing(fresh: Fresh, many: Cloud) -> None:
    account = await fresh.account()
    kinds = {kind for kind in account.kinds if kind.changes_by_itself}
    assert kinds > {ENDPOINT}, "others change by themselves too, and nobody has made any"
    await fresh.poll(COMPLETE_POLLS)
    assert fresh.called().keys() == {"sagemaker"}
    await many.make(many.resources[FEEDBACK_TABLE])
    account = await fresh.account()
    await account.refresh(account.kinds, since=fresh.time())
    fresh.cloud.aws.control.reset_meter()
    await fresh.poll(COMPLETE_POLLS)
    assert fresh.called()["dynamodb"] == {"ListTables": 1}


async def test_what_a_list_of_changes_overlooks_is_seen_in_the_next_list_of_all(fresh: Fresh, many: Cloud) -> None:
    account = await fresh.account()
    observed = account.inventory.all[many.key(ENDPOINT)]
    later = (observed.since or datetime.now(UTC)) + timedelta(hours=1)
    account.inventory.put(replace(observed, since=later))
    many.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": False}})

    async def rests() -> bool:
        return not any(each.phase is Phase.BUSY for each in (await many.listed(ENDPOINT)).values())

    await eventually(rests, "the endpoints are in service")
    await fresh.poll(COMPLETE_POLLS - 1)
    assert fresh.enqueued == []
    await fresh.poll(COMPLETE_POLLS)
    assert set(fresh.enqueued) == {owner_hash(many.uid)}


async def test_a_change_by_another_client_enqueues_the_owner_at_the_next_snapshot(fresh: Fresh) -> None:
    cloud = fresh.cloud
    await cloud.make(cloud.resources[LOG_GROUP])
    await fresh.account()
    cloud.clients.logs.delete_log_group(logGroupName=cloud.key(LOG_GROUP).name)
    await fresh.snapshot(1)
    assert fresh.enqueued == [cloud.names.owner]


async def test_a_list_that_fails_is_tried_again_at_the_next_poll(fresh: Fresh) -> None:
    cloud = fresh.cloud
    resource = await cloud.prepare(ENDPOINT)
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    await cloud.components[ENDPOINT].apply(cloud.calls, resource, None, {})
    account = await fresh.account()
    cloud.aws.control.add_faults(Fault(service="sagemaker", reset=True, times=2))
    await fresh.poll(3)
    assert fresh.called() == {"sagemaker": {"ListEndpoints": 3}}
    assert account.inventory.all[resource.key].phase is Phase.BUSY
    assert fresh.accounts.connected == (account,)


async def test_an_account_whose_credentials_stopped_working_is_forgotten(fresh: Fresh) -> None:
    await fresh.account()
    expired = FaultError(code="ExpiredTokenException", status=400)
    fresh.cloud.aws.control.add_faults(*(Fault(service=service, error=expired) for service in SNAPSHOT))
    await fresh.snapshot(1)
    assert fresh.accounts.connected == ()
    fresh.cloud.aws.control.clear_faults()
    await fresh.account()
    assert len(fresh.connector.connected) == 2
    assert fresh.connector.forgotten == 1
