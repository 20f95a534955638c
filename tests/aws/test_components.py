"""Every kind keeps the contract of ``Component``, and what is particular to some."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber
from tests.aws.world import IMAGE, INSTANCE_TYPE, ROLE, VARIANT, World, eventually

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.repositories import RepositoryComponent
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.repositories import lifecycle_policy
from ephemeral_endpoints.core.resources import (
    EndpointSpec,
    Have,
    HttpApiSpec,
    IntegrationSpec,
    Key,
    Kind,
    LogGroupSpec,
    Phase,
    RepositorySpec,
    RouteSpec,
    Want,
)
from ephemeral_endpoints.core.tags import RETAIN, UID
from ephemeral_endpoints.forwarder import bundle

REFUSES_A_NAME_TWICE = {
    *(Kind.LOG_GROUP, Kind.MODEL, Kind.ENDPOINT_CONFIG, Kind.ENDPOINT, Kind.FUNCTION, Kind.REPOSITORY)
}
PUT_ONLY = {Kind.ALARM, Kind.SCALABLE_TARGET}
UNTAGGED = {Kind.INTEGRATION, Kind.ROUTE}
IMMUTABLE = {Kind.MODEL, Kind.ENDPOINT_CONFIG}

kinds = pytest.mark.parametrize("kind", list(Kind))


async def endpoint_life(world: World, *, config: str, changing: Phase) -> list[Phase]:
    """The phases of the endpoint from list to list until it rests with that configuration."""
    phases: list[Phase] = []
    component, key = world.components[Kind.ENDPOINT], world.key(Kind.ENDPOINT)

    async def rests() -> bool:
        [found] = await component.observe(world.calls, world.known)
        world.known[key] = found
        phases.append(found.phase)
        return found.phase is not changing

    await eventually(rests, f"the endpoint leaves {changing}")
    assert world.known[key].spec == EndpointSpec(config)
    return phases


def other_config_name(name: str) -> str:
    """The name of another configuration of the same model."""
    return f"{name.rpartition('-')[0]}-{'2' * 8}"


def operations(world: World, service: str) -> dict[str, int]:
    return world.aws.control.calls().get(service, {})


@kinds
async def test_a_resource_is_made_seen_and_deleted(world: World, kind: Kind) -> None:
    want = await world.prepare(kind)
    component = world.components[kind]
    assert want.key not in await world.observed(kind)
    assert await component.look(world.calls, want.key, world.known) is None

    made = await world.make(want)
    assert made.matches(want)
    assert made.phase is Phase.READY
    assert made.owner is not None
    assert await world.observed(kind) == {want.key: made}
    assert await component.look(world.calls, want.key, world.known) == made
    tags = await component.tags(world.calls, made)
    assert tags == (None if kind in UNTAGGED else dict(world.tags))

    await world.remove(kind)
    assert await world.observed(kind) == {}
    assert await component.delete(world.calls, made, world.known) is None, "deleting what is not there succeeds"


@kinds
async def test_what_apply_returns_is_what_is_there(world: World, kind: Kind) -> None:
    want = await world.prepare(kind)
    returned = await world.components[kind].apply(world.calls, want, None, world.known)
    seen = (await world.observed(kind))[want.key]
    same: dict[str, Any] = {"phase": returned.phase, "version": "", "status": returned.status, "since": returned.since}
    assert replace(seen, **same) == returned


@kinds
async def test_making_it_again_is_refused_or_changes_nothing(world: World, kind: Kind) -> None:
    want = await world.prepare(kind)
    made = await world.make(want)
    component = world.components[kind]
    if kind in REFUSES_A_NAME_TWICE:
        with pytest.raises(errors.AlreadyExists):
            await component.apply(world.calls, want, None, world.known)
        assert await world.observed(kind) == {want.key: made}
        return
    again = await component.apply(world.calls, want, None, world.known)
    found = await world.observed(kind)
    assert {have.id for have in found.values()} == {made.id, again.id}
    # Of what AWS makes twice, one carries a key of its own, which nobody wants, and can be deleted by it.
    del found[want.key]
    assert [key.name for key in found] == ([] if kind in PUT_ONLY else [f"{want.key.name}#{twin_id(found)}"])
    for have in found.values():
        assert have.owner == made.owner
        await component.delete(world.calls, have, world.known)
    assert list(await world.observed(kind)) == [want.key]


@kinds
async def test_tags_are_added_and_changed_and_the_others_stay(world: World, kind: Kind) -> None:
    await world.prepare(kind)
    have = await world.make(world.wants[kind])
    component = world.components[kind]
    for value in ("false", "true", "true"):
        await component.mark(world.calls, have, ((RETAIN, value),))
    if kind in UNTAGGED:
        assert await component.tags(world.calls, have) is None
    elif kind is Kind.HTTP_API:
        # The emulator shows tags that are added later only here.
        tags = world.clients.apigateway.get_tags(ResourceArn=have.arn)["Tags"]
        assert {key: tags[key] for key in (RETAIN, UID)} == {RETAIN: "true", UID: world.uid}
    else:
        assert await component.tags(world.calls, have) == {**dict(world.tags), RETAIN: "true"}


@kinds
async def test_what_is_not_there_cannot_be_tagged(world: World, kind: Kind) -> None:
    await world.prepare(kind)
    have = await world.make(world.wants[kind])
    await world.remove(kind)
    if kind in UNTAGGED:
        return
    with pytest.raises(errors.NotFound):
        await world.components[kind].mark(world.calls, have, ((RETAIN, "true"),))


def twin_id(found: Mapping[Key, Have]) -> str:
    [twin] = found.values()
    return twin.id


def other_retention(world: World, name: str) -> None:
    world.clients.logs.put_retention_policy(logGroupName=name, retentionInDays=30)


def no_retention(world: World, name: str) -> None:
    world.clients.logs.delete_retention_policy(logGroupName=name)


def other_config(world: World, name: str) -> None:
    sagemaker: Any = world.clients.sagemaker
    model = world.key(Kind.MODEL).name
    variant = {"VariantName": VARIANT, "ModelName": model, "InstanceType": INSTANCE_TYPE, "InitialInstanceCount": 2}
    sagemaker.create_endpoint_config(EndpointConfigName="by-hand", ProductionVariants=[variant])
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="by-hand")


def other_memory(world: World, name: str) -> None:
    world.clients.lambda_.update_function_configuration(FunctionName=name, MemorySize=1024)


def other_code(world: World, name: str) -> None:
    world.clients.lambda_.update_function_code(
        FunctionName=name, ZipFile=bundle.build(world.forwarder_config("0" * 64)).zip
    )


def other_target_value(world: World, name: str) -> None:
    scaling: Any = world.clients.autoscaling
    [policy] = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=name)["ScalingPolicies"]
    wanted = policy["TargetTrackingScalingPolicyConfiguration"] | {"TargetValue": 7.0}
    names = ("PolicyName", "ServiceNamespace", "ResourceId", "ScalableDimension", "PolicyType")
    scaling.put_scaling_policy(
        **{each: policy[each] for each in names}, TargetTrackingScalingPolicyConfiguration=wanted
    )


def other_bounds(world: World, name: str) -> None:
    world.clients.autoscaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=name,
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MaxCapacity=3,
    )


def no_stage(world: World, _: str) -> None:
    world.clients.apigateway.delete_stage(ApiId=world.have(Kind.HTTP_API).id, StageName="$default")


def other_role(world: World, _: str) -> None:
    integration = world.have(Kind.INTEGRATION)
    world.clients.apigateway.update_integration(
        ApiId=world.have(Kind.HTTP_API).id, IntegrationId=integration.id, Description="Invoked as somebody else"
    )


def other_target(world: World, _: str) -> None:
    world.clients.apigateway.update_route(
        ApiId=world.have(Kind.HTTP_API).id, RouteId=world.have(Kind.ROUTE).id, Target="integrations/elsewhere"
    )


def other_threshold(world: World, name: str) -> None:
    [alarm] = world.clients.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    known = ("AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods")
    settings: Any = {name: value for name, value in alarm.items() if name in (*known, "ComparisonOperator")}
    world.clients.cloudwatch.put_metric_alarm(**settings, Threshold=1.0)


def tags_that_move(world: World, name: str) -> None:
    world.clients.ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")


def other_tags_that_move(world: World, name: str) -> None:
    world.clients.ecr.put_image_tag_mutability(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest*"}],
    )


def no_tag_that_moves(world: World, name: str) -> None:
    world.clients.ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")


def no_scan(world: World, name: str) -> None:
    world.clients.ecr.put_image_scanning_configuration(
        repositoryName=name, imageScanningConfiguration={"scanOnPush": False}
    )


def no_expiry(world: World, name: str) -> None:
    world.clients.ecr.delete_lifecycle_policy(repositoryName=name)


def other_expiry(world: World, name: str) -> None:
    world.clients.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=lifecycle_policy(timedelta(days=1)))


@pytest.mark.parametrize(
    ("kind", "drift"),
    [
        (Kind.LOG_GROUP, other_retention),
        (Kind.LOG_GROUP, no_retention),
        (Kind.ENDPOINT, other_config),
        (Kind.SCALABLE_TARGET, other_target_value),
        (Kind.SCALABLE_TARGET, other_bounds),
        (Kind.FUNCTION, other_memory),
        (Kind.FUNCTION, other_code),
        (Kind.HTTP_API, no_stage),
        (Kind.INTEGRATION, other_role),
        (Kind.ROUTE, other_target),
        (Kind.ALARM, other_threshold),
        (Kind.REPOSITORY, tags_that_move),
        (Kind.REPOSITORY, other_tags_that_move),
        (Kind.REPOSITORY, no_tag_that_moves),
        (Kind.REPOSITORY, no_scan),
        (Kind.REPOSITORY, no_expiry),
        (Kind.REPOSITORY, other_expiry),
    ],
)
async def test_a_change_by_hand_is_seen_and_undone(
    world: World, kind: Kind, drift: Callable[[World, str], None]
) -> None:
    want = await world.prepare(kind)
    made = await world.make(want)
    drift(world, want.key.name)

    async def is_seen() -> bool:  # by a list that knows what was there
        seen = {have.key: have for have in await world.components[kind].observe(world.calls, world.known)}
        world.known |= seen
        return seen[want.key].phase is Phase.READY and not seen[want.key].matches(want)

    await eventually(is_seen, "the change shows")
    repaired = await world.make(want)
    moved: dict[str, Any] = {"version": "", "status": "", "since": None}
    assert replace(repaired, **moved) == replace(made, **moved)
    assert {key: have.spec for key, have in (await world.observed(kind)).items()} == {want.key: made.spec}


def test_every_kind_but_the_immutable_ones_is_compared() -> None:
    [mark] = test_a_change_by_hand_is_seen_and_undone.pytestmark  # type: ignore[attr-defined]
    assert {kind for kind, _ in mark.args[1]} == set(Kind) - IMMUTABLE


@kinds
async def test_a_list_shows_only_what_carries_the_operators_prefix(world: World, kind: Kind) -> None:
    strangers = [world.of_cluster("c2"), world.of_cluster("c1x")]
    for stranger in strangers:
        await stranger.prepare(kind)
        await stranger.make(stranger.wants[kind])
    if kind in IMMUTABLE | {Kind.ENDPOINT}:  # whose lists match a part of the name anywhere in it
        around = world.named("x-")
        await around.prepare(kind)
        await around.make(around.wants[kind])
    world.aws.control.reset_meter()
    assert await world.observed(kind) == {}
    assert "DescribeEndpoint" not in operations(world, "sagemaker"), "what is not ours costs nothing"


async def test_endpoints_beyond_a_page_are_all_shown(world: World) -> None:
    await world.prepare(Kind.ENDPOINT)
    world.aws.control.patch_sagemaker_settings({"quotas": {"instances_of_any_other_type": "unlimited"}})
    sagemaker, config = world.clients.sagemaker, world.key(Kind.ENDPOINT_CONFIG).name
    names = {f"{world.names.base}-{number:08x}" for number in range(101)}
    for name in names:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    world.aws.control.reset_meter()
    assert {key.name for key in await world.observed(Kind.ENDPOINT)} == names
    assert operations(world, "sagemaker")["ListEndpoints"] == 2


async def test_log_groups_beyond_a_page_are_all_shown(world: World) -> None:
    names = {f"{world.names.forwarder_logs}-{number:08x}" for number in range(51)}
    for name in names:
        world.clients.logs.create_log_group(logGroupName=name)
    world.aws.control.reset_meter()
    assert {key.name for key in await world.observed(Kind.LOG_GROUP)} == names
    assert operations(world, "logs") == {"DescribeLogGroups": 3}  # two for Lambda's, one for SageMaker's


async def test_alarms_beyond_a_page_are_all_shown(world: World) -> None:
    want = world.wants[Kind.ALARM]
    names = {f"{world.names.base}:{number}" for number in range(101)}
    for name in names:
        await world.components[Kind.ALARM].apply(world.calls, replace(want, key=Key(Kind.ALARM, name)), None, {})
    world.aws.control.reset_meter()
    assert {key.name for key in await world.observed(Kind.ALARM)} == names
    assert operations(world, "cloudwatch") == {"DescribeAlarms": 2}


async def test_functions_beyond_a_page_are_all_shown(world: World) -> None:
    names = {f"{world.names.base}-{number:08x}" for number in range(51)}
    spec = world.function_spec(None)
    for name in names:
        world.clients.lambda_.create_function(
            FunctionName=name,
            Role=ROLE,
            Runtime="python3.13",
            Handler=spec.handler,
            Code={"ZipFile": bundle.build(world.forwarder_config(None)).zip},
        )
    world.aws.control.reset_meter()
    assert {key.name for key in await world.observed(Kind.FUNCTION)} == names
    assert operations(world, "lambda") == {"ListFunctions": 2}


async def test_the_oldest_of_twin_apis_serves_and_what_is_in_the_other_has_keys_of_its_own(world: World) -> None:
    await world.prepare(Kind.ROUTE)
    await world.make(world.wants[Kind.ROUTE])
    oldest = world.have(Kind.HTTP_API)
    gateway = world.clients.apigateway

    async def the_age_tells() -> bool:  # which is in whole seconds
        made: Any = await world.components[Kind.HTTP_API].apply(world.calls, world.wants[Kind.HTTP_API], None, {})
        times = {item["ApiId"]: item["CreatedDate"] for item in gateway.get_apis()["Items"]}
        if times[made.id] > times[oldest.id]:
            return True
        gateway.delete_api(ApiId=made.id)
        return False

    await eventually(the_age_tells, "an API is younger")
    found = await world.observed(Kind.HTTP_API)
    assert found.pop(oldest.key) == oldest
    [twin] = found.values()
    assert (twin.key.name, twin.spec) == (f"{oldest.key.name}#{twin.id}", HttpApiSpec(staged=False))

    world.known |= {twin.key: twin}
    gateway.create_integration(ApiId=twin.id, IntegrationType="AWS_PROXY", IntegrationUri=world.have(Kind.FUNCTION).arn)
    integrations = await world.observed(Kind.INTEGRATION)
    assert integrations.pop(world.key(Kind.INTEGRATION)) == world.have(Kind.INTEGRATION)
    [(key, have)] = integrations.items()
    assert key.name == f"{world.names.base}#{have.id}"
    assert isinstance(have.spec, IntegrationSpec)
    assert have.spec.api == twin.key


async def test_integrations_and_routes_that_lead_elsewhere_are_shown_without_an_owner(world: World) -> None:
    await world.prepare(Kind.INTEGRATION)
    gateway, api = world.clients.apigateway, world.have(Kind.HTTP_API)
    queue: Any = {"IntegrationType": "AWS_PROXY", "IntegrationSubtype": "SQS-SendMessage"}
    gateway.create_integration(ApiId=api.id, PayloadFormatVersion="1.0", **queue)
    site: Any = {"IntegrationType": "HTTP_PROXY", "IntegrationUri": "https://example.com/", "IntegrationMethod": "GET"}
    made = gateway.create_integration(ApiId=api.id, PayloadFormatVersion="1.0", **site)
    gateway.create_route(ApiId=api.id, RouteKey="GET /elsewhere", Target=f"integrations/{made['IntegrationId']}")
    gateway.create_route(ApiId=api.id, RouteKey="GET /nowhere")

    integrations = await world.observed(Kind.INTEGRATION)
    assert [have.owner for have in integrations.values()] == [None, None]
    world.known |= integrations
    routes = await world.observed(Kind.ROUTE)
    assert [have.owner for have in routes.values()] == [None, None]
    assert {have.spec for have in routes.values()} == {
        RouteSpec(api.key, "GET /elsewhere", next(key for key in integrations if "example.com" in key.name)),
        RouteSpec(api.key, "GET /nowhere", None),
    }


async def test_a_creation_is_followed_by_lists_alone_for_it_can_end_in_one_configuration_only(world: World) -> None:
    want = await world.prepare(Kind.ENDPOINT)
    world.aws.control.patch_sagemaker_settings({"behaviour": {"create_seconds": 0.2}})
    component = world.components[Kind.ENDPOINT]
    made = world.known[want.key] = await component.apply(world.calls, want, None, world.known)
    assert made.phase is Phase.BUSY
    assert made.uses >= {world.key(Kind.ENDPOINT_CONFIG)}
    world.aws.control.reset_meter()

    config = world.key(Kind.ENDPOINT_CONFIG).name
    phases = await endpoint_life(world, config=config, changing=Phase.BUSY)
    assert phases[:-1], "it was seen on its way"
    assert operations(world, "sagemaker") == {"ListEndpoints": len(phases)}

    rested = world.known[want.key]
    assert rested == await component.look(world.calls, want.key, world.known)
    world.aws.control.reset_meter()
    assert await component.observe(world.calls, world.known) == [rested]
    assert operations(world, "sagemaker") == {"ListEndpoints": 1}


async def test_an_endpoint_seen_first_is_described_only_if_it_can_be_on_several_configurations(world: World) -> None:
    want = await world.prepare(Kind.ENDPOINT)
    await world.make(want)
    old = world.wants[Kind.ENDPOINT_CONFIG]
    seen_before = world.known.pop(want.key)
    world.aws.control.reset_meter()
    (found,) = await world.components[Kind.ENDPOINT].observe(world.calls, world.known)
    assert operations(world, "sagemaker") == {"ListEndpoints": 1}
    assert (found.spec, found.uses, found.phase) == (EndpointSpec(old.key.name), seen_before.uses, Phase.READY)

    await world.make(replace(old, key=Key(Kind.ENDPOINT_CONFIG, other_config_name(old.key.name))))
    (described,) = await world.components[Kind.ENDPOINT].observe(world.calls, world.known)
    assert operations(world, "sagemaker")["DescribeEndpoint"] == 1
    assert described.spec == found.spec


async def test_an_endpoint_in_update_uses_both_configurations_until_the_new_one_serves(world: World) -> None:
    want = await world.prepare(Kind.ENDPOINT)
    await world.make(want)
    world.aws.control.patch_sagemaker_settings({"behaviour": {"update_seconds": 0.2}})
    old = world.wants[Kind.ENDPOINT_CONFIG]
    new = replace(old, key=Key(Kind.ENDPOINT_CONFIG, other_config_name(old.key.name)))
    await world.make(new)
    component = world.components[Kind.ENDPOINT]
    update = Want(want.key, EndpointSpec(new.key.name, tags=world.tags))
    updating = world.known[want.key] = await component.apply(world.calls, update, world.known[want.key], world.known)
    assert updating.uses >= {old.key, new.key}
    with pytest.raises(errors.InProgress):
        await component.apply(world.calls, update, updating, world.known)
    with pytest.raises(errors.InProgress):
        await component.delete(world.calls, updating, world.known)
    looked = await component.look(world.calls, want.key, world.known)
    assert looked is not None
    assert (looked.phase, looked.spec) == (Phase.BUSY, EndpointSpec(old.key.name))
    assert looked.uses == updating.uses

    world.aws.control.reset_meter()
    await endpoint_life(world, config=new.key.name, changing=Phase.BUSY)
    assert operations(world, "sagemaker")["DescribeEndpoint"] == 1
    assert new.key in world.known[want.key].uses
    assert old.key not in world.known[want.key].uses


async def test_a_failed_endpoint_is_described_once_and_tells_why(world: World) -> None:
    want = await world.prepare(Kind.ENDPOINT)
    why = "The container did not pass the ping"
    world.aws.control.patch_sagemaker_settings({"behaviour": {"create_failure": why}})
    made = await world.components[Kind.ENDPOINT].apply(world.calls, want, None, world.known)
    world.known[want.key] = made
    world.aws.control.reset_meter()
    await endpoint_life(world, config=world.key(Kind.ENDPOINT_CONFIG).name, changing=Phase.BUSY)
    failed = world.known[want.key]
    assert (failed.phase, failed.detail) == (Phase.FAILED, why)
    assert operations(world, "sagemaker")["DescribeEndpoint"] == 1
    await world.remove(Kind.ENDPOINT)


async def test_an_update_that_is_rolled_back_ends_ready_with_the_configuration_before(world: World) -> None:
    want = await world.prepare(Kind.ENDPOINT)
    await world.make(want)
    world.aws.control.patch_sagemaker_settings({"behaviour": {"update_failure": "no capacity"}})
    old = world.wants[Kind.ENDPOINT_CONFIG]
    new = replace(old, key=Key(Kind.ENDPOINT_CONFIG, other_config_name(old.key.name)))
    await world.make(new)
    update = Want(want.key, EndpointSpec(new.key.name, tags=world.tags))
    component = world.components[Kind.ENDPOINT]
    world.known[want.key] = await component.apply(world.calls, update, world.known[want.key], world.known)
    await endpoint_life(world, config=old.key.name, changing=Phase.BUSY)
    rolled_back = world.known[want.key]
    assert rolled_back.phase is Phase.READY
    assert not rolled_back.matches(update)
    assert "no capacity" in rolled_back.detail
    configs = await world.observed(Kind.ENDPOINT_CONFIG)
    since, made_at = rolled_back.since, configs[new.key].since
    assert since is not None
    assert made_at is not None
    assert since > made_at, "it has changed since the configuration was made that it does not serve"


async def test_what_could_not_even_be_rolled_back_uses_both_configurations(world: World) -> None:
    want = await world.prepare(Kind.ENDPOINT)
    await world.make(want)
    world.aws.control.patch_sagemaker_settings({"behaviour": {"update_failure": "no", "rollback_fails": True}})
    old = world.wants[Kind.ENDPOINT_CONFIG]
    new = replace(old, key=Key(Kind.ENDPOINT_CONFIG, other_config_name(old.key.name)))
    await world.make(new)
    update = Want(want.key, EndpointSpec(new.key.name, tags=world.tags))
    component = world.components[Kind.ENDPOINT]
    world.known[want.key] = await component.apply(world.calls, update, world.known[want.key], world.known)
    await endpoint_life(world, config=old.key.name, changing=Phase.BUSY)
    mixed = world.known[want.key]
    assert (mixed.phase, mixed.status) == (Phase.IMPAIRED, "UpdateRollbackFailed")
    assert {old.key, new.key} <= mixed.uses
    world.aws.control.patch_sagemaker_settings({"behaviour": None})
    world.known[want.key] = await component.apply(world.calls, want, mixed, world.known)
    assert (await world.rest(want.key)).phase is Phase.READY, "another update mends it"


async def test_a_list_tells_since_when_an_endpoint_is_made(world: World) -> None:
    want = await world.prepare(Kind.ENDPOINT)
    world.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    before = datetime.now(UTC)
    component = world.components[Kind.ENDPOINT]
    made = world.known[want.key] = await component.apply(world.calls, want, None, world.known)
    assert made.since is None, "the answer does not say"
    [seen] = await component.observe(world.calls, world.known)
    assert seen == replace(made, since=seen.since)
    assert seen.since is not None
    assert abs(seen.since - before) < timedelta(seconds=10)
    world.aws.control.patch_sagemaker_settings({"behaviour": None})


async def test_an_endpoint_on_its_way_out_is_seen_as_such_without_a_description(world: World) -> None:
    want = await world.prepare(Kind.ENDPOINT)
    made = await world.make(want)
    world.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    component = world.components[Kind.ENDPOINT]
    left = await component.delete(world.calls, made, world.known)
    assert left is not None
    assert (left.phase, left.uses) == (Phase.DELETING, made.uses)
    world.known[want.key] = left
    world.aws.control.reset_meter()
    [seen] = await component.observe(world.calls, world.known)
    assert replace(seen, version="", status=left.status) == left
    assert operations(world, "sagemaker") == {"ListEndpoints": 1}


async def test_a_log_group_is_never_meant_to_be_kept_for_ever(world: World) -> None:
    want = replace(world.wants[Kind.LOG_GROUP], spec=LogGroupSpec(None))
    have = Have(want.key, Phase.READY, spec=LogGroupSpec(7))
    with pytest.raises(TypeError, match="for ever"):
        await world.components[Kind.LOG_GROUP].apply(world.calls, want, have, {})


@kinds
async def test_a_want_of_another_kind_is_refused_before_any_call(world: World, kind: Kind) -> None:
    other = world.wants[Kind.ALARM if kind is not Kind.ALARM else Kind.MODEL]
    world.aws.control.reset_meter()
    with pytest.raises(TypeError, match="carries a"):
        await world.components[kind].apply(world.calls, Want(world.key(kind), other.spec), None, {})
    assert world.aws.control.calls() == {}


async def test_a_repository_and_its_policy_are_made_by_two_steps_and_it_goes_with_its_images(world: World) -> None:
    want, component = world.wants[Kind.REPOSITORY], world.components[Kind.REPOSITORY]
    made = await component.apply(world.calls, want, None, {})
    assert not made.matches(want)
    assert (await component.apply(world.calls, want, made, {})).matches(want)
    manifest = '{"schemaVersion": 2}'
    world.clients.ecr.put_image(repositoryName=want.key.name, imageManifest=manifest, imageTag="1")
    await component.delete(world.calls, made, {})
    assert await component.look(world.calls, want.key, {}) is None


def exclusions(*filters: str) -> dict[str, Any]:
    """Of a repository's description: tags that may move although the others may not."""
    told = [{"filterType": "WILDCARD", "filter": each} for each in filters]
    return {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": told}


@pytest.mark.parametrize(
    ("described", "expected", "reason"),
    [
        ({}, (False, ""), "ECR's own default"),
        ({"imageTagMutability": "MUTABLE_WITH_EXCLUSION"}, (False, ""), "most tags move"),
        ({"imageTagMutability": "IMMUTABLE"}, (True, ""), "none moves"),
        ({"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}, (False, ""), "which ones is not told"),
        (exclusions("cache-*"), (True, "cache-"), "as we make it"),
        (exclusions("cache-*", "latest"), (False, ""), "more of them move"),
        (exclusions("*cache"), (False, ""), "an end is no beginning"),
    ],
)
async def test_what_is_said_about_tags_of_a_repository_is_understood(
    calls: Calls, clients: Clients, described: dict[str, Any], expected: tuple[bool, str], reason: str
) -> None:
    item = {"repositoryName": "eep-c1-x-abcdefghij", "repositoryArn": "arn", **described}
    with Stubber(clients.ecr) as stubber:
        stubber.add_response("describe_repositories", {"repositories": [item]})
        stubber.add_client_error("get_lifecycle_policy", "LifecyclePolicyNotFoundException", "none", 400)
        component = RepositoryComponent(clients.ecr, Scope("c1", "0" * 12, clients.region))
        [have] = await component.observe(calls, {})
    assert isinstance(have.spec, RepositorySpec)
    assert (have.spec.immutable, have.spec.mutable_prefix) == expected, reason
    assert have.spec.lifecycle_policy == ""


async def test_repositories_beyond_a_page_are_all_shown_and_only_ours_are_asked_about(
    calls: Calls, clients: Clients
) -> None:
    # The emulator knows no pages of repositories.
    names = [["eep-c1-a-abcdefghij", "models"], ["x/eep-c1-b-abcdefghij", "eep-c1-b/models"]]
    text = lifecycle_policy(timedelta(days=1))
    policy = {"lifecyclePolicyText": json.dumps(json.loads(text), indent=1)}
    with Stubber(clients.ecr) as stubber:
        for number, page in enumerate(names):
            items = [{"repositoryName": name, "repositoryArn": "arn"} for name in page]
            more = {"nextToken": "more"} if number == 0 else {}
            asked = {"maxResults": 1000, **({"nextToken": "more"} if number else {})}
            stubber.add_response("describe_repositories", {"repositories": items, **more}, asked)
        for _ in names:
            stubber.add_response("get_lifecycle_policy", policy)
        found = await RepositoryComponent(clients.ecr, Scope("c1", "0" * 12, clients.region)).observe(calls, {})
        stubber.assert_no_pending_responses()
    assert [have.key.name for have in found] == ["eep-c1-a-abcdefghij", "x/eep-c1-b-abcdefghij"]
    assert {have.spec.lifecycle_policy for have in found if isinstance(have.spec, RepositorySpec)} == {text}


async def test_a_repository_is_encrypted_with_the_classes_key_if_it_names_one(calls: Calls, clients: Clients) -> None:
    key = f"arn:aws:kms:us-east-1:{'0' * 12}:key/k"
    spec = RepositorySpec(
        immutable=False, mutable_prefix="", scan_on_push=False, lifecycle_policy="", kms_key_arn=key, tags=()
    )
    asked = {
        "repositoryName": "eep-c1-x-abcdefghij",
        "tags": [],
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": key},
    }
    with Stubber(clients.ecr) as stubber:
        stubber.add_response("create_repository", {"repository": {"repositoryArn": "arn"}}, asked)
        want = Want(Key(Kind.REPOSITORY, "eep-c1-x-abcdefghij"), spec)
        made = await RepositoryComponent(clients.ecr, Scope("c1", "0" * 12, clients.region)).apply(
            calls, want, None, {}
        )
    assert made.matches(want)


async def test_a_model_is_made_exactly_as_wanted(world: World) -> None:
    await world.make(world.wants[Kind.MODEL])
    made = world.clients.sagemaker.describe_model(ModelName=world.key(Kind.MODEL).name)
    container = made["PrimaryContainer"]
    assert (container["Image"], container["ModelDataUrl"]) == (IMAGE, "s3://bucket/model.tar.gz")
    assert (container["Environment"], made["ExecutionRoleArn"]) == ({"A": "b"}, ROLE)
    assert made["CreationTime"] <= datetime.now(UTC)
