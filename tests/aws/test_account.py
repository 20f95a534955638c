import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from tests.aws.world import OF_CLASSES, World, eventually

from ephemeral_endpoints.aws.account import Account, Identity
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.names import owner_of
from ephemeral_endpoints.core.plan import Create, Delete, Desired, Update, plan
from ephemeral_endpoints.core.resources import Have, IntegrationSpec, Key, Kind, LogGroupSpec, Phase, RouteSpec, Want
from ephemeral_endpoints.local.aws.faults import Fault, FaultError

CREATIONS = {
    Kind.LOG_GROUP: ("logs", "CreateLogGroup"),
    Kind.MODEL: ("sagemaker", "CreateModel"),
    Kind.ENDPOINT_CONFIG: ("sagemaker", "CreateEndpointConfig"),
    Kind.ENDPOINT: ("sagemaker", "CreateEndpoint"),
    Kind.FUNCTION: ("lambda", "CreateFunction"),
    Kind.HTTP_API: ("apigatewayv2", "CreateApi"),
    Kind.INTEGRATION: ("apigatewayv2", "CreateIntegration"),
    Kind.ROUTE: ("apigatewayv2", "CreateRoute"),
    Kind.ALARM: ("cloudwatch", "PutMetricAlarm"),
    Kind.SCALABLE_TARGET: ("application-autoscaling", "RegisterScalableTarget"),
    Kind.REPOSITORY: ("ecr", "CreateRepository"),
}
DELETIONS = {
    Kind.LOG_GROUP: ("logs", "DeleteLogGroup"),
    Kind.MODEL: ("sagemaker", "DeleteModel"),
    Kind.FUNCTION: ("lambda", "DeleteFunction"),
    Kind.ROUTE: ("apigatewayv2", "DeleteRoute"),
    Kind.INTEGRATION: ("apigatewayv2", "DeleteIntegration"),
    Kind.HTTP_API: ("apigatewayv2", "DeleteApi"),
    Kind.ALARM: ("cloudwatch", "DeleteAlarms"),
    Kind.SCALABLE_TARGET: ("application-autoscaling", "DeregisterScalableTarget"),
    Kind.REPOSITORY: ("ecr", "DeleteRepository"),
}


class Subject:
    """An account as the operator knows it, and the object on whose behalf steps are taken."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.woken: list[str] = []
        self.account = Account(
            world.clients, world.scope, world.calls, clock=time.monotonic, on_change=self.woken.append
        )

    @property
    def inventory(self) -> dict[Key, Have]:
        return dict(self.account.inventory.all)

    def identity(self, key: Key) -> Identity:
        """The object, or for what is shared the class, that the key belongs to."""
        owner = owner_of(self.world.scope.cluster_id, key.name) if key.kind in OF_CLASSES else None
        return Identity(owner or self.world.names.owner, self.world.uid)

    async def create(self, kind: Kind) -> None:
        want = self.world.wants[kind]
        await self.account.take(Create(want), self.identity(want.key))

    async def prepare(self, kind: Kind) -> Want:
        """Have everything that the kind's resource refers to, and let the account list it."""
        want = await self.world.prepare(kind)
        await self.refresh()
        return want

    async def refresh(self) -> None:
        await self.account.refresh(self.account.kinds, since=time.monotonic())

    async def settle(self, key: Key) -> None:
        await self.account.settle(self.identity(key).owner)

    def counted(self) -> dict[str, int]:
        """Calls since the last reset by operation."""
        return {name: count for each in self.world.aws.control.calls().values() for name, count in each.items()}

    def reset_meter(self) -> None:
        self.world.aws.control.reset_meter()

    def lose_answer(self, service: str, operation: str) -> None:
        self.world.aws.control.add_faults(Fault(service=service, operation=operation, times=1, answer_lost=True))


@pytest.fixture
def subject(world: World) -> Subject:
    return Subject(world)


@pytest.mark.parametrize("kind", list(Kind))
async def test_what_was_made_although_the_answer_was_lost_is_found_and_not_made_twice(
    subject: Subject, kind: Kind
) -> None:
    want = await subject.prepare(kind)
    subject.lose_answer(*CREATIONS[kind])
    with pytest.raises(errors.Transient):
        await subject.create(kind)
    assert want.key not in subject.inventory, "nobody knows whether it is there"
    await subject.settle(want.key)
    assert subject.inventory[want.key].owner == subject.identity(want.key).owner
    again = Desired((replace(want, needs=frozenset()),))
    assert not [step for step in plan(again, subject.inventory) if isinstance(step, Create)]
    assert list(await subject.world.observed(kind)) == [want.key]


@pytest.mark.parametrize("kind", list(DELETIONS))
async def test_what_was_deleted_although_the_answer_was_lost_is_found_to_be_gone(subject: Subject, kind: Kind) -> None:
    want = await subject.world.prepare(kind)
    await subject.world.make(want)
    await subject.refresh()
    subject.lose_answer(*DELETIONS[kind])
    with pytest.raises(errors.Transient):
        await subject.account.take(Delete(subject.inventory[want.key]), subject.identity(want.key))
    await subject.settle(want.key)
    assert want.key not in subject.inventory


async def test_what_could_not_be_looked_at_stays_suspect(subject: Subject) -> None:
    key = subject.world.key(Kind.MODEL)
    subject.lose_answer("sagemaker", "CreateModel")
    subject.lose_answer("sagemaker", "DescribeModel")
    with pytest.raises(errors.Transient):
        await subject.create(Kind.MODEL)
    with pytest.raises(errors.Transient):
        await subject.settle(key)
    await subject.settle(key)
    assert key in subject.inventory
    subject.reset_meter()
    await subject.settle(key)
    assert subject.counted() == {}, "what is certain is not looked at again"


async def test_only_the_owners_own_suspects_are_looked_at(subject: Subject) -> None:
    subject.lose_answer("sagemaker", "CreateModel")
    with pytest.raises(errors.Transient):
        await subject.create(Kind.MODEL)
    subject.reset_meter()
    await subject.account.settle("another")
    assert subject.counted() == {}


async def test_a_refused_creation_makes_suspects_of_what_it_needs(subject: Subject) -> None:
    want = await subject.prepare(Kind.ENDPOINT_CONFIG)
    model = subject.world.wants[Kind.MODEL]
    subject.world.clients.sagemaker.delete_model(ModelName=model.key.name)  # by hand, after the list
    with pytest.raises(errors.NotFound):
        await subject.account.take(Create(replace(want, needs=frozenset({model.key}))), subject.identity(want.key))
    await subject.settle(want.key)
    assert model.key not in subject.inventory


TAKEN = [Kind.LOG_GROUP, Kind.MODEL, Kind.ENDPOINT_CONFIG, Kind.ENDPOINT, Kind.FUNCTION]
MUTATIONS = ("Create", "Delete", "Put", "Update", "Tag", "Untag")


async def foreign(subject: Subject, kind: Kind) -> Want:
    """The name is taken by something with the tags of somebody else."""
    want = await subject.prepare(kind)
    stranger = World(subject.world.aws, subject.world.clients, subject.world.calls, subject.world.scope)
    stranger.known = subject.world.known
    assert not isinstance(want.spec, IntegrationSpec | RouteSpec), "these have no tags"
    await stranger.make(replace(want, spec=replace(want.spec, tags=(("Owner", "somebody else"),))))
    return want


@pytest.mark.parametrize("kind", TAKEN)
async def test_a_name_that_somebody_else_took_is_a_conflict_and_is_not_touched(subject: Subject, kind: Kind) -> None:
    want = await foreign(subject, kind)
    subject.reset_meter()
    with pytest.raises(errors.NameConflict, match="does not belong to this object"):
        await subject.create(kind)
    creation = CREATIONS[kind][1]
    assert [name for name in subject.counted() if name.startswith(MUTATIONS)] == [creation]
    found = await subject.world.observed(kind)
    assert dict(await subject.world.components[kind].tags(subject.world.calls, found[want.key]) or {}) == {
        "Owner": "somebody else"
    }


@pytest.mark.parametrize("kind", [*TAKEN, Kind.ALARM, Kind.HTTP_API])
async def test_what_carries_our_name_and_not_our_tags_is_neither_changed_nor_deleted(
    subject: Subject, kind: Kind
) -> None:
    want = await foreign(subject, kind)
    await subject.refresh()
    have = subject.inventory[want.key]
    assert have.owner == subject.identity(want.key).owner, "by its name it would be ours"
    subject.reset_meter()
    for step in (Update(want, have), Delete(have)):
        with pytest.raises(errors.NameConflict):
            await subject.account.take(step, subject.identity(want.key))
    assert not [name for name in subject.counted() if name.startswith(MUTATIONS)]


@pytest.mark.parametrize("kind", TAKEN)
async def test_what_an_earlier_attempt_of_ours_made_is_adopted(subject: Subject, kind: Kind) -> None:
    want = await subject.prepare(kind)
    await subject.world.make(want)
    await subject.create(kind)
    assert subject.inventory[want.key].matches(want)


async def test_a_log_group_that_a_service_made_again_is_the_objects_by_its_name(subject: Subject) -> None:
    logs, want = subject.world.clients.logs, subject.world.wants[Kind.LOG_GROUP]
    logs.create_log_group(logGroupName=want.key.name)
    await subject.create(Kind.LOG_GROUP)
    await subject.refresh()
    await subject.account.take(Delete(subject.inventory[want.key]), subject.identity(want.key))
    assert await subject.world.observed(Kind.LOG_GROUP) == {}

    logs.create_log_group(logGroupName=want.key.name, tags={"team": "somebody else's"})
    with pytest.raises(errors.NameConflict):
        await subject.create(Kind.LOG_GROUP)


async def test_a_path_that_leads_elsewhere_is_a_conflict(subject: Subject) -> None:
    await subject.prepare(Kind.ROUTE)
    gateway, api = subject.world.clients.apigateway, subject.world.have(Kind.HTTP_API)
    site: Any = {"IntegrationType": "HTTP_PROXY", "IntegrationUri": "https://example.com/", "IntegrationMethod": "GET"}
    made = gateway.create_integration(ApiId=api.id, PayloadFormatVersion="1.0", **site)
    gateway.create_route(ApiId=api.id, RouteKey="ANY /pr-42", Target=f"integrations/{made['IntegrationId']}")
    subject.world.known |= await subject.world.observed(Kind.INTEGRATION)
    refuse_twins(subject)
    with pytest.raises(errors.NameConflict):
        await subject.create(Kind.ROUTE)
    [route] = (await subject.world.observed(Kind.ROUTE)).values()
    assert isinstance(route.spec, RouteSpec)
    assert "example.com" in str(route.spec.integration)


async def test_a_path_that_leads_to_nothing_is_nobodys_and_taken_over(subject: Subject) -> None:
    await subject.prepare(Kind.ROUTE)
    gateway, api = subject.world.clients.apigateway, subject.world.have(Kind.HTTP_API)
    gateway.create_route(ApiId=api.id, RouteKey="ANY /pr-42", Target="integrations/gone")
    refuse_twins(subject)
    await subject.create(Kind.ROUTE)
    want = subject.world.wants[Kind.ROUTE]
    await subject.account.take(Update(want, subject.inventory[want.key]), subject.identity(want.key))
    [route] = (await subject.world.observed(Kind.ROUTE)).values()
    assert route.spec == want.spec


def refuse_twins(subject: Subject) -> None:
    """The emulator would make a twin of the route; AWS refuses so."""
    taken = FaultError(code="ConflictException", message="Route with key ANY /pr-42 already exists", status=409)
    subject.world.aws.control.add_faults(Fault(service="apigatewayv2", operation="CreateRoute", error=taken))


async def test_a_path_that_another_object_still_has_is_waited_for_without_a_call(subject: Subject) -> None:
    want = await subject.world.prepare(Kind.ROUTE)
    await subject.world.make(want)
    await subject.refresh()
    assert isinstance(want.spec, RouteSpec)
    subject.reset_meter()
    with pytest.raises(errors.InProgress, match="still another object's"):
        await subject.account.take(Create(want), Identity("another", "uid-2"))
    assert subject.counted() == {}


async def test_whose_a_thing_is_is_asked_once_and_never_of_what_we_made(subject: Subject) -> None:
    want = await subject.prepare(Kind.LOG_GROUP)
    await subject.create(Kind.LOG_GROUP)
    longer = replace(want, spec=LogGroupSpec(30, subject.world.tags))
    subject.reset_meter()
    for wanted in (want, longer):
        await subject.account.take(Update(wanted, subject.inventory[want.key]), subject.identity(want.key))
    assert subject.counted() == {"PutRetentionPolicy": 2}

    other = Subject(subject.world)  # after a restart
    await other.refresh()
    other.reset_meter()
    for wanted in (want, longer):
        await other.account.take(Update(wanted, other.inventory[want.key]), other.identity(want.key))
    assert other.counted() == {"ListTagsForResource": 1, "PutRetentionPolicy": 2}


async def test_what_was_deleted_and_made_anew_by_somebody_else_is_asked_about_again(subject: Subject) -> None:
    want = await subject.prepare(Kind.LOG_GROUP)
    await subject.create(Kind.LOG_GROUP)
    await subject.account.take(Delete(subject.inventory[want.key]), subject.identity(want.key))
    assert want.key not in subject.inventory
    subject.world.clients.logs.create_log_group(logGroupName=want.key.name, tags={"team": "other"})
    await subject.refresh()
    with pytest.raises(errors.NameConflict):
        await subject.account.take(Delete(subject.inventory[want.key]), subject.identity(want.key))


async def test_all_of_an_object_is_made_and_taken_away_by_plans_alone(subject: Subject) -> None:
    wants = tuple(subject.world.wants.values())
    needs = {want.key: frozenset(before.key for before in wants[:number]) for number, want in enumerate(wants)}
    everything = Desired(tuple(replace(want, needs=needs[want.key]) for want in wants))
    await subject.refresh()

    async def converged(desired: Desired) -> bool:
        await subject.account.refresh((Kind.ENDPOINT,), since=time.monotonic())
        steps = plan(desired, subject.inventory)
        await asyncio.gather(*(subject.account.take(step, subject.identity(step.key)) for step in steps))
        return not steps and not subject.account.is_in_flight()

    async def is_made() -> bool:
        return await converged(everything) and len(subject.inventory) == len(wants)

    async def is_gone() -> bool:
        return await converged(Desired()) and not subject.inventory

    await eventually(is_made, "everything is there")
    assert all(
        want.spec == subject.inventory[want.key].spec or want.key.kind in {Kind.MODEL, Kind.ENDPOINT_CONFIG}
        for want in wants
    )
    await eventually(is_gone, "everything is gone")
    for kind in Kind:
        assert await subject.world.observed(kind) == {}, kind


async def test_an_account_is_in_flight_while_an_endpoint_changes(subject: Subject) -> None:
    await subject.prepare(Kind.ENDPOINT)
    assert not subject.account.is_in_flight()
    await subject.create(Kind.ENDPOINT)
    assert subject.account.is_in_flight()

    async def rests() -> bool:
        await subject.account.refresh((Kind.ENDPOINT,), since=time.monotonic())
        return not subject.account.is_in_flight()

    await eventually(rests, "the endpoint rests")
    assert subject.woken.count(subject.world.names.owner) >= 1
    assert subject.inventory[subject.world.key(Kind.ENDPOINT)].phase is Phase.READY


async def test_callers_share_one_list_of_each_kind(subject: Subject) -> None:
    await subject.prepare(Kind.ROUTE)
    subject.reset_meter()
    now = time.monotonic()
    await asyncio.gather(*(subject.account.refresh(subject.account.kinds, since=now) for _ in range(20)))
    assert subject.counted() == {
        "DescribeAlarms": 1,
        "DescribeRepositories": 1,
        "DescribeScalableTargets": 1,
        "DescribeLogGroups": 2,  # one prefix for Lambda's, one for SageMaker's
        "GetApis": 1,
        "GetIntegrations": 1,
        "GetRoutes": 1,
        "GetStages": 1,
        "ListEndpointConfigs": 1,
        "ListEndpoints": 1,
        "ListFunctions": 1,
        "ListModels": 1,
    }
    subject.reset_meter()
    await subject.account.refresh(subject.account.kinds, since=now)
    assert subject.counted() == {}, "the lists are new enough"


async def test_a_list_that_began_too_early_is_waited_out_and_followed_by_one_more_for_all(subject: Subject) -> None:
    subject.world.aws.control.add_faults(Fault(service="sagemaker", operation="ListModels", delay_seconds=0.2, times=1))
    early = asyncio.create_task(subject.account.refresh((Kind.MODEL,), since=time.monotonic()))
    await subject.world.fault_has_struck()
    later = time.monotonic()
    await asyncio.gather(early, *(subject.account.refresh((Kind.MODEL,), since=later) for _ in range(10)))
    assert subject.counted() == {"ListModels": 2}
    listed = subject.account.inventory.listed_at(Kind.MODEL)
    assert listed is not None
    assert listed >= later


async def test_a_list_that_fails_fails_for_all_and_leaves_what_is_known(subject: Subject) -> None:
    await subject.prepare(Kind.ENDPOINT_CONFIG)
    before = subject.inventory
    assert before
    failing = Fault(service="sagemaker", operation="ListModels", error=FaultError(code="InternalFailure", status=500))
    subject.world.aws.control.add_faults(failing)
    now = time.monotonic()
    results = await asyncio.gather(
        *(subject.account.refresh((Kind.MODEL,), since=now) for _ in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [errors.Transient] * 3
    assert subject.counted()["ListModels"] >= 1
    assert subject.inventory == before
    subject.world.aws.control.clear_faults()
    await subject.refresh()
    assert subject.inventory == before
