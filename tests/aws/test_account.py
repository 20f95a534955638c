import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from tests.aws.cloud import OF_CLASSES, Cloud, eventually, with_spec

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.engine.names import owner_of
from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Update, plan
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, Phase, ResourceKind
from ephemeral_endpoints.features.images.specs import REPOSITORY
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP, LogGroupSpec
from ephemeral_endpoints.features.reaping.specs import EVENT_RULE
from ephemeral_endpoints.features.registry import KINDS
from ephemeral_endpoints.features.routing.capture.specs import DELIVERY_STREAM
from ephemeral_endpoints.features.routing.feedback.specs import FEEDBACK_TABLE
from ephemeral_endpoints.features.routing.parameters.specs import PARAMETER
from ephemeral_endpoints.features.routing.specs import (
    API_MAPPING,
    AUTHORIZER,
    FUNCTION,
    FUNCTION_CONCURRENCY,
    HTTP_API,
    INTEGRATION,
    ROUTE,
    ROUTE_THROTTLE,
    IntegrationSpec,
    RouteSpec,
)
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG, MODEL, SCALABLE_TARGET

CREATIONS = {
    LOG_GROUP: ("logs", "CreateLogGroup"),
    MODEL: ("sagemaker", "CreateModel"),
    ENDPOINT_CONFIG: ("sagemaker", "CreateEndpointConfig"),
    ENDPOINT: ("sagemaker", "CreateEndpoint"),
    FUNCTION: ("lambda", "CreateFunction"),
    FUNCTION_CONCURRENCY: ("lambda", "PutFunctionConcurrency"),
    HTTP_API: ("apigatewayv2", "CreateApi"),
    API_MAPPING: ("apigatewayv2", "CreateApiMapping"),
    INTEGRATION: ("apigatewayv2", "CreateIntegration"),
    AUTHORIZER: ("apigatewayv2", "CreateAuthorizer"),
    ROUTE: ("apigatewayv2", "CreateRoute"),
    ROUTE_THROTTLE: ("apigatewayv2", "UpdateStage"),
    ALARM: ("cloudwatch", "PutMetricAlarm"),
    SCALABLE_TARGET: ("application-autoscaling", "RegisterScalableTarget"),
    REPOSITORY: ("ecr", "CreateRepository"),
    FEEDBACK_TABLE: ("dynamodb", "CreateTable"),
    DELIVERY_STREAM: ("firehose", "CreateDeliveryStream"),
    EVENT_RULE: ("events", "PutRule"),
    PARAMETER: ("ssm", "PutParameter"),
}
DELETIONS = {
    LOG_GROUP: ("logs", "DeleteLogGroup"),
    MODEL: ("sagemaker", "DeleteModel"),
    FUNCTION: ("lambda", "DeleteFunction"),
    FUNCTION_CONCURRENCY: ("lambda", "DeleteFunctionConcurrency"),
    ROUTE: ("apigatewayv2", "DeleteRoute"),
    AUTHORIZER: ("apigatewayv2", "DeleteAuthorizer"),
    ROUTE_THROTTLE: ("apigatewayv2", "DeleteRouteSettings"),
    INTEGRATION: ("apigatewayv2", "DeleteIntegration"),
    API_MAPPING: ("apigatewayv2", "DeleteApiMapping"),
    HTTP_API: ("apigatewayv2", "DeleteApi"),
    ALARM: ("cloudwatch", "DeleteAlarms"),
    SCALABLE_TARGET: ("application-autoscaling", "DeregisterScalableTarget"),
    REPOSITORY: ("ecr", "DeleteRepository"),
    PARAMETER: ("ssm", "DeleteParameter"),
}


class Subject:
    """An account as the operator knows it, and the object on whose behalf steps are taken."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.enqueued: list[str] = []
        self.account = Account(
            cloud.clients,
            cloud.scope,
            cloud.calls,
            cloud.components.values(),
            clock=time.monotonic,
            on_change=self.enqueued.append,
        )

    @property
    def inventory(self) -> dict[Key, ObservedResource]:
        return dict(self.account.inventory.all)

    def owner(self, key: Key) -> Owner:
        """The object, or for what is shared the class, that the key belongs to."""
        name = self.cloud.key(HTTP_API).name if key.kind is API_MAPPING else key.name.partition(" ")[0]
        owner = owner_of(self.cloud.scope.cluster_id, name) if key.kind in OF_CLASSES else None
        return Owner(owner or self.cloud.names.owner, self.cloud.uid)

    async def create(self, kind: ResourceKind) -> None:
        resource = self.cloud.resources[kind]
        await self.account.execute(Create(resource), self.owner(resource.key))

    async def prepare(self, kind: ResourceKind) -> DesiredResource:
        """Have everything that the kind's resource refers to, and let the account list it."""
        resource = await self.cloud.prepare(kind)
        await self.refresh()
        return resource

    async def refresh(self) -> None:
        await self.account.refresh(self.account.kinds, since=time.monotonic())

    async def resolve_unknown(self, key: Key) -> None:
        await self.account.resolve_unknown(self.owner(key).owner)

    def counted(self) -> dict[str, int]:
        """Calls since the last reset by operation."""
        return {name: count for each in self.cloud.aws.control.calls().values() for name, count in each.items()}

    def reset_meter(self) -> None:
        self.cloud.aws.control.reset_meter()

    def lose_answer(self, service: str, operation: str) -> None:
        self.cloud.aws.control.add_faults(Fault(service=service, operation=operation, times=1, answer_lost=True))


@pytest.fixture
def subject(cloud: Cloud) -> Subject:
    return Subject(cloud)


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_what_was_made_although_the_answer_was_lost_is_found_and_not_made_twice(
    subject: Subject, kind: ResourceKind
) -> None:
    resource = await subject.prepare(kind)
    subject.lose_answer(*CREATIONS[kind])
    with pytest.raises(errors.Transient):
        await subject.create(kind)
    assert resource.key not in subject.inventory, "nobody knows whether it is there"
    await subject.resolve_unknown(resource.key)
    assert subject.inventory[resource.key].owner == subject.owner(resource.key).owner
    again = DesiredState((replace(resource, needs=frozenset()),))
    assert not [step for step in plan(again, subject.inventory) if isinstance(step, Create)]
    assert list(await subject.cloud.listed(kind)) == [resource.key]


@pytest.mark.parametrize("kind", DELETIONS, ids=str)
async def test_what_was_deleted_although_the_answer_was_lost_is_found_to_be_gone(
    subject: Subject, kind: ResourceKind
) -> None:
    resource = await subject.cloud.prepare(kind)
    await subject.cloud.make(resource)
    await subject.refresh()
    subject.lose_answer(*DELETIONS[kind])
    with pytest.raises(errors.Transient):
        await subject.account.execute(Delete(subject.inventory[resource.key]), subject.owner(resource.key))
    await subject.resolve_unknown(resource.key)
    assert resource.key not in subject.inventory


async def test_an_outcome_that_could_not_be_resolved_stays_unknown(subject: Subject) -> None:
    key = subject.cloud.key(MODEL)
    subject.lose_answer("sagemaker", "CreateModel")
    subject.lose_answer("sagemaker", "DescribeModel")
    with pytest.raises(errors.Transient):
        await subject.create(MODEL)
    with pytest.raises(errors.Transient):
        await subject.resolve_unknown(key)
    await subject.resolve_unknown(key)
    assert key in subject.inventory
    subject.reset_meter()
    await subject.resolve_unknown(key)
    assert subject.counted() == {}, "what is certain is not looked at again"


async def test_only_the_owners_own_unknown_outcomes_are_resolved(subject: Subject) -> None:
    subject.lose_answer("sagemaker", "CreateModel")
    with pytest.raises(errors.Transient):
        await subject.create(MODEL)
    subject.reset_meter()
    await subject.account.resolve_unknown("another")
    assert subject.counted() == {}


async def test_a_refused_creation_makes_its_dependencies_unknown(subject: Subject) -> None:
    resource = await subject.prepare(ENDPOINT_CONFIG)
    model = subject.cloud.resources[MODEL]
    subject.cloud.clients.sagemaker.delete_model(ModelName=model.key.name)  # by hand, after the list
    with pytest.raises(errors.NotFound):
        await subject.account.execute(
            Create(replace(resource, needs=frozenset({model.key}))), subject.owner(resource.key)
        )
    await subject.resolve_unknown(resource.key)
    assert model.key not in subject.inventory


TAKEN = [LOG_GROUP, MODEL, ENDPOINT_CONFIG, ENDPOINT, FUNCTION]
MUTATIONS = ("Create", "Delete", "Put", "Update", "Tag", "Untag")


async def foreign(subject: Subject, kind: ResourceKind) -> DesiredResource:
    """The name is taken by something with the tags of somebody else."""
    resource = await subject.prepare(kind)
    stranger = Cloud(subject.cloud.aws, subject.cloud.clients, subject.cloud.calls, subject.cloud.scope)
    stranger.known = subject.cloud.known
    assert not isinstance(resource.spec, IntegrationSpec | RouteSpec), "these have no tags"
    await stranger.make(with_spec(resource, tags=(("Owner", "somebody else"),)))
    return resource


@pytest.mark.parametrize("kind", TAKEN, ids=str)
async def test_a_name_that_somebody_else_took_is_a_conflict_and_is_not_touched(
    subject: Subject, kind: ResourceKind
) -> None:
    resource = await foreign(subject, kind)
    subject.reset_meter()
    with pytest.raises(errors.NameConflict, match="exists without the tags of this object"):
        await subject.create(kind)
    creation = CREATIONS[kind][1]
    assert [name for name in subject.counted() if name.startswith(MUTATIONS)] == [creation]
    found = await subject.cloud.listed(kind)
    assert dict(await subject.cloud.components[kind].tags(subject.cloud.calls, found[resource.key]) or {}) == {
        "Owner": "somebody else"
    }


@pytest.mark.parametrize("kind", [*TAKEN, ALARM, HTTP_API], ids=str)
async def test_what_carries_our_name_and_not_our_tags_is_neither_changed_nor_deleted(
    subject: Subject, kind: ResourceKind
) -> None:
    resource = await foreign(subject, kind)
    await subject.refresh()
    observed = subject.inventory[resource.key]
    assert observed.owner == subject.owner(resource.key).owner, "by its name it would be ours"
    subject.reset_meter()
    for step in (Update(resource, observed), Delete(observed)):
        with pytest.raises(errors.NameConflict):
            await subject.account.execute(step, subject.owner(resource.key))
    assert not [name for name in subject.counted() if name.startswith(MUTATIONS)]


@pytest.mark.parametrize("kind", TAKEN, ids=str)
async def test_what_an_earlier_attempt_of_ours_made_is_adopted(subject: Subject, kind: ResourceKind) -> None:
    resource = await subject.prepare(kind)
    await subject.cloud.make(resource)
    await subject.create(kind)
    assert subject.inventory[resource.key].matches(resource)


async def test_a_log_group_that_a_service_made_again_is_the_objects_by_its_name(subject: Subject) -> None:
    logs, resource = subject.cloud.clients.logs, subject.cloud.resources[LOG_GROUP]
    logs.create_log_group(logGroupName=resource.key.name)
    await subject.create(LOG_GROUP)
    await subject.refresh()
    await subject.account.execute(Delete(subject.inventory[resource.key]), subject.owner(resource.key))
    assert await subject.cloud.listed(LOG_GROUP) == {}

    logs.create_log_group(logGroupName=resource.key.name, tags={"team": "another"})
    with pytest.raises(errors.NameConflict):
        await subject.create(LOG_GROUP)


async def test_a_path_that_leads_elsewhere_is_a_conflict(subject: Subject) -> None:
    await subject.prepare(ROUTE)
    gateway, api = subject.cloud.clients.apigateway, subject.cloud.observed(HTTP_API)
    site: Any = {"IntegrationType": "HTTP_PROXY", "IntegrationUri": "https://example.com/", "IntegrationMethod": "GET"}
    made = gateway.create_integration(ApiId=api.id, PayloadFormatVersion="1.0", **site)
    gateway.create_route(ApiId=api.id, RouteKey="ANY /pr-42", Target=f"integrations/{made['IntegrationId']}")
    subject.cloud.known |= await subject.cloud.listed(INTEGRATION)
    with pytest.raises(errors.NameConflict):
        await subject.create(ROUTE)
    [route] = (await subject.cloud.listed(ROUTE)).values()
    assert isinstance(route.spec, RouteSpec)
    assert "example.com" in str(route.spec.integration)


async def test_what_something_still_refers_to_is_busy_with_the_words_of_aws(subject: Subject) -> None:
    """And so is tried again at growing intervals, not as a name that is taken."""
    await subject.prepare(ROUTE)
    await subject.create(ROUTE)
    integration = subject.inventory[subject.cloud.resources[INTEGRATION].key]
    with pytest.raises(errors.InProgress, match="referenced by the following Routes") as caught:
        await subject.account.execute(Delete(integration), subject.owner(integration.key))
    assert caught.value.described.endswith("(ConflictException): the operator tries again")


async def test_a_path_that_leads_to_nothing_is_nobodys_and_taken_over(subject: Subject) -> None:
    await subject.prepare(ROUTE)
    gateway, api = subject.cloud.clients.apigateway, subject.cloud.observed(HTTP_API)
    gateway.create_route(ApiId=api.id, RouteKey="ANY /pr-42", Target="integrations/gone")
    await subject.create(ROUTE)
    resource = subject.cloud.resources[ROUTE]
    await subject.account.execute(Update(resource, subject.inventory[resource.key]), subject.owner(resource.key))
    [route] = (await subject.cloud.listed(ROUTE)).values()
    assert route.spec == resource.spec


async def test_a_path_that_seemed_to_lead_to_nothing_is_looked_at_again_before_it_is_taken_over(
    subject: Subject,
) -> None:
    """Another operator made integration and route between our lists of integrations and of routes."""
    resource = await subject.cloud.prepare(ROUTE)
    await subject.cloud.make(resource)
    await subject.refresh()
    made = subject.inventory[resource.key]
    assert isinstance(resource.spec, RouteSpec)
    subject.account.inventory.put(replace(made, spec=replace(resource.spec, integration=None), owner=None))
    dangling = subject.inventory[resource.key]
    mine = replace(resource, spec=replace(resource.spec, integration=Key(INTEGRATION, "eep-c1-another-aaaaaaaaaa")))
    for step in (Update(mine, dangling), Delete(dangling)):
        with pytest.raises(errors.InProgress, match="still belongs to another object"):
            await subject.account.execute(step, Owner("another", "uid-2"))
    assert subject.inventory[resource.key] == made
    [route] = (await subject.cloud.listed(ROUTE)).values()
    assert route == made


async def test_a_path_that_another_object_still_has_is_waited_for_without_a_call(subject: Subject) -> None:
    resource = await subject.cloud.prepare(ROUTE)
    await subject.cloud.make(resource)
    await subject.refresh()
    assert isinstance(resource.spec, RouteSpec)
    subject.reset_meter()
    with pytest.raises(errors.InProgress, match="still belongs to another object"):
        await subject.account.execute(Create(resource), Owner("another", "uid-2"))
    assert subject.counted() == {}


async def test_ownership_is_verified_once_and_never_for_own_creations(subject: Subject) -> None:
    resource = await subject.prepare(LOG_GROUP)
    await subject.create(LOG_GROUP)
    longer = replace(resource, spec=LogGroupSpec(30, subject.cloud.tags))
    subject.reset_meter()
    for wanted in (resource, longer):
        await subject.account.execute(Update(wanted, subject.inventory[resource.key]), subject.owner(resource.key))
    assert subject.counted() == {"PutRetentionPolicy": 2}

    other = Subject(subject.cloud)  # after a restart
    await other.refresh()
    other.reset_meter()
    for wanted in (resource, longer):
        await other.account.execute(Update(wanted, other.inventory[resource.key]), other.owner(resource.key))
    assert other.counted() == {"GetResources": 1, "PutRetentionPolicy": 2}


async def test_what_was_deleted_and_made_anew_by_somebody_else_is_asked_about_again(subject: Subject) -> None:
    resource = await subject.prepare(LOG_GROUP)
    await subject.create(LOG_GROUP)
    await subject.account.execute(Delete(subject.inventory[resource.key]), subject.owner(resource.key))
    assert resource.key not in subject.inventory
    subject.cloud.clients.logs.create_log_group(logGroupName=resource.key.name, tags={"team": "other"})
    await subject.refresh()
    with pytest.raises(errors.NameConflict):
        await subject.account.execute(Delete(subject.inventory[resource.key]), subject.owner(resource.key))


async def test_all_of_an_object_is_made_and_taken_away_by_plans_alone(subject: Subject) -> None:
    subject.cloud.make_domain()
    resources = tuple(subject.cloud.resources.values())
    needs = {
        resource.key: frozenset(before.key for before in resources[:number])
        for number, resource in enumerate(resources)
    }
    # A path of a domain leads to a stage, which an API has by a second step.
    after = {API_MAPPING: frozenset({subject.cloud.key(HTTP_API)})}
    everything = DesiredState(
        tuple(replace(each, needs=needs[each.key], after=after.get(each.key.kind, frozenset())) for each in resources)
    )
    await subject.refresh()

    async def converged(desired: DesiredState) -> bool:
        await subject.account.refresh((DELIVERY_STREAM, ENDPOINT, FEEDBACK_TABLE), since=time.monotonic())
        steps = plan(desired, subject.inventory)
        await asyncio.gather(*(subject.account.execute(step, subject.owner(step.key)) for step in steps))
        return not steps and not subject.account.is_in_flight()

    async def is_made() -> bool:
        return await converged(everything) and len(subject.inventory) == len(resources)

    async def is_gone() -> bool:
        return await converged(DesiredState()) and not subject.inventory

    await eventually(is_made, "everything is there")
    assert all(
        resource.spec == subject.inventory[resource.key].spec or resource.key.kind in {MODEL, ENDPOINT_CONFIG}
        for resource in resources
    )
    await eventually(is_gone, "everything is gone")
    for kind in KINDS:
        assert await subject.cloud.listed(kind) == {}, kind


async def test_an_account_is_in_flight_while_an_endpoint_changes(subject: Subject) -> None:
    await subject.prepare(ENDPOINT)
    assert not subject.account.is_in_flight()
    await subject.create(ENDPOINT)
    assert subject.account.is_in_flight()

    async def rests() -> bool:
        await subject.account.refresh((ENDPOINT,), since=time.monotonic())
        return not subject.account.is_in_flight()

    await eventually(rests, "the endpoint rests")
    assert subject.enqueued.count(subject.cloud.names.owner) >= 1
    assert subject.inventory[subject.cloud.key(ENDPOINT)].phase is Phase.READY


async def test_callers_share_one_list_of_each_kind(subject: Subject) -> None:
    await subject.prepare(ROUTE)
    subject.reset_meter()
    now = time.monotonic()
    await asyncio.gather(*(subject.account.refresh(subject.account.kinds, since=now) for _ in range(20)))
    assert subject.counted() == {
        "DescribeAlarms": 1,
        "DescribeParameters": 1,
        "DescribeRepositories": 1,
        "DescribeScalableTargets": 1,
        "DescribeLogGroups": 2,  # one prefix for Lambda's, one for SageMaker's
        "GetAccountSettings": 1,
        "GetApis": 1,
        "GetAuthorizers": 1,
        "GetDomainNames": 1,
        "GetIntegrations": 1,
        "GetRoutes": 1,
        "GetStages": 2,  # of the APIs themselves, and of the throttles of their routes
        "ListDeliveryStreams": 1,
        "ListEndpointConfigs": 1,
        "ListEndpoints": 1,
        "ListFunctions": 1,
        "ListModels": 1,
        "ListRules": 1,
        "ListTables": 1,
    }
    subject.reset_meter()
    await subject.account.refresh(subject.account.kinds, since=now)
    assert subject.counted() == {}, "the lists are new enough"


async def test_a_list_that_began_too_early_is_waited_out_and_followed_by_one_more_for_all(subject: Subject) -> None:
    subject.cloud.aws.control.add_faults(Fault(service="sagemaker", operation="ListModels", held=True, times=1))
    early = asyncio.create_task(subject.account.refresh((MODEL,), since=time.monotonic()))
    await subject.cloud.fault_has_struck()
    later = time.monotonic()
    others = [asyncio.create_task(subject.account.refresh((MODEL,), since=later)) for _ in range(10)]
    await asyncio.sleep(0)
    subject.cloud.aws.control.clear_faults()
    await asyncio.gather(early, *others)
    assert subject.counted() == {"ListModels": 2}
    listed = subject.account.inventory.listed_at(MODEL)
    assert listed is not None
    assert listed >= later


async def test_a_poll_that_began_too_early_is_followed_by_one_more_for_all_and_a_list_of_all_serves_polls_too(
    subject: Subject,
) -> None:
    subject.cloud.aws.control.add_faults(Fault(service="sagemaker", operation="ListEndpoints", held=True, times=1))
    early = asyncio.create_task(subject.account.poll(since=time.monotonic()))
    await subject.cloud.fault_has_struck()
    later = time.monotonic()
    others = [asyncio.create_task(subject.account.poll(since=later)) for _ in range(10)]
    others.append(asyncio.create_task(subject.account.refresh((ENDPOINT,), since=later)))
    await asyncio.sleep(0)
    subject.cloud.aws.control.clear_faults()
    await asyncio.gather(early, *others)
    assert subject.counted() == {"ListEndpoints": 2}


async def test_a_list_that_fails_fails_for_all_and_leaves_what_is_known(subject: Subject) -> None:
    await subject.prepare(ENDPOINT_CONFIG)
    before = subject.inventory
    assert before
    failing = Fault(service="sagemaker", operation="ListModels", error=FaultError(code="InternalFailure", status=500))
    subject.cloud.aws.control.add_faults(failing)
    now = time.monotonic()
    results = await asyncio.gather(
        *(subject.account.refresh((MODEL,), since=now) for _ in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [errors.Transient] * 3
    assert subject.counted()["ListModels"] >= 1
    assert subject.inventory == before
    subject.cloud.aws.control.clear_faults()
    await subject.refresh()
    assert subject.inventory == before
