import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import pytest
from kubernetes.aio.client.exceptions import ApiException
from tests.aws import conftest as aws_fixtures
from tests.aws.connectors import HOME, Same
from tests.aws.world import OF_CLASSES, World
from tests.fixtures.platform import Aws

from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients, Role
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.limits import Lane
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.names import ENDPOINT_LOG_PREFIX, endpoint_logs, owner_hash, owner_of
from ephemeral_endpoints.core.orphans import UNTAGGABLE
from ephemeral_endpoints.core.plan import Delete
from ephemeral_endpoints.core.resources import (
    Have,
    HttpApiSpec,
    IntegrationSpec,
    Key,
    Kind,
    RepositorySpec,
    RouteSpec,
    Want,
)
from ephemeral_endpoints.core.tags import CLUSTER, NAME, NAMESPACE, RETAIN, RETAINED_MARKS, UID, Tags
from ephemeral_endpoints.local.aws import ministack
from ephemeral_endpoints.local.aws.faults import Fault, FaultError
from ephemeral_endpoints.settings import Settings
from ephemeral_endpoints.sweep import RETAINED_SECONDS, Sweep, sweep_regularly
from ephemeral_endpoints.telemetry import Metrics

clients, pool, told, calls = aws_fixtures.clients, aws_fixtures.pool, aws_fixtures.told, aws_fixtures.calls
MIN_AGE = 600.0
PAUSE = 100.0
CLASS_UID = "class-uid"
READING = ("Get", "List", "Describe")


class Household(World):
    """All that one object of a class leaves behind, the class's API among it, with the tags that the operator sets."""

    @property
    def tags(self) -> Tags:
        return (*super().tags, (NAMESPACE, "nlp"), (NAME, "pr-42"))

    @cached_property
    def wants(self) -> dict[Kind, Want]:
        wants = {want.key.kind: want for want in self._wants()}
        tags = ((CLUSTER, self.scope.cluster_id), (UID, CLASS_UID), (NAME, "default"))
        api, repository = wants[Kind.HTTP_API], wants[Kind.REPOSITORY]
        assert isinstance(repository.spec, RepositorySpec)
        return wants | {
            Kind.HTTP_API: replace(api, spec=HttpApiSpec(staged=True, tags=tags)),
            Kind.REPOSITORY: replace(repository, spec=replace(repository.spec, tags=tags)),
        }

    async def make_all(self, *, but: Collection[Kind] = ()) -> None:
        for want in self.wants.values():
            if want.key.kind not in but:
                await self.make(want)

    async def all_observed(self) -> set[Key]:
        known: dict[Key, Have] = {}
        for component in self.components.values():
            known |= {have.key: have for have in await component.observe(self.calls, known)}
        return set(known)


@dataclass
class Clock:
    """It goes on a little whenever it is read."""

    now: float = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class Sweeping:
    """A sweep over an embedded account, whose time and whose API server's answer are the test's."""

    def __init__(self, world: Household, **settings: str) -> None:
        self.world = world
        self.uids: list[str] = []
        self.woken: list[str] = []
        self.api_server_fails = False
        self.rounds = 0
        self.clock = Clock()
        self.metrics = Metrics()
        self.accounts = Accounts(
            world.scope.cluster_id,
            connector=Same(world.clients),
            calls=lambda _: world.calls,
            clock=self.clock,
            on_change=lambda _: None,
        )
        environment = {"EEP_SWEEP_MIN_AGE_SECONDS": str(MIN_AGE), **settings}
        self.sweep = Sweep(
            Settings.from_environment(environment),
            self.accounts,
            self._objects,
            observer=self.metrics,
            wake=self.woken.append,
            clock=self.clock,
        )

    async def account(self) -> Account:
        return await self.accounts.by(HOME)

    async def snapshot(self, seconds: float) -> None:
        """Let time pass and list AWS again."""
        account = await self.account()
        self.clock.now += seconds
        await account.refresh(account.kinds, since=self.clock.now)

    async def round(self, seconds: float) -> None:
        await self.snapshot(seconds)
        await self.sweep()

    async def until_old(self) -> None:
        """See what is there for the first time, and have it listed again when it is old enough."""
        await self.round(1)
        await self.snapshot(MIN_AGE + 1)
        self.world.aws.control.reset_meter()

    async def finish(self) -> None:
        """Sweep until there is only to wait for the endpoint, let it go, and sweep the rest."""
        for _ in range(5):
            await self.sweep()
            await asyncio.sleep(0.1)  # the endpoint takes half of that
            await self.snapshot(1)

    async def _objects(self) -> AsyncIterator[Mapping[str, Any]]:
        self.rounds += 1
        for uid in self.uids:
            yield {"metadata": {"uid": uid}}
        if self.api_server_fails:
            raise ApiException(status=503, reason="away")

    def changes(self) -> list[str]:
        """The calls since the last reset that change something."""
        by_operation = [name for each in self.world.aws.control.calls().values() for name in each]
        return sorted(name for name in by_operation if not name.startswith(READING))

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def world(fresh_aws: Aws, clients: Clients, calls: Calls) -> Household:
    fresh_aws.control.patch_sagemaker_settings(aws_fixtures.QUICK)
    scope = Scope(aws_fixtures.CLUSTER, ministack.ACCOUNT, ministack.REGION)
    return Household(fresh_aws, clients, calls, scope)


async def test_everything_that_a_dead_object_and_a_dead_class_left_goes_in_order(
    world: Household, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await world.make_all()
    sweeping = Sweeping(world)
    await sweeping.until_old()
    await sweeping.finish()
    assert await world.all_observed() == set()
    deletions = [call.operation for call in world.aws.control.log() if call.operation.startswith("Delete")]
    assert sorted(deletions) == sorted(
        [
            *("DeleteRoute", "DeleteIntegration", "DeleteApi", "DeleteFunction"),
            *("DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel", "DeleteLogGroup", "DeleteAlarms"),
            "DeleteRepository",
        ]
    ), "each thing is deleted once"
    order = ["DeleteRoute", "DeleteIntegration", "DeleteFunction", "DeleteLogGroup"]
    assert all(deletions.index(first) < deletions.index(then) for first, then in pairwise(order))

    told = {record.__dict__["kind"]: record.__dict__ for record in caplog.records if record.message == "swept"}
    assert set(told) == set(Kind)
    for kind, line in told.items():
        key = world.key(Kind(kind))
        assert line["resource"] == key.name
        assert line["owner"] == (owner_hash(CLASS_UID) if kind in OF_CLASSES else world.names.owner)
        whose = ("", "default") if kind in OF_CLASSES else ("nlp", "pr-42")
        assert (line["namespace"], line["object_name"]) == whose
        assert sweeping.metric("eep_swept_total", kind=kind, outcome="deleted") == 1
        assert sweeping.metric("eep_orphans", kind=kind) == 0


async def test_what_has_not_been_an_orphan_for_long_enough_stays(world: Household) -> None:
    await world.make_all()
    sweeping = Sweeping(world)
    await sweeping.round(1)
    await sweeping.round(MIN_AGE - 1)
    sweeping.clock.now += MIN_AGE
    await sweeping.sweep()
    assert await world.all_observed() == {want.key for want in world.wants.values()}, "no list showed it late enough"
    assert sweeping.metric("eep_orphans", kind=Kind.MODEL) == 0


async def test_what_belongs_to_a_live_object_or_class_stays(world: Household) -> None:
    await world.make_all()
    sweeping = Sweeping(world)
    await sweeping.round(1)
    sweeping.uids = [world.uid, CLASS_UID]
    await sweeping.snapshot(MIN_AGE + 1)
    world.aws.control.reset_meter()
    await sweeping.sweep()
    assert world.aws.control.calls() == {}, "what lives is not even asked about"


async def test_a_list_of_objects_that_fails_is_not_an_empty_one(world: Household) -> None:
    await world.make_all()
    sweeping = Sweeping(world)
    await sweeping.until_old()
    sweeping.api_server_fails = True
    await sweeping.sweep()
    assert world.aws.control.calls() == {}
    sweeping.api_server_fails = False
    await sweeping.sweep()
    assert sweeping.changes(), "what is known of ages survives"


async def test_nothing_of_a_service_that_cannot_be_listed_again_is_swept(world: Household) -> None:
    await world.make_all()
    sweeping = Sweeping(world)
    await sweeping.until_old()
    away = FaultError(code="InternalError", status=500)
    world.aws.control.add_faults(Fault(service="apigatewayv2", operation="GetRoutes", error=away))
    await sweeping.sweep()
    assert sweeping.changes() == []


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ((("Owner", "somebody else"),), "a name like ours on something that is not"),
        (((CLUSTER, "c2"), (UID, "uid-1")), "another cluster's"),
        (((CLUSTER, aws_fixtures.CLUSTER), (UID, "uid-2")), "the name says another object than the tags"),
        (((CLUSTER, aws_fixtures.CLUSTER),), "no object is named"),
    ],
)
async def test_what_only_looks_like_ours_stays(world: Household, tags: Tags, reason: str) -> None:
    world.wants = {
        kind: want
        if isinstance(want.spec, IntegrationSpec | RouteSpec)
        else replace(want, spec=replace(want.spec, tags=tags))
        for kind, want in world.wants.items()
    }
    await world.make_all()
    sweeping = Sweeping(world)
    await sweeping.until_old()
    await sweeping.sweep()
    assert sweeping.changes() == [], reason
    assert sum(sweeping.metric("eep_orphans", kind=kind) for kind in Kind) == 0


async def test_things_of_another_cluster_id_stay(world: Household) -> None:
    other = Household(world.aws, world.clients, world.calls, replace(world.scope, cluster_id="c10"))
    await other.make_all()
    sweeping = Sweeping(world)
    await sweeping.until_old()
    await sweeping.sweep()
    assert sweeping.changes() == []


async def test_a_log_group_that_came_back_by_late_logs_goes(world: Household) -> None:
    world.clients.logs.create_log_group(logGroupName=ENDPOINT_LOG_PREFIX + world.names.base)
    world.clients.logs.create_log_group(logGroupName=ENDPOINT_LOG_PREFIX + "eep-c1-billing")
    sweeping = Sweeping(world)
    await sweeping.until_old()
    await sweeping.sweep()
    left = world.clients.logs.describe_log_groups()["logGroups"]
    assert [each["logGroupName"] for each in left] == [ENDPOINT_LOG_PREFIX + "eep-c1-billing"]


async def test_too_many_orphans_at_once_are_told_of_and_left(
    world: Household, caplog: pytest.LogCaptureFixture
) -> None:
    await world.make_all()
    sweeping = Sweeping(world, EEP_SWEEP_MOST_DELETIONS=str(len(Kind) - 1))
    await sweeping.until_old()
    await sweeping.sweep()
    assert sweeping.changes() == []
    assert sweeping.metric("eep_sweep_held") == 1
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR]

    sweeping.uids = [CLASS_UID]
    await sweeping.sweep()
    assert sweeping.changes(), "as many as may be"
    assert sweeping.metric("eep_sweep_held") == 0


async def test_too_many_orphans_are_too_many_before_all_of_them_have_come_of_age(world: Household) -> None:
    await world.make(world.wants[Kind.ALARM])
    sweeping = Sweeping(world, EEP_SWEEP_MOST_DELETIONS="1")
    await sweeping.round(1)
    await world.make(world.wants[Kind.LOG_GROUP])
    await sweeping.snapshot(MIN_AGE + 1)
    world.aws.control.reset_meter()
    await sweeping.sweep()
    assert sweeping.changes() == []
    assert sweeping.metric("eep_sweep_held") == 1


async def test_a_dry_run_tells_and_changes_nothing(world: Household, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await world.make_all()
    sweeping = Sweeping(world, EEP_SWEEP="dry-run")
    await sweeping.until_old()
    await sweeping.sweep()
    assert sweeping.changes() == []
    told = {record.__dict__["kind"] for record in caplog.records if record.message == "would be swept"}
    assert told == {kind for kind in Kind if sweeping.metric("eep_orphans", kind=kind) == 1} == set(Kind)


async def test_an_operator_of_other_namespaces_leaves_everything_and_soon_asks_no_more(world: Household) -> None:
    await world.make_all()
    world.clients.logs.create_log_group(logGroupName=ENDPOINT_LOG_PREFIX + world.names.base)
    sweeping = Sweeping(world, EEP_NAMESPACES="cv")
    await sweeping.until_old()
    await sweeping.sweep()
    assert sweeping.changes() == []
    await sweeping.snapshot(1)
    world.aws.control.reset_meter()
    await sweeping.sweep()
    assert not [name for each in world.aws.control.calls().values() for name in each if "Tags" in name]


async def test_an_operator_of_its_namespace_takes_all_but_what_classes_share_and_what_tells_of_no_namespace(
    world: Household,
) -> None:
    await world.make_all()
    stranger = ENDPOINT_LOG_PREFIX + replace(world.names, uid="uid-2").base
    world.clients.logs.create_log_group(logGroupName=stranger)
    world.clients.logs.create_log_group(logGroupName=endpoint_logs(world.names.base))
    sweeping = Sweeping(world, EEP_NAMESPACES="nlp")
    await sweeping.until_old()
    await sweeping.finish()
    assert await world.all_observed() == {*map(world.key, OF_CLASSES), Key(Kind.LOG_GROUP, stranger)}


async def test_a_route_to_nothing_goes_and_one_that_leads_elsewhere_stays(world: Household) -> None:
    await world.make(world.wants[Kind.HTTP_API])
    gateway, api = world.clients.apigateway, world.have(Kind.HTTP_API).id
    by_hand = gateway.create_integration(
        ApiId=api, IntegrationType="HTTP_PROXY", IntegrationMethod="ANY", IntegrationUri="https://example.com"
    )
    gateway.create_route(ApiId=api, RouteKey="ANY /hand", Target=f"integrations/{by_hand['IntegrationId']}")
    gateway.create_route(ApiId=api, RouteKey="ANY /nothing", Target="integrations/gone")
    sweeping = Sweeping(world)
    sweeping.uids = [CLASS_UID]
    await sweeping.until_old()
    await sweeping.sweep()
    assert [each["RouteKey"] for each in gateway.get_routes(ApiId=api)["Items"]] == ["ANY /hand"]
    assert len(gateway.get_integrations(ApiId=api)["Items"]) == 1


async def test_a_route_that_leads_to_a_living_object_meanwhile_stays(world: Household) -> None:
    await world.make_all()
    sweeping = Sweeping(world)
    sweeping.uids = [CLASS_UID, "uid-2"]
    await sweeping.until_old()
    gateway, api = world.clients.apigateway, world.have(Kind.HTTP_API).id
    function = f"arn:aws:lambda:us-east-1:000000000000:function:{replace(world.names, uid='uid-2').base}"
    living = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )
    route = world.have(Kind.ROUTE).id
    gateway.update_route(ApiId=api, RouteId=route, Target=f"integrations/{living['IntegrationId']}")
    await sweeping.sweep()
    assert [each["RouteId"] for each in gateway.get_routes(ApiId=api)["Items"]] == [route]


async def test_what_a_dead_class_shared_waits_for_the_living_objects_that_use_it(world: Household) -> None:
    await world.make_all()
    sweeping = Sweeping(world)
    sweeping.uids = [world.uid]
    await sweeping.until_old()
    await sweeping.sweep()
    assert sweeping.changes() == []
    assert [sweeping.metric("eep_orphans", kind=kind) for kind in (Kind.HTTP_API, Kind.REPOSITORY)] == [1, 1]


async def test_a_deletion_that_fails_is_counted_and_repeated_in_the_next_round(world: Household) -> None:
    await world.make(world.wants[Kind.ALARM])
    sweeping = Sweeping(world)
    await sweeping.until_old()
    away = FaultError(code="InternalFailure", status=500)
    world.aws.control.add_faults(Fault(service="cloudwatch", operation="DeleteAlarms", times=1, error=away))
    await sweeping.sweep()
    assert sweeping.metric("eep_swept_total", kind=Kind.ALARM, outcome="failed") == 1
    assert len(await world.observed(Kind.ALARM)) == 1
    await sweeping.sweep()
    assert sweeping.metric("eep_swept_total", kind=Kind.ALARM, outcome="deleted") == 1
    assert await world.observed(Kind.ALARM) == {}


async def test_one_thing_whose_tags_cannot_be_read_holds_up_no_other(world: Household) -> None:
    await world.make(world.wants[Kind.ALARM])
    await world.make(world.wants[Kind.MODEL])
    sweeping = Sweeping(world)
    await sweeping.until_old()
    away = FaultError(code="InternalFailure", status=500)
    world.aws.control.add_faults(Fault(service="cloudwatch", operation="ListTagsForResource", error=away))
    await sweeping.sweep()
    assert await world.all_observed() == {world.key(Kind.ALARM)}


async def test_right_before_its_deletion_an_orphan_is_asked_whose_it_is_even_by_its_maker(world: Household) -> None:
    await world.make(world.wants[Kind.FUNCTION])
    sweeping = Sweeping(world)
    await sweeping.until_old()
    account, key = await sweeping.account(), world.key(Kind.FUNCTION)
    have = account.inventory.all[key]
    account._proven.add(key)
    world.clients.lambda_.tag_resource(Resource=have.arn, Tags={CLUSTER: "c2"})
    with pytest.raises(errors.NameConflict):
        await account.take(Delete(have), ORPHANS)


def test_orphans_are_together_one_owner_in_the_lane_of_deletions() -> None:
    assert ORPHANS.lane is Lane.DELETE
    assert owner_of("c1", f"eep-c1-x-{ORPHANS.owner}") is None, "no object's name holds it"


async def test_a_round_follows_every_pause(world: Household) -> None:
    sweeping = Sweeping(world)
    seen: list[tuple[float, int]] = []

    async def sleep(seconds: float) -> None:
        seen.append((seconds, sweeping.rounds))
        if len(seen) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await sweep_regularly(sweeping.sweep, PAUSE, sleep)
    assert seen == [(PAUSE, 0), (PAUSE, 1), (PAUSE, 2)]


async def test_a_class_that_may_have_waited_for_it_is_woken(world: Household) -> None:
    await world.make_all()
    sweeping = Sweeping(world)
    sweeping.uids = [CLASS_UID]
    await sweeping.until_old()
    await sweeping.sweep()
    assert owner_hash(CLASS_UID) in sweeping.woken


async def test_a_deletion_whose_answer_was_lost_is_looked_at_in_the_next_round(world: Household) -> None:
    await world.make(world.wants[Kind.ALARM])
    sweeping = Sweeping(world)
    await sweeping.until_old()
    world.aws.control.add_faults(Fault(service="cloudwatch", operation="DeleteAlarms", times=1, answer_lost=True))
    await sweeping.sweep()
    await sweeping.sweep()
    assert world.key(Kind.ALARM) not in (await sweeping.account()).inventory.all


async def retain(world: Household, *kinds: Kind) -> None:
    """Put the tag that keeps them on things of the object."""
    for kind in kinds:
        await world.components[kind].mark(world.calls, world.have(kind), RETAINED_MARKS)


OWN_TAGGABLE = [kind for kind in Kind if kind not in UNTAGGABLE | OF_CLASSES]


async def test_what_was_retained_stays_with_all_that_cannot_say_so_and_is_no_orphan(world: Household) -> None:
    await world.make_all()
    await retain(world, *OWN_TAGGABLE)
    world.clients.logs.create_log_group(logGroupName=endpoint_logs(world.names.base))
    sweeping = Sweeping(world, EEP_SWEEP_MOST_DELETIONS="1")
    sweeping.uids = [CLASS_UID]
    await sweeping.until_old()
    await sweeping.sweep()
    assert sweeping.changes() == []
    assert sum(sweeping.metric("eep_orphans", kind=kind) for kind in Kind) == 0
    assert sweeping.metric("eep_sweep_held") == 0


async def test_what_was_retained_is_asked_about_again_after_an_hour_only(world: Household) -> None:
    await world.make_all()
    await retain(world, *OWN_TAGGABLE)
    sweeping = Sweeping(world)
    sweeping.uids = [CLASS_UID]
    await sweeping.until_old()
    await sweeping.round(1)
    world.aws.control.reset_meter()
    await sweeping.sweep()
    assert world.aws.control.calls() == {}
    model = world.have(Kind.MODEL)
    world.clients.sagemaker.delete_tags(ResourceArn=model.arn, TagKeys=[RETAIN])
    world.aws.control.reset_meter()
    await sweeping.round(RETAINED_SECONDS - 10)
    assert sweeping.changes() == []
    await sweeping.round(20)
    assert sweeping.metric("eep_orphans", kind=Kind.MODEL) == 1, "whoever takes the tag off gives it to the sweep"


async def test_of_what_was_retained_the_rest_goes_when_all_that_says_so_is_gone(world: Household) -> None:
    for kind in (Kind.HTTP_API, Kind.FUNCTION, Kind.INTEGRATION, Kind.ROUTE):
        await world.make(world.wants[kind])
    await retain(world, Kind.FUNCTION)
    sweeping = Sweeping(world)
    sweeping.uids = [CLASS_UID]
    await sweeping.until_old()
    await sweeping.sweep()
    assert sweeping.changes() == []
    world.clients.lambda_.delete_function(FunctionName=world.key(Kind.FUNCTION).name)
    await sweeping.snapshot(RETAINED_SECONDS)
    await sweeping.sweep()
    assert await world.all_observed() == {world.key(Kind.HTTP_API)}


async def test_two_roles_that_lead_to_one_account_do_not_make_two_orphans_of_one(world: Household) -> None:
    await world.make(world.wants[Kind.ALARM])
    sweeping = Sweeping(world, EEP_SWEEP_MOST_DELETIONS="1")
    role = Role(f"arn:aws:iam::{HOME.account}:role/one")
    other = await sweeping.accounts.by(replace(HOME, role=role))
    await sweeping.until_old()
    await other.refresh(other.kinds, since=sweeping.clock.now)
    await sweeping.sweep()
    assert sweeping.metric("eep_sweep_held") == 0
    assert sweeping.changes() == ["DeleteAlarms"]
    assert sweeping.metric("eep_swept_total", kind=Kind.ALARM, outcome="deleted") == 1


async def test_of_two_roles_that_lead_to_one_account_the_one_that_sees_it_serves_the_sweep(world: Household) -> None:
    await world.make(world.wants[Kind.ALARM])
    sweeping = Sweeping(world)
    blind = await sweeping.accounts.by(replace(HOME, role=Role(f"arn:aws:iam::{HOME.account}:role/one")))
    await sweeping.until_old()
    blind.inventory.replace(Kind.ALARM, [], began=sweeping.clock.now - MIN_AGE)
    await sweeping.sweep()
    assert sweeping.changes() == ["DeleteAlarms"]
