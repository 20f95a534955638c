import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any

import pytest
from tests.aws import cloud as everything
from tests.aws.cloud import DEADLINE_SECONDS, Cloud, eventually, with_spec
from tests.aws.connectors import HOME, Same
from tests.fixtures import aws as aws_fixtures
from tests.fixtures.logs import of_operator
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.account import ORPHANS, Account, Owner
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Access, Clients, Role
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.limits import Limiter, Priority
from ephemeral_endpoints.controllers.orphans.rounds import SweepDeps
from ephemeral_endpoints.controllers.orphans.sweep import KIND_SECONDS, RETAINED_SECONDS, Sweep, sweep_regularly
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.engine.names import ENDPOINT_LOG_PREFIX, endpoint_logs, owner_hash, owner_of
from ephemeral_endpoints.engine.plan import Create, Delete
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, Phase, ResourceKind
from ephemeral_endpoints.engine.tags import (
    CLUSTER,
    EXPIRES_AT,
    NAME,
    NAMESPACE,
    RETAIN,
    RETAINED_TAGS,
    UID,
    Tags,
    timestamp,
)
from ephemeral_endpoints.features.images.specs import REPOSITORY, RepositorySpec
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP
from ephemeral_endpoints.features.reaping.specs import EVENT_RULE
from ephemeral_endpoints.features.registry import KINDS, components
from ephemeral_endpoints.features.routing.capture.specs import DELIVERY_STREAM
from ephemeral_endpoints.features.routing.feedback.specs import FEEDBACK_TABLE
from ephemeral_endpoints.features.routing.specs import (
    FUNCTION,
    HTTP_API,
    INTEGRATION,
    ROUTE,
    HttpApiSpec,
    ThrottleSpec,
)
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG, MODEL
from ephemeral_endpoints.kube.cache import Store
from ephemeral_endpoints.kube.errors import Unavailable
from ephemeral_endpoints.settings import Settings
from ephemeral_endpoints.telemetry.metrics import Metrics

clients, pool, reported, calls = aws_fixtures.clients, aws_fixtures.pool, aws_fixtures.reported, aws_fixtures.calls
MIN_AGE = 600.0
PAUSE = 100.0
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TOMORROW = NOW + timedelta(days=1)
CLASS_UID = "class-uid"
READING = ("Get", "List", "Describe")
OF_CLASSES = everything.OF_CLASSES - {EVENT_RULE}
"""The rule is here the object's, as the one function that it could run is."""


@dataclass
class SweptCloud(Cloud):
    """All that one object of a class leaves behind, the class's API among it, with the tags that the operator sets."""

    namespace: str = "nlp"
    expires_at: datetime = TOMORROW

    @property
    def tags(self) -> Tags:
        owner = ((NAMESPACE, self.namespace), (NAME, "pr-42"), (EXPIRES_AT, timestamp(self.expires_at)))
        return (*super().tags, *owner)

    def of(self, uid: str, namespace: str, expires_at: datetime = TOMORROW) -> "SweptCloud":
        """The same account with what another object leaves behind."""
        return SweptCloud(
            self.aws, self.clients, self.calls, self.scope, uid=uid, namespace=namespace, expires_at=expires_at
        )

    @cached_property
    def resources(self) -> dict[ResourceKind, DesiredResource]:
        resources = {resource.key.kind: resource for resource in self._wants()}
        tags = ((CLUSTER, self.scope.cluster_id), (UID, CLASS_UID), (NAME, "default"))
        api, repository, stream = resources[HTTP_API], resources[REPOSITORY], resources[DELIVERY_STREAM]
        assert isinstance(repository.spec, RepositorySpec)
        return resources | {
            HTTP_API: replace(api, spec=HttpApiSpec(staged=True, throttle=ThrottleSpec(100, 200), tags=tags)),
            REPOSITORY: replace(repository, spec=replace(repository.spec, tags=tags)),
            DELIVERY_STREAM: with_spec(stream, tags=tags),
        }

    async def make_all(self, *, but: Collection[ResourceKind] = ()) -> None:
        self.make_domain()
        for resource in self.resources.values():
            if resource.key.kind not in but:
                await self.make(resource)

    async def all_observed(self) -> set[Key]:
        known: dict[Key, ObservedResource] = {}
        for component in self.components.values():
            known |= {observed.key: observed for observed in await component.list_all(self.calls, known)}
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

    def __init__(self, cloud: SweptCloud, **settings: str) -> None:
        self.cloud = cloud
        self.uids: list[str] = []
        self.enqueued: list[str] = []
        self.api_server_fails = False
        self.rounds = 0
        self.differs: str | None = None
        self.clock = Clock()
        self.now = NOW
        self.metrics = Metrics()
        self.calls: dict[str, Calls] = {}
        """Calls of their own, by region."""
        self.accounts = Accounts(
            cloud.scope.cluster_id,
            connector=Same(cloud.clients),
            calls=lambda access: self.calls.get(access.region, cloud.calls),
            components=components,
            clock=self.clock,
            on_change=lambda _: None,
        )
        environment = {"EEP_SWEEP_MIN_AGE_SECONDS": str(MIN_AGE), **settings}
        deps = SweepDeps(
            Settings.from_environment(environment),
            cloud.scope.cluster_id,
            store=Store(),
            accounts=self.accounts,
            objects=self._objects,
            observer=self.metrics,
            disagreement=lambda: self.differs,
            clock=self.clock,
            now=lambda: self.now,
        )
        self.sweep = Sweep(deps, self.enqueued.append)

    async def account(self) -> Account:
        return await self.accounts.by(HOME)

    async def snapshot(self, seconds: float) -> None:
        """Let time pass and list AWS again."""
        account = await self.account()
        self.clock.now += seconds
        await account.refresh(account.kinds, since=self.clock.now)

    async def round(self, seconds: float) -> None:
        await self.snapshot(seconds)
        await self.sweep.run()

    async def until_old(self) -> None:
        """See what is there for the first time, and have it listed again when it is old enough."""
        await self.round(1)
        await self.snapshot(MIN_AGE + 1)
        self.cloud.aws.control.reset_meter()

    async def finish(self) -> None:
        """Sweep until there is only to wait for the endpoint, let it go, and sweep the rest."""
        for _ in range(5):
            await self.sweep.run()
            await eventually(self._is_at_rest, "the endpoint and the table gone")
            await self.snapshot(1)

    async def _is_at_rest(self) -> bool:
        tables = await self.cloud.listed(FEEDBACK_TABLE)
        is_table_going = any(each.phase is Phase.DELETING for each in tables.values())
        endpoints = self.cloud.clients.sagemaker.list_endpoints(StatusEquals="Deleting")["Endpoints"]
        return not endpoints and not is_table_going

    async def _objects(self) -> AsyncIterator[Mapping[str, Any]]:
        self.rounds += 1
        for uid in self.uids:
            yield {"metadata": {"uid": uid, "name": uid}}
        if self.api_server_fails:
            raise Unavailable("away")

    def changes(self) -> list[str]:
        """The calls since the last reset that change something."""
        by_operation = [name for each in self.cloud.aws.control.calls().values() for name in each]
        return sorted(name for name in by_operation if not name.startswith(READING))

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def cloud(fresh_aws: Aws, clients: Clients, calls: Calls) -> SweptCloud:
    fresh_aws.control.patch_sagemaker_settings(aws_fixtures.QUICK)
    scope = Scope(aws_fixtures.CLUSTER, ministack.ACCOUNT, ministack.REGION)
    return SweptCloud(fresh_aws, clients, calls, scope)


async def test_everything_that_a_dead_object_and_a_dead_class_left_goes_in_order(
    cloud: SweptCloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await cloud.make_all()
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    await sweeping.finish()
    assert await cloud.all_observed() == set()
    deletions = [call.operation for call in cloud.aws.control.log() if call.operation.startswith("Delete")]
    assert sorted(deletions) == sorted(
        [
            *("DeleteRoute", "DeleteIntegration", "DeleteApi", "DeleteFunctionConcurrency", "DeleteFunction"),
            *("DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel", "DeleteLogGroup", "DeleteAlarms"),
            *("DeleteRepository", "DeleteTable", "DeleteApiMapping", "DeleteAuthorizer", "DeleteRouteSettings"),
            *("DeleteDeliveryStream", "DeleteParameter", "DeleteRule"),
        ]
    ), "each thing is deleted once"
    target = ["DeleteRoute", "DeleteIntegration", "DeleteFunction", "DeleteLogGroup"]
    assert all(deletions.index(first) < deletions.index(then) for first, then in pairwise(target))

    reported = {record.__dict__["kind"]: record.__dict__ for record in caplog.records if record.message == "swept"}
    assert reported.keys() == {kind.name for kind in KINDS}
    for kind in KINDS:
        key, line = cloud.key(kind), reported[kind.name]
        assert line["resource"] == key.name
        assert line["owner"] == (owner_hash(CLASS_UID) if kind in OF_CLASSES else cloud.names.owner)
        whose = ("", "default") if kind in OF_CLASSES else ("nlp", "pr-42")
        assert (line["namespace"], line["object_name"]) == whose
        assert sweeping.metric("eep_orphan_deletions_total", kind=kind.name, outcome="deleted") == 1
        assert sweeping.metric("eep_orphans", kind=kind.name) == 0


async def test_what_has_not_been_an_orphan_for_long_enough_stays(cloud: SweptCloud) -> None:
    await cloud.make_all()
    sweeping = Sweeping(cloud)
    await sweeping.round(1)
    await sweeping.round(MIN_AGE - 1)
    sweeping.clock.now += MIN_AGE
    await sweeping.sweep.run()
    assert await cloud.all_observed() == {resource.key for resource in cloud.resources.values()}, (
        "no list showed it late enough"
    )
    assert sweeping.metric("eep_orphans", kind=MODEL.name) == 0


async def test_what_belongs_to_a_live_object_or_class_stays(cloud: SweptCloud) -> None:
    await cloud.make_all()
    sweeping = Sweeping(cloud)
    await sweeping.round(1)
    sweeping.uids = [cloud.uid, CLASS_UID]
    await sweeping.snapshot(MIN_AGE + 1)
    cloud.aws.control.reset_meter()
    await sweeping.sweep.run()
    assert cloud.aws.control.calls() == {}, "what lives is not even asked about"


async def test_a_list_of_objects_that_fails_is_not_an_empty_one(cloud: SweptCloud) -> None:
    await cloud.make_all()
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    sweeping.api_server_fails = True
    await sweeping.sweep.run()
    assert cloud.aws.control.calls() == {}
    sweeping.api_server_fails = False
    await sweeping.sweep.run()
    assert sweeping.changes(), "what is known of ages survives"


async def test_nothing_of_a_service_that_cannot_be_listed_again_is_swept(cloud: SweptCloud) -> None:
    await cloud.make_all()
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    away = FaultError(code="InternalError", status=500)
    cloud.aws.control.add_faults(Fault(service="apigatewayv2", operation="GetRoutes", error=away))
    before = await sweeping.account()
    known = {key.kind for key in before.inventory.all}
    await sweeping.sweep.run()
    cloud.aws.control.clear_faults()
    left = {key.kind for key in await cloud.all_observed()}
    of_it = {kind for kind in known if kind.lineage[0] is HTTP_API}
    assert of_it | {FUNCTION} <= left, "a route leads to the function still"
    assert ALARM not in left, "it stops no other"


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ((("Owner", "somebody else"),), "a name like ours on something that is not"),
        (((CLUSTER, "c2"), (UID, "uid-1")), "another cluster's"),
        (((CLUSTER, aws_fixtures.CLUSTER), (UID, "uid-2")), "the name says another object than the tags"),
        (((CLUSTER, aws_fixtures.CLUSTER),), "no object is named"),
    ],
)
async def test_what_only_looks_like_ours_stays(cloud: SweptCloud, tags: Tags, reason: str) -> None:
    cloud.resources = {
        kind: with_spec(resource, tags=tags) if hasattr(resource.spec, "tags") else resource
        for kind, resource in cloud.resources.items()
    }
    await cloud.make_all()
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert sweeping.changes() == [], reason
    assert sum(sweeping.metric("eep_orphans", kind=kind.name) for kind in KINDS) == 0


async def test_resources_of_another_cluster_id_stay(cloud: SweptCloud) -> None:
    other = SweptCloud(cloud.aws, cloud.clients, cloud.calls, replace(cloud.scope, cluster_id="c10"))
    await other.make_all()
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert sweeping.changes() == []


async def test_a_log_group_that_came_back_by_late_logs_goes(cloud: SweptCloud) -> None:
    cloud.clients.logs.create_log_group(logGroupName=ENDPOINT_LOG_PREFIX + cloud.names.base)
    cloud.clients.logs.create_log_group(logGroupName=ENDPOINT_LOG_PREFIX + "eep-c1-billing")
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    await sweeping.sweep.run()
    left = cloud.clients.logs.describe_log_groups()["logGroups"]
    assert [each["logGroupName"] for each in left] == [ENDPOINT_LOG_PREFIX + "eep-c1-billing"]


async def test_too_many_orphans_at_once_are_reported_and_kept(
    cloud: SweptCloud, caplog: pytest.LogCaptureFixture
) -> None:
    await cloud.make_all()
    sweeping = Sweeping(cloud, EEP_SWEEP_MOST_OWNERS="1")
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert sweeping.changes() == []
    assert sweeping.metric("eep_orphan_sweep_blocked") == 2, "an object of a namespace, and a class"
    reported = next(record.__dict__ for record in of_operator(caplog) if record.levelno == logging.ERROR)
    assert reported["namespaces"] == {"": 1, "nlp": 1}

    sweeping.uids = [CLASS_UID]
    await sweeping.sweep.run()
    assert sweeping.changes(), "as many as may be"
    assert sweeping.metric("eep_orphan_sweep_blocked") == 0


async def test_a_kind_whose_tags_are_not_read_in_time_stops_no_other(
    cloud: SweptCloud, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cloud.make(cloud.resources[ALARM])
    await cloud.make(cloud.resources[LOG_GROUP])
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    cloud.aws.control.add_faults(Fault(service="logs", operation="ListTagsForResource", held=True))
    sweep, loop = asyncio.create_task(sweeping.sweep.run()), asyncio.get_running_loop()
    await cloud.fault_has_struck()
    later, elapsed = KIND_SECONDS, loop.time
    monkeypatch.setattr(loop, "time", lambda: elapsed() + later)
    await sweep
    cloud.aws.control.clear_faults()
    assert await cloud.all_observed() == {cloud.key(LOG_GROUP)}
    assert any(f"no answer within {KIND_SECONDS:g} s" in str(each.__dict__.get("error")) for each in caplog.records)
    await sweeping.snapshot(1)
    await sweeping.sweep.run()
    assert await cloud.all_observed() == set(), "the next round takes it"


async def test_what_an_endpoint_may_use_stays_while_endpoints_cannot_be_listed(cloud: SweptCloud) -> None:
    for kind in (MODEL, LOG_GROUP, ENDPOINT_CONFIG):
        await cloud.make(cloud.resources[kind])
    sweeping = Sweeping(cloud)
    await sweeping.round(1)
    await cloud.make(cloud.resources[ENDPOINT])
    refused = FaultError(code="AccessDeniedException", message="not you", status=400)
    cloud.aws.control.add_faults(Fault(service="sagemaker", operation="ListEndpoints", error=refused))
    with pytest.raises(errors.Denied):
        await sweeping.snapshot(MIN_AGE + 1)
    await sweeping.sweep.run()
    kept = {cloud.key(kind) for kind in (MODEL, ENDPOINT_CONFIG, ENDPOINT)}
    cloud.aws.control.clear_faults()
    assert await cloud.all_observed() >= kept
    await sweeping.until_old()
    await sweeping.finish()
    assert await cloud.all_observed() == set()


async def test_nothing_is_swept_while_clocks_differ(cloud: SweptCloud, caplog: pytest.LogCaptureFixture) -> None:
    await cloud.make(cloud.resources[ALARM])
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    sweeping.differs = "the operator's clock is 15 d ahead of that of AWS"
    await sweeping.sweep.run()
    assert sweeping.changes() == []
    assert any("set the clock" in record.message for record in caplog.records)

    sweeping.differs = None
    await sweeping.sweep.run()
    assert sweeping.changes(), "nothing else kept it"


async def test_too_many_orphans_are_too_many_before_all_of_them_have_come_of_age(cloud: SweptCloud) -> None:
    await cloud.make(cloud.resources[ALARM])
    sweeping = Sweeping(cloud, EEP_SWEEP_MOST_OWNERS="1")
    await sweeping.round(1)
    other = cloud.of("uid-2", cloud.namespace)
    await other.make(other.resources[ALARM])
    await sweeping.snapshot(MIN_AGE + 1)
    cloud.aws.control.reset_meter()
    await sweeping.sweep.run()
    assert sweeping.changes() == []
    assert sweeping.metric("eep_orphan_sweep_blocked") == 1


async def test_a_namespace_that_loses_many_objects_stops_the_sweep_for_itself_alone_and_until_they_expire(
    cloud: SweptCloud,
) -> None:
    """The attack: six objects let go without their resources, to keep everybody's orphans in AWS, and their own."""
    await cloud.make(cloud.resources[ALARM])
    hostile = [cloud.of(f"hostile-{number}", "hostile") for number in range(6)]
    for each in hostile:
        await each.make(each.resources[ALARM])
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert await cloud.all_observed() == {each.key(ALARM) for each in hostile}, "what others left is gone"
    assert sweeping.metric("eep_orphan_sweep_blocked") == 1
    sweeping.now = TOMORROW
    await sweeping.round(1)
    assert await cloud.all_observed() == set()
    assert sweeping.metric("eep_orphan_sweep_blocked") == 0


async def test_of_many_lost_objects_no_more_tags_are_read_than_it_takes_to_hold_them(cloud: SweptCloud) -> None:
    for number in range(6):
        each = cloud.of(f"uid-{number}", "nlp")
        await each.make(each.resources[ALARM])
        await each.make(each.resources[LOG_GROUP])
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    await sweeping.sweep.run()
    cloud.aws.control.reset_meter()
    await sweeping.sweep.run()
    reads = sum(count for each in cloud.aws.control.calls().values() for count in each.values())
    assert reads <= 4, "of one resource of each object, until there are too many"
    assert sweeping.metric("eep_orphan_sweep_blocked") == 1


async def test_what_is_past_its_end_of_life_goes_at_once_however_much_it_is(cloud: SweptCloud) -> None:
    """As what an abandoned object leaves, whose resources the operator gives an end of life that is over."""
    for number in range(6):
        each = cloud.of(f"uid-{number}", "nlp", NOW)
        await each.make(each.resources[ALARM])
    sweeping = Sweeping(cloud)
    await sweeping.round(1)
    assert await cloud.all_observed() == set()
    assert sweeping.metric("eep_orphan_sweep_blocked") == 0


async def test_of_two_ends_of_life_the_later_one_counts(cloud: SweptCloud) -> None:
    """As when an extension had not reached all resources yet."""
    early = cloud.of(cloud.uid, cloud.namespace, NOW)
    await early.make(early.resources[LOG_GROUP])
    await cloud.make(cloud.resources[ALARM])
    sweeping = Sweeping(cloud)
    await sweeping.round(1)
    assert await cloud.all_observed() == {cloud.key(ALARM), cloud.key(LOG_GROUP)}


async def test_what_has_no_tags_waits_until_those_of_its_object_can_be_read(cloud: SweptCloud) -> None:
    """Otherwise a failure to read tags would let the route of a lost object go, which the limit keeps."""
    for kind in (HTTP_API, FUNCTION, INTEGRATION, ROUTE):
        await cloud.make(cloud.resources[kind])
    sweeping = Sweeping(cloud)
    sweeping.uids = [CLASS_UID]
    away = FaultError(code="ServiceException", status=500)
    cloud.aws.control.add_faults(Fault(service="lambda", operation="ListTags", error=away))
    await sweeping.round(1)
    await sweeping.round(MIN_AGE + 1)
    assert await cloud.all_observed() == {cloud.key(kind) for kind in (HTTP_API, FUNCTION, INTEGRATION, ROUTE)}
    cloud.aws.control.clear_faults()
    await sweeping.sweep.run()
    assert await cloud.all_observed() == {cloud.key(HTTP_API)}


async def test_a_dry_run_reports_and_changes_nothing(cloud: SweptCloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await cloud.make_all()
    sweeping = Sweeping(cloud, EEP_SWEEP="dry-run")
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert sweeping.changes() == []
    reported = {record.__dict__["kind"] for record in caplog.records if record.message == "would be swept"}
    orphans = {kind.name for kind in KINDS if sweeping.metric("eep_orphans", kind=kind.name) == 1}
    assert reported == orphans == {kind.name for kind in KINDS}


async def test_an_operator_of_other_namespaces_leaves_everything_and_soon_asks_no_more(cloud: SweptCloud) -> None:
    await cloud.make_all()
    cloud.clients.logs.create_log_group(logGroupName=ENDPOINT_LOG_PREFIX + cloud.names.base)
    sweeping = Sweeping(cloud, EEP_NAMESPACES="cv")
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert sweeping.changes() == []
    await sweeping.snapshot(1)
    cloud.aws.control.reset_meter()
    await sweeping.sweep.run()
    assert not [name for each in cloud.aws.control.calls().values() for name in each if "Tags" in name]


async def test_an_operator_of_a_namespace_sweeps_neither_shared_resources_nor_those_without_a_namespace(
    cloud: SweptCloud,
) -> None:
    await cloud.make_all()
    stranger = ENDPOINT_LOG_PREFIX + replace(cloud.names, uid="uid-2").base
    cloud.clients.logs.create_log_group(logGroupName=stranger)
    cloud.clients.logs.create_log_group(logGroupName=endpoint_logs(cloud.names.base))
    sweeping = Sweeping(cloud, EEP_NAMESPACES="nlp")
    await sweeping.until_old()
    await sweeping.finish()
    assert await cloud.all_observed() == {*map(cloud.key, OF_CLASSES), Key(LOG_GROUP, stranger)}


async def test_a_route_to_nothing_goes_and_one_that_leads_elsewhere_stays(cloud: SweptCloud) -> None:
    await cloud.make(cloud.resources[HTTP_API])
    gateway, api = cloud.clients.apigateway, cloud.observed(HTTP_API).id
    by_hand = gateway.create_integration(
        ApiId=api,
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="ANY",
        IntegrationUri="https://example.com",
        PayloadFormatVersion="1.0",
    )
    gateway.create_route(ApiId=api, RouteKey="ANY /hand", Target=f"integrations/{by_hand['IntegrationId']}")
    gateway.create_route(ApiId=api, RouteKey="ANY /nothing", Target="integrations/gone")
    sweeping = Sweeping(cloud)
    sweeping.uids = [CLASS_UID]
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert [each["RouteKey"] for each in gateway.get_routes(ApiId=api)["Items"]] == ["ANY /hand"]
    assert len(gateway.get_integrations(ApiId=api)["Items"]) == 1


async def test_a_route_that_has_come_to_lead_to_an_active_object_stays(cloud: SweptCloud) -> None:
    await cloud.make_all()
    sweeping = Sweeping(cloud)
    sweeping.uids = [CLASS_UID, "uid-2"]
    await sweeping.until_old()
    gateway, api = cloud.clients.apigateway, cloud.observed(HTTP_API).id
    function = f"arn:aws:lambda:us-east-1:000000000000:function:{replace(cloud.names, uid='uid-2').base}"
    living = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )
    route = cloud.observed(ROUTE).id
    gateway.update_route(ApiId=api, RouteId=route, Target=f"integrations/{living['IntegrationId']}")
    await sweeping.sweep.run()
    assert [each["RouteId"] for each in gateway.get_routes(ApiId=api)["Items"]] == [route]


async def test_the_shared_resources_of_a_deleted_class_stay_while_active_objects_use_them(cloud: SweptCloud) -> None:
    await cloud.make_all()
    sweeping = Sweeping(cloud)
    sweeping.uids = [cloud.uid]
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert sweeping.changes() == []
    assert [sweeping.metric("eep_orphans", kind=kind.name) for kind in (HTTP_API, REPOSITORY)] == [1, 1]


async def test_a_deletion_that_fails_is_counted_and_repeated_in_the_next_round(cloud: SweptCloud) -> None:
    await cloud.make(cloud.resources[ALARM])
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    away = FaultError(code="InternalFailure", status=500)
    cloud.aws.control.add_faults(Fault(service="cloudwatch", operation="DeleteAlarms", times=1, error=away))
    await sweeping.sweep.run()
    assert sweeping.metric("eep_orphan_deletions_total", kind=ALARM.name, outcome="failed") == 1
    assert len(await cloud.listed(ALARM)) == 1
    await sweeping.sweep.run()
    assert sweeping.metric("eep_orphan_deletions_total", kind=ALARM.name, outcome="deleted") == 1
    assert await cloud.listed(ALARM) == {}


async def test_one_thing_whose_tags_cannot_be_read_holds_up_no_other(cloud: SweptCloud) -> None:
    await cloud.make(cloud.resources[ALARM])
    await cloud.make(cloud.resources[MODEL])
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    away = FaultError(code="InternalFailure", status=500)
    cloud.aws.control.add_faults(Fault(service="cloudwatch", operation="ListTagsForResource", error=away))
    await sweeping.sweep.run()
    assert await cloud.all_observed() == {cloud.key(ALARM)}


async def test_right_before_its_deletion_an_orphan_is_asked_whose_it_is_even_by_its_maker(cloud: SweptCloud) -> None:
    sweeping = Sweeping(cloud)
    account, key, maker = await sweeping.account(), cloud.key(FUNCTION), Owner(cloud.names.owner, cloud.names.uid)
    await account.execute(Create(cloud.resources[FUNCTION]), maker)
    await cloud.rest(key)
    await sweeping.until_old()
    observed = account.inventory.all[key]
    cloud.clients.lambda_.tag_resource(Resource=observed.arn, Tags={CLUSTER: "c2"})
    await account.add_tags(observed, (("asked", "no"),), maker)
    with pytest.raises(errors.NameConflict):
        await account.execute(Delete(observed), ORPHANS)


def test_orphans_are_together_one_owner_in_the_lane_of_deletions() -> None:
    assert ORPHANS.priority is Priority.DELETE
    assert owner_of("c1", f"eep-c1-x-{ORPHANS.owner}") is None, "no object's name holds it"


async def test_a_round_follows_every_pause(cloud: SweptCloud) -> None:
    sweeping = Sweeping(cloud)
    seen: list[tuple[float, int]] = []

    async def sleep(seconds: float) -> None:
        seen.append((seconds, sweeping.rounds))
        if len(seen) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await sweep_regularly(sweeping.sweep, PAUSE, sleep)
    assert seen == [(PAUSE, 0), (PAUSE, 1), (PAUSE, 2)]


class Gate(Limiter):
    """Lets calls through at once, or never."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0, {})
        self.is_shut = False

    async def take(self, service: str, operation: str, owner: str, priority: Priority) -> None:
        if self.is_shut:
            await asyncio.Event().wait()
        await super().take(service, operation, owner, priority)


async def test_an_account_that_hangs_holds_up_the_sweep_of_no_other(
    cloud: SweptCloud, caplog: pytest.LogCaptureFixture
) -> None:
    await cloud.make_all()
    sweeping, gate = Sweeping(cloud), Gate()
    sweeping.calls["eu-west-1"] = replace(cloud.calls, limiter=gate)
    far = await sweeping.accounts.by(Access(ministack.ACCOUNT, "eu-west-1"))
    await sweeping.until_old()
    await far.refresh(far.kinds, since=sweeping.clock.now)
    gate.is_shut = True

    async def swept() -> bool:
        await sweeping.sweep.begin()
        await asyncio.gather(*(each for each in asyncio.all_tasks() if each.get_name() == f"sweep {cloud.scope}"))
        await sweeping.snapshot(1)
        return await cloud.all_observed() == set()

    async with asyncio.timeout(DEADLINE_SECONDS):
        await eventually(swept, "all of the account that answers")
    assert "no sweep: the last one has not ended" in caplog.messages, "the other one is left alone meanwhile"
    await sweeping.sweep.stop()


async def test_a_class_that_may_have_waited_for_it_is_enqueued(cloud: SweptCloud) -> None:
    await cloud.make_all()
    sweeping = Sweeping(cloud)
    sweeping.uids = [CLASS_UID]
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert owner_hash(CLASS_UID) in sweeping.enqueued


async def test_a_deletion_whose_answer_was_lost_is_looked_at_in_the_next_round(cloud: SweptCloud) -> None:
    await cloud.make(cloud.resources[ALARM])
    sweeping = Sweeping(cloud)
    await sweeping.until_old()
    cloud.aws.control.add_faults(Fault(service="cloudwatch", operation="DeleteAlarms", times=1, answer_lost=True))
    await sweeping.sweep.run()
    await sweeping.sweep.run()
    assert cloud.key(ALARM) not in (await sweeping.account()).inventory.all


async def retain(cloud: SweptCloud, *kinds: ResourceKind) -> None:
    """Put the tag that keeps them on things of the object."""
    for kind in kinds:
        await cloud.components[kind].add_tags(cloud.calls, cloud.observed(kind), RETAINED_TAGS)


OWN_TAGGABLE = [kind for kind in KINDS if kind.taggable and kind not in OF_CLASSES]


async def test_what_was_retained_stays_with_all_that_cannot_say_so_and_is_no_orphan(cloud: SweptCloud) -> None:
    await cloud.make_all()
    await retain(cloud, *OWN_TAGGABLE)
    cloud.clients.logs.create_log_group(logGroupName=endpoint_logs(cloud.names.base))
    sweeping = Sweeping(cloud, EEP_SWEEP_MOST_OWNERS="1")
    sweeping.uids = [CLASS_UID]
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert sweeping.changes() == []
    assert sum(sweeping.metric("eep_orphans", kind=kind.name) for kind in KINDS) == 0
    assert sweeping.metric("eep_orphan_sweep_blocked") == 0


async def test_what_was_retained_is_asked_about_again_after_an_hour_only(cloud: SweptCloud) -> None:
    await cloud.make_all()
    await retain(cloud, *OWN_TAGGABLE)
    sweeping = Sweeping(cloud)
    sweeping.uids = [CLASS_UID]
    await sweeping.until_old()
    await sweeping.round(1)
    cloud.aws.control.reset_meter()
    await sweeping.sweep.run()
    assert cloud.aws.control.calls() == {}
    model = cloud.observed(MODEL)
    cloud.clients.sagemaker.delete_tags(ResourceArn=model.arn, TagKeys=[RETAIN])
    cloud.aws.control.reset_meter()
    await sweeping.round(RETAINED_SECONDS - 10)
    assert sweeping.changes() == []
    await sweeping.round(20)
    assert sweeping.metric("eep_orphans", kind=MODEL.name) == 1, "whoever takes the tag off gives it to the sweep"


async def test_of_what_was_retained_the_rest_goes_when_all_that_says_so_is_gone(cloud: SweptCloud) -> None:
    for kind in (HTTP_API, FUNCTION, INTEGRATION, ROUTE):
        await cloud.make(cloud.resources[kind])
    await retain(cloud, FUNCTION)
    sweeping = Sweeping(cloud)
    sweeping.uids = [CLASS_UID]
    await sweeping.until_old()
    await sweeping.sweep.run()
    assert sweeping.changes() == []
    cloud.clients.lambda_.delete_function(FunctionName=cloud.key(FUNCTION).name)
    await sweeping.snapshot(RETAINED_SECONDS)
    await sweeping.sweep.run()
    assert await cloud.all_observed() == {cloud.key(HTTP_API)}


async def test_two_roles_that_lead_to_one_account_do_not_make_two_orphans_of_one(cloud: SweptCloud) -> None:
    await cloud.make(cloud.resources[ALARM])
    sweeping = Sweeping(cloud, EEP_SWEEP_MOST_OWNERS="1")
    role = Role(f"arn:aws:iam::{HOME.account}:role/one")
    other = await sweeping.accounts.by(replace(HOME, role=role))
    await sweeping.until_old()
    await other.refresh(other.kinds, since=sweeping.clock.now)
    await sweeping.sweep.run()
    assert sweeping.metric("eep_orphan_sweep_blocked") == 0
    assert sweeping.changes() == ["DeleteAlarms"]
    assert sweeping.metric("eep_orphan_deletions_total", kind=ALARM.name, outcome="deleted") == 1


async def test_of_two_roles_that_lead_to_one_account_the_one_that_sees_it_serves_the_sweep(cloud: SweptCloud) -> None:
    await cloud.make(cloud.resources[ALARM])
    sweeping = Sweeping(cloud)
    blind = await sweeping.accounts.by(replace(HOME, role=Role(f"arn:aws:iam::{HOME.account}:role/one")))
    await sweeping.until_old()
    blind.inventory.replace(ALARM, [], began=sweeping.clock.now - MIN_AGE)
    await sweeping.sweep.run()
    assert sweeping.changes() == ["DeleteAlarms"]
