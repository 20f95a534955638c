"""Every kind keeps the contract of ``Component``, and what is particular to some."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.stub import Stubber
from tests.aws.cloud import DOMAIN, IMAGE, INSTANCE_TYPE, ROLE, VARIANT, Cloud, eventually
from tests.fixtures.issuer import running_issuer

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, Phase, ResourceKind
from ephemeral_endpoints.engine.tags import RETAIN, UID
from ephemeral_endpoints.features.images.components import RepositoryComponent
from ephemeral_endpoints.features.images.desired import lifecycle_policy
from ephemeral_endpoints.features.images.specs import REPOSITORY, RepositorySpec
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP, LogGroupSpec
from ephemeral_endpoints.features.reaping.specs import EVENT_RULE
from ephemeral_endpoints.features.registry import KINDS
from ephemeral_endpoints.features.routing.capture.components import DeliveryStreamComponent
from ephemeral_endpoints.features.routing.capture.specs import DELIVERY_STREAM
from ephemeral_endpoints.features.routing.feedback.components import CountKey, FeedbackTableComponent, Votes
from ephemeral_endpoints.features.routing.feedback.specs import FEEDBACK_TABLE
from ephemeral_endpoints.features.routing.forwarder import bundle
from ephemeral_endpoints.features.routing.forwarder.feedback import COUNTS
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
    HttpApiSpec,
    IntegrationSpec,
    RouteSpec,
)
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG, MODEL, SCALABLE_TARGET, EndpointSpec

REFUSES_A_NAME_TWICE = {
    *(LOG_GROUP, MODEL, ENDPOINT_CONFIG, ENDPOINT, FUNCTION, REPOSITORY),
    *(API_MAPPING, ROUTE, FEEDBACK_TABLE, DELIVERY_STREAM, PARAMETER),
}
PUT_ONLY = {ALARM, EVENT_RULE, FUNCTION_CONCURRENCY, ROUTE_THROTTLE, SCALABLE_TARGET}
UNTAGGED = {API_MAPPING, AUTHORIZER, FUNCTION_CONCURRENCY, INTEGRATION, ROUTE, ROUTE_THROTTLE}
IMMUTABLE = {MODEL, ENDPOINT_CONFIG}
ALIKE = {FEEDBACK_TABLE}
"""Kinds whose resources differ in nothing but their tags."""


kinds = pytest.mark.parametrize("kind", KINDS, ids=str)


async def endpoint_life(cloud: Cloud, *, config: str, changing: Phase) -> list[Phase]:
    """The phases of the endpoint from list to list until it rests with that configuration."""
    phases: list[Phase] = []
    component, key = cloud.components[ENDPOINT], cloud.key(ENDPOINT)

    async def rests() -> bool:
        [found] = await component.list_all(cloud.calls, cloud.known)
        cloud.known[key] = found
        phases.append(found.phase)
        return found.phase is not changing

    await eventually(rests, f"the endpoint leaves {changing}")
    assert cloud.known[key].spec == EndpointSpec(config)
    return phases


def other_config_name(name: str) -> str:
    """The name of another configuration of the same model."""
    return f"{name.rpartition('-')[0]}-{'2' * 26}"


def operations(cloud: Cloud, service: str) -> dict[str, int]:
    return cloud.aws.control.calls().get(service, {})


@kinds
async def test_a_resource_is_made_seen_and_deleted(cloud: Cloud, kind: ResourceKind) -> None:
    resource = await cloud.prepare(kind)
    component = cloud.components[kind]
    assert resource.key not in await cloud.listed(kind)
    assert await component.describe(cloud.calls, resource.key, cloud.known) is None

    made = await cloud.make(resource)
    assert made.matches(resource)
    assert made.phase is Phase.READY
    assert made.owner is not None
    assert await cloud.listed(kind) == {resource.key: made}
    assert await component.describe(cloud.calls, resource.key, cloud.known) == made
    tags = await component.tags(cloud.calls, made)
    assert tags == (None if kind in UNTAGGED else dict(cloud.tags))

    await cloud.remove(kind)
    assert await cloud.listed(kind) == {}
    assert await component.delete(cloud.calls, made, cloud.known) is None, "deleting what is not there succeeds"


@kinds
async def test_what_apply_returns_is_what_is_there(cloud: Cloud, kind: ResourceKind) -> None:
    resource = await cloud.prepare(kind)
    returned = await cloud.components[kind].apply(cloud.calls, resource, None, cloud.known)
    seen = (await cloud.listed(kind))[resource.key]
    same: dict[str, Any] = {
        "phase": returned.phase,
        "version": returned.version,
        "status": returned.status,
        "since": returned.since,
    }
    assert replace(seen, **same) == returned


@kinds
async def test_making_it_again_is_refused_or_changes_nothing(cloud: Cloud, kind: ResourceKind) -> None:
    resource = await cloud.prepare(kind)
    made = await cloud.make(resource)
    component = cloud.components[kind]
    if kind in REFUSES_A_NAME_TWICE:
        with pytest.raises(errors.AlreadyExists):
            await component.apply(cloud.calls, resource, None, cloud.known)
        assert await cloud.listed(kind) == {resource.key: made}
        return
    again = await component.apply(cloud.calls, resource, None, cloud.known)
    found = await cloud.listed(kind)
    assert {observed.id for observed in found.values()} == {made.id, again.id}
    # Of what AWS makes twice, one carries a key of its own, which nobody wants, and can be deleted by it.
    del found[resource.key]
    assert [key.name for key in found] == ([] if kind in PUT_ONLY else [f"{resource.key.name}#{twin_id(found)}"])
    for observed in found.values():
        assert observed.owner == made.owner
        await component.delete(cloud.calls, observed, cloud.known)
    assert list(await cloud.listed(kind)) == [resource.key]


@kinds
async def test_tags_are_added_and_changed_and_the_others_stay(cloud: Cloud, kind: ResourceKind) -> None:
    await cloud.prepare(kind)
    observed = await cloud.make(cloud.resources[kind])
    component = cloud.components[kind]
    for value in ("false", "true", "true"):
        await component.add_tags(cloud.calls, observed, ((RETAIN, value),))
    if kind in UNTAGGED:
        assert await component.tags(cloud.calls, observed) is None
    elif kind is HTTP_API:
        # The emulator shows tags that are added later only here.
        tags = cloud.clients.apigateway.get_tags(ResourceArn=observed.arn)["Tags"]
        assert {key: tags[key] for key in (RETAIN, UID)} == {RETAIN: "true", UID: cloud.uid}
    else:
        assert await component.tags(cloud.calls, observed) == {**dict(cloud.tags), RETAIN: "true"}


@kinds
async def test_what_is_not_there_cannot_be_tagged(cloud: Cloud, kind: ResourceKind) -> None:
    await cloud.prepare(kind)
    observed = await cloud.make(cloud.resources[kind])
    await cloud.remove(kind)
    if kind in UNTAGGED:
        return
    with pytest.raises(errors.NotFound):
        await cloud.components[kind].add_tags(cloud.calls, observed, ((RETAIN, "true"),))


def twin_id(found: Mapping[Key, ObservedResource]) -> str:
    [twin] = found.values()
    return twin.id


def other_retention(cloud: Cloud, name: str) -> None:
    cloud.clients.logs.put_retention_policy(logGroupName=name, retentionInDays=30)


def no_retention(cloud: Cloud, name: str) -> None:
    cloud.clients.logs.delete_retention_policy(logGroupName=name)


def other_config(cloud: Cloud, name: str) -> None:
    sagemaker: Any = cloud.clients.sagemaker
    model = cloud.key(MODEL).name
    variant = {"VariantName": VARIANT, "ModelName": model, "InstanceType": INSTANCE_TYPE, "InitialInstanceCount": 2}
    sagemaker.create_endpoint_config(EndpointConfigName="by-hand", ProductionVariants=[variant])
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="by-hand")


def other_memory(cloud: Cloud, name: str) -> None:
    cloud.clients.lambda_.update_function_configuration(FunctionName=name, MemorySize=1024)


def other_concurrency(cloud: Cloud, name: str) -> None:
    cloud.clients.lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=7)


def other_code(cloud: Cloud, name: str) -> None:
    cloud.clients.lambda_.update_function_code(
        FunctionName=name, ZipFile=bundle.build(cloud.forwarder_config("0" * 64)).zip
    )


def other_target_value(cloud: Cloud, name: str) -> None:
    scaling: Any = cloud.clients.autoscaling
    [policy] = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=name)["ScalingPolicies"]
    wanted = policy["TargetTrackingScalingPolicyConfiguration"] | {"TargetValue": 7.0}
    names = ("PolicyName", "ServiceNamespace", "ResourceId", "ScalableDimension", "PolicyType")
    scaling.put_scaling_policy(
        **{each: policy[each] for each in names}, TargetTrackingScalingPolicyConfiguration=wanted
    )


def other_bounds(cloud: Cloud, name: str) -> None:
    cloud.clients.autoscaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=name,
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MaxCapacity=3,
    )


def no_stage(cloud: Cloud, _: str) -> None:
    cloud.clients.apigateway.delete_stage(ApiId=cloud.observed(HTTP_API).id, StageName="$default")


def other_throttle(cloud: Cloud, _: str) -> None:
    cloud.clients.apigateway.update_stage(
        ApiId=cloud.observed(HTTP_API).id,
        StageName="$default",
        DefaultRouteSettings={"ThrottlingRateLimit": 5000.0, "ThrottlingBurstLimit": 5000},
    )


def no_throttle(cloud: Cloud, _: str) -> None:
    cloud.clients.apigateway.update_stage(
        ApiId=cloud.observed(HTTP_API).id, StageName="$default", DefaultRouteSettings={"DetailedMetricsEnabled": False}
    )


def other_role(cloud: Cloud, _: str) -> None:
    integration = cloud.observed(INTEGRATION)
    cloud.clients.apigateway.update_integration(
        ApiId=cloud.observed(HTTP_API).id, IntegrationId=integration.id, Description="Invoked as somebody else"
    )


def other_authorization(cloud: Cloud, name: str) -> None:
    cloud.clients.apigateway.update_route(
        ApiId=cloud.observed(HTTP_API).id, RouteId=cloud.known[Key(ROUTE, name)].id, AuthorizationType="AWS_IAM"
    )


def _change_authorizer(cloud: Cloud, **changes: Any) -> None:  # noqa: ANN401 - members of any type
    api, authorizer = cloud.observed(HTTP_API), cloud.observed(AUTHORIZER)
    cloud.clients.apigateway.update_authorizer(ApiId=api.id, AuthorizerId=authorizer.id, **changes)


def other_audience(cloud: Cloud, _: str) -> None:
    issuer = running_issuer().url
    _change_authorizer(cloud, JwtConfiguration={"Issuer": issuer, "Audience": ["https://anybody.example.com"]})


def other_source(cloud: Cloud, _: str) -> None:
    _change_authorizer(cloud, IdentitySource=["$request.querystring.token"])


def other_target(cloud: Cloud, _: str) -> None:
    cloud.clients.apigateway.update_route(
        ApiId=cloud.observed(HTTP_API).id, RouteId=cloud.observed(ROUTE).id, Target="integrations/elsewhere"
    )


def other_api(cloud: Cloud, _: str) -> None:
    client = cloud.clients.apigateway
    made = client.create_api(Name="by-hand", ProtocolType="HTTP")["ApiId"]
    client.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    id_ = cloud.observed(API_MAPPING).id
    client.update_api_mapping(ApiMappingId=id_, DomainName=DOMAIN, ApiId=made, Stage="$default")


def other_settings(cloud: Cloud, _: str) -> None:
    _set_route(cloud, {"ThrottlingRateLimit": 6.0, "ThrottlingBurstLimit": 10, "DetailedMetricsEnabled": False})


def costly_metrics(cloud: Cloud, _: str) -> None:
    _set_route(cloud, {"ThrottlingRateLimit": 5.0, "ThrottlingBurstLimit": 10, "DetailedMetricsEnabled": True})


def _set_route(cloud: Cloud, settings: Any) -> None:  # noqa: ANN401 - members of a request
    cloud.clients.apigateway.update_stage(
        ApiId=cloud.observed(HTTP_API).id, StageName="$default", RouteSettings={"ANY /pr-42": settings}
    )


def other_threshold(cloud: Cloud, name: str) -> None:
    _put_alarm(cloud, name, Threshold=1.0)


def no_topic(cloud: Cloud, name: str) -> None:
    _put_alarm(cloud, name, AlarmActions=[], OKActions=[])


def a_topic_for_one_transition(cloud: Cloud, name: str) -> None:
    _put_alarm(cloud, name, OKActions=[])


def silenced(cloud: Cloud, name: str) -> None:
    cloud.clients.cloudwatch.disable_alarm_actions(AlarmNames=[name])


def _put_alarm(cloud: Cloud, name: str, **changes: Any) -> None:  # noqa: ANN401 - members of a request
    [alarm] = cloud.clients.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    known = ("AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods")
    beside = ("AlarmDescription", "AlarmActions", "OKActions", "ComparisonOperator", "Threshold")
    settings: Any = {name: value for name, value in alarm.items() if name in (*known, *beside)}
    cloud.clients.cloudwatch.put_metric_alarm(**(settings | changes))


def tags_that_move(cloud: Cloud, name: str) -> None:
    cloud.clients.ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")


def other_tags_that_move(cloud: Cloud, name: str) -> None:
    cloud.clients.ecr.put_image_tag_mutability(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest*"}],
    )


def no_tag_that_moves(cloud: Cloud, name: str) -> None:
    cloud.clients.ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")


def other_value(cloud: Cloud, name: str) -> None:
    cloud.aws.client("ssm").put_parameter(Name=name, Value="{}", Overwrite=True)


def other_description(cloud: Cloud, name: str) -> None:
    cloud.aws.client("ssm").put_parameter(Name=name, Value="{}", Description="by hand", Overwrite=True)


def no_scan(cloud: Cloud, name: str) -> None:
    cloud.clients.ecr.put_image_scanning_configuration(
        repositoryName=name, imageScanningConfiguration={"scanOnPush": False}
    )


def no_expiry(cloud: Cloud, name: str) -> None:
    cloud.clients.ecr.delete_lifecycle_policy(repositoryName=name)


def other_expiry(cloud: Cloud, name: str) -> None:
    cloud.clients.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=lifecycle_policy(timedelta(days=1)))


def _other_destination(cloud: Cloud, name: str, **changes: Any) -> None:  # noqa: ANN401 - members of any type
    client: Any = cloud.clients.firehose()
    stream = client.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    client.update_destination(
        DeliveryStreamName=name,
        CurrentDeliveryStreamVersionId=stream["VersionId"],
        DestinationId=stream["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate=changes,
    )


def disabled(cloud: Cloud, name: str) -> None:
    cloud.clients.events().disable_rule(Name=name)


def other_function(cloud: Cloud, name: str) -> None:
    client = cloud.clients.events()
    [target] = client.list_targets_by_rule(Rule=name)["Targets"]
    client.remove_targets(Rule=name, Ids=[target["Id"]])
    client.put_targets(Rule=name, Targets=[{"Id": "theirs", "Arn": f"{target['Arn']}-other"}])


def not_permitted(cloud: Cloud, name: str) -> None:
    cloud.clients.lambda_.remove_permission(FunctionName=name, StatementId=name)


def other_prefix(cloud: Cloud, name: str) -> None:
    _other_destination(cloud, name, Prefix="elsewhere/!{partitionKeyFromQuery:name}/")


def compressed(cloud: Cloud, name: str) -> None:
    _other_destination(cloud, name, CompressionFormat="GZIP")


@pytest.mark.parametrize(
    ("kind", "drift"),
    [
        (LOG_GROUP, other_retention),
        (LOG_GROUP, no_retention),
        (ENDPOINT, other_config),
        (SCALABLE_TARGET, other_target_value),
        (SCALABLE_TARGET, other_bounds),
        (FUNCTION, other_memory),
        (FUNCTION, other_code),
        (FUNCTION_CONCURRENCY, other_concurrency),
        (HTTP_API, no_stage),
        (HTTP_API, other_throttle),
        (HTTP_API, no_throttle),
        (API_MAPPING, other_api),
        (INTEGRATION, other_role),
        (ROUTE, other_target),
        (ROUTE, other_authorization),
        (AUTHORIZER, other_audience),
        (AUTHORIZER, other_source),
        (ROUTE_THROTTLE, other_settings),
        (ROUTE_THROTTLE, costly_metrics),
        (ALARM, other_threshold),
        (ALARM, no_topic),
        (ALARM, a_topic_for_one_transition),
        (ALARM, silenced),
        (EVENT_RULE, disabled),
        (EVENT_RULE, other_function),
        (EVENT_RULE, not_permitted),
        (DELIVERY_STREAM, other_prefix),
        (DELIVERY_STREAM, compressed),
        (PARAMETER, other_value),
        (PARAMETER, other_description),
        (REPOSITORY, tags_that_move),
        (REPOSITORY, other_tags_that_move),
        (REPOSITORY, no_tag_that_moves),
        (REPOSITORY, no_scan),
        (REPOSITORY, no_expiry),
        (REPOSITORY, other_expiry),
    ],
)
async def test_a_change_by_another_client_is_seen_and_reverted(
    cloud: Cloud, kind: ResourceKind, drift: Callable[[Cloud, str], None]
) -> None:
    resource = await cloud.prepare(kind)
    made = await cloud.make(resource)
    drift(cloud, resource.key.name)

    async def is_seen() -> bool:  # by a list that knows what was there
        seen = {observed.key: observed for observed in await cloud.components[kind].list_all(cloud.calls, cloud.known)}
        cloud.known |= seen
        return seen[resource.key].phase is Phase.READY and not seen[resource.key].matches(resource)

    await eventually(is_seen, "the change shows")
    repaired = await cloud.make(resource)
    moved: dict[str, Any] = {"version": "", "status": "", "since": None}
    assert replace(repaired, **moved) == replace(made, **moved)
    assert {key: observed.spec for key, observed in (await cloud.listed(kind)).items()} == {resource.key: made.spec}


def test_every_kind_but_the_immutable_ones_is_compared() -> None:
    [add_tags] = test_a_change_by_another_client_is_seen_and_reverted.pytestmark  # type: ignore[attr-defined]
    assert {kind for kind, _ in add_tags.args[1]} == set(KINDS) - IMMUTABLE - ALIKE


@kinds
async def test_a_list_shows_only_what_carries_the_operators_prefix(cloud: Cloud, kind: ResourceKind) -> None:
    strangers = [cloud.of_cluster("c2"), cloud.of_cluster("c1x")]
    for stranger in strangers[:1] if kind is API_MAPPING else strangers:  # one path of a domain leads to one API
        await stranger.prepare(kind)
        await stranger.make(stranger.resources[kind])
    if kind in IMMUTABLE | {ENDPOINT}:  # whose lists match a part of the name anywhere in it
        around = cloud.named("x-")
        await around.prepare(kind)
        await around.make(around.resources[kind])
    cloud.aws.control.reset_meter()
    assert await cloud.listed(kind) == {}
    assert "DescribeEndpoint" not in operations(cloud, "sagemaker"), "what is not ours costs nothing"


async def test_endpoints_beyond_a_page_are_all_shown(cloud: Cloud) -> None:
    await cloud.prepare(ENDPOINT)
    cloud.aws.control.patch_sagemaker_settings({"quotas": {"instances_of_any_other_type": "unlimited"}})
    sagemaker, config = cloud.clients.sagemaker, cloud.key(ENDPOINT_CONFIG).name
    names = {f"{cloud.names.base}-{number:08x}" for number in range(101)}
    for name in names:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    cloud.aws.control.reset_meter()
    assert {key.name for key in await cloud.listed(ENDPOINT)} == names
    assert operations(cloud, "sagemaker")["ListEndpoints"] == 2


async def test_log_groups_beyond_a_page_are_all_shown(cloud: Cloud) -> None:
    names = {f"{cloud.names.forwarder_logs}-{number:08x}" for number in range(51)}
    for name in names:
        cloud.clients.logs.create_log_group(logGroupName=name)
    cloud.aws.control.reset_meter()
    assert {key.name for key in await cloud.listed(LOG_GROUP)} == names
    assert operations(cloud, "logs") == {"DescribeLogGroups": 3}  # two for Lambda's, one for SageMaker's


async def test_alarms_beyond_a_page_are_all_shown(cloud: Cloud) -> None:
    resource = cloud.resources[ALARM]
    names = {f"{cloud.names.base}:{number}" for number in range(101)}
    for name in names:
        await cloud.components[ALARM].apply(cloud.calls, replace(resource, key=Key(ALARM, name)), None, {})
    cloud.aws.control.reset_meter()
    assert {key.name for key in await cloud.listed(ALARM)} == names
    assert operations(cloud, "cloudwatch") == {"DescribeAlarms": 2}


async def test_functions_beyond_a_page_are_all_shown(cloud: Cloud) -> None:
    names = {f"{cloud.names.base}-{number:08x}" for number in range(51)}
    spec = cloud.function_spec(None)
    for name in names:
        cloud.clients.lambda_.create_function(
            FunctionName=name,
            Role=ROLE,
            Runtime="python3.13",
            Handler=spec.handler,
            Code={"ZipFile": bundle.build(cloud.forwarder_config(None)).zip},
        )
    cloud.aws.control.reset_meter()
    assert {key.name for key in await cloud.listed(FUNCTION)} == names
    assert operations(cloud, "lambda") == {"ListFunctions": 2}


async def test_an_api_that_goes_while_throttles_are_listed_disturbs_no_list(cloud: Cloud) -> None:
    await cloud.prepare(ROUTE)
    api = cloud.observed(HTTP_API)
    known = {Key(HTTP_API, name): replace(api, key=Key(HTTP_API, name)) for name in ("a", "b")}

    async def call(method: Any, **arguments: Any) -> Any:  # noqa: ANN401 - as typed as boto3 is
        known.clear()
        return await cloud.calls(method, **arguments)

    assert await cloud.components[ROUTE_THROTTLE].list_all(cast("Calls", call), known) == []


async def test_the_oldest_of_twin_apis_serves_and_what_is_in_the_other_has_keys_of_its_own(cloud: Cloud) -> None:
    await cloud.prepare(ROUTE)
    await cloud.make(cloud.resources[ROUTE])
    oldest = cloud.observed(HTTP_API)
    gateway = cloud.clients.apigateway

    async def the_age_tells() -> bool:  # which is in whole seconds
        made: Any = await cloud.components[HTTP_API].apply(cloud.calls, cloud.resources[HTTP_API], None, {})
        times = {item["ApiId"]: item["CreatedDate"] for item in gateway.get_apis()["Items"]}
        if times[made.id] > times[oldest.id]:
            return True
        gateway.delete_api(ApiId=made.id)
        return False

    await eventually(the_age_tells, "an API is younger")
    found = await cloud.listed(HTTP_API)
    assert found.pop(oldest.key) == oldest
    [twin] = found.values()
    assert (twin.key.name, twin.spec) == (f"{oldest.key.name}#{twin.id}", HttpApiSpec(staged=False))

    cloud.known |= {twin.key: twin}
    function: Any = {"IntegrationType": "AWS_PROXY", "IntegrationUri": cloud.observed(FUNCTION).arn}
    gateway.create_integration(ApiId=twin.id, PayloadFormatVersion="2.0", **function)
    integrations = await cloud.listed(INTEGRATION)
    assert integrations.pop(cloud.key(INTEGRATION)) == cloud.observed(INTEGRATION)
    [(key, observed)] = integrations.items()
    assert key.name == f"{cloud.names.base}#{observed.id}"
    assert isinstance(observed.spec, IntegrationSpec)
    assert observed.spec.api == twin.key


async def test_integrations_and_routes_that_lead_elsewhere_are_shown_without_an_owner(cloud: Cloud) -> None:
    await cloud.prepare(INTEGRATION)
    gateway, api = cloud.clients.apigateway, cloud.observed(HTTP_API)
    queue: Any = {"IntegrationType": "AWS_PROXY", "IntegrationSubtype": "SQS-SendMessage"}
    gateway.create_integration(ApiId=api.id, PayloadFormatVersion="1.0", **queue)
    site: Any = {"IntegrationType": "HTTP_PROXY", "IntegrationUri": "https://example.com/", "IntegrationMethod": "GET"}
    made = gateway.create_integration(ApiId=api.id, PayloadFormatVersion="1.0", **site)
    gateway.create_route(ApiId=api.id, RouteKey="GET /elsewhere", Target=f"integrations/{made['IntegrationId']}")
    gateway.create_route(ApiId=api.id, RouteKey="GET /nowhere")

    integrations = await cloud.listed(INTEGRATION)
    assert [observed.owner for observed in integrations.values()] == [None, None]
    cloud.known |= integrations
    routes = await cloud.listed(ROUTE)
    assert [observed.owner for observed in routes.values()] == [None, None]
    assert {observed.spec for observed in routes.values()} == {
        RouteSpec(api.key, "GET /elsewhere", next(key for key in integrations if "example.com" in key.name)),
        RouteSpec(api.key, "GET /nowhere", None),
    }


async def test_a_creation_is_followed_by_lists_alone_for_it_can_end_in_one_configuration_only(cloud: Cloud) -> None:
    resource = await cloud.prepare(ENDPOINT)
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"create_seconds": 3600}})
    component = cloud.components[ENDPOINT]
    made = cloud.known[resource.key] = await component.apply(cloud.calls, resource, None, cloud.known)
    assert made.phase is Phase.BUSY
    assert made.uses >= {cloud.key(ENDPOINT_CONFIG)}
    cloud.aws.control.reset_meter()

    config = cloud.key(ENDPOINT_CONFIG).name
    [on_its_way] = await component.list_all(cloud.calls, cloud.known)
    assert on_its_way.phase is Phase.BUSY
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"create_seconds": 0.0}})
    phases = await endpoint_life(cloud, config=config, changing=Phase.BUSY)
    assert operations(cloud, "sagemaker") == {"ListEndpoints": 1 + len(phases)}

    rested = cloud.known[resource.key]
    assert rested == await component.describe(cloud.calls, resource.key, cloud.known)
    cloud.aws.control.reset_meter()
    assert await component.list_all(cloud.calls, cloud.known) == [rested]
    assert operations(cloud, "sagemaker") == {"ListEndpoints": 1}


async def test_an_endpoint_seen_first_is_described_only_if_it_can_be_on_several_configurations(cloud: Cloud) -> None:
    resource = await cloud.prepare(ENDPOINT)
    await cloud.make(resource)
    old = cloud.resources[ENDPOINT_CONFIG]
    seen_before = cloud.known.pop(resource.key)
    cloud.aws.control.reset_meter()
    (found,) = await cloud.components[ENDPOINT].list_all(cloud.calls, cloud.known)
    assert operations(cloud, "sagemaker") == {"ListEndpoints": 1}
    assert (found.spec, found.uses, found.phase) == (EndpointSpec(old.key.name), seen_before.uses, Phase.READY)

    await cloud.make(replace(old, key=Key(ENDPOINT_CONFIG, other_config_name(old.key.name))))
    (described,) = await cloud.components[ENDPOINT].list_all(cloud.calls, cloud.known)
    assert operations(cloud, "sagemaker")["DescribeEndpoint"] == 1
    assert described.spec == found.spec


async def test_an_endpoint_in_update_uses_both_configurations_until_the_new_one_serves(cloud: Cloud) -> None:
    resource = await cloud.prepare(ENDPOINT)
    await cloud.make(resource)
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"update_seconds": 3600}})
    old = cloud.resources[ENDPOINT_CONFIG]
    new = replace(old, key=Key(ENDPOINT_CONFIG, other_config_name(old.key.name)))
    await cloud.make(new)
    component = cloud.components[ENDPOINT]
    update = DesiredResource(resource.key, EndpointSpec(new.key.name, tags=cloud.tags))
    updating = cloud.known[resource.key] = await component.apply(
        cloud.calls, update, cloud.known[resource.key], cloud.known
    )
    assert updating.uses >= {old.key, new.key}
    with pytest.raises(errors.InProgress):
        await component.apply(cloud.calls, update, updating, cloud.known)
    with pytest.raises(errors.InProgress):
        await component.delete(cloud.calls, updating, cloud.known)
    looked = await component.describe(cloud.calls, resource.key, cloud.known)
    assert looked is not None
    assert (looked.phase, looked.spec) == (Phase.BUSY, EndpointSpec(old.key.name))
    assert looked.uses == updating.uses

    cloud.aws.control.reset_meter()
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"update_seconds": 0.0}})
    await endpoint_life(cloud, config=new.key.name, changing=Phase.BUSY)
    assert operations(cloud, "sagemaker")["DescribeEndpoint"] == 1
    assert new.key in cloud.known[resource.key].uses
    assert old.key not in cloud.known[resource.key].uses


async def test_a_failed_endpoint_is_described_once_with_its_reason(cloud: Cloud) -> None:
    resource = await cloud.prepare(ENDPOINT)
    why = "The container did not pass the ping"
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"create_failure": why}})
    made = await cloud.components[ENDPOINT].apply(cloud.calls, resource, None, cloud.known)
    cloud.known[resource.key] = made
    cloud.aws.control.reset_meter()
    await endpoint_life(cloud, config=cloud.key(ENDPOINT_CONFIG).name, changing=Phase.BUSY)
    failed = cloud.known[resource.key]
    assert (failed.phase, failed.detail) == (Phase.FAILED, why)
    assert operations(cloud, "sagemaker")["DescribeEndpoint"] == 1
    await cloud.remove(ENDPOINT)


async def test_an_update_that_is_rolled_back_ends_ready_with_the_configuration_before(cloud: Cloud) -> None:
    resource = await cloud.prepare(ENDPOINT)
    await cloud.make(resource)
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"update_failure": "no capacity"}})
    old = cloud.resources[ENDPOINT_CONFIG]
    new = replace(old, key=Key(ENDPOINT_CONFIG, other_config_name(old.key.name)))
    await cloud.make(new)
    update = DesiredResource(resource.key, EndpointSpec(new.key.name, tags=cloud.tags))
    component = cloud.components[ENDPOINT]
    cloud.known[resource.key] = await component.apply(cloud.calls, update, cloud.known[resource.key], cloud.known)
    await endpoint_life(cloud, config=old.key.name, changing=Phase.BUSY)
    rolled_back = cloud.known[resource.key]
    assert rolled_back.phase is Phase.READY
    assert not rolled_back.matches(update)
    assert "no capacity" in rolled_back.detail
    configs = await cloud.listed(ENDPOINT_CONFIG)
    since, made_at = rolled_back.since, configs[new.key].since
    assert since is not None
    assert made_at is not None
    assert since > made_at, "it has changed since the configuration was made that it does not serve"


async def test_what_could_not_even_be_rolled_back_uses_both_configurations(cloud: Cloud) -> None:
    resource = await cloud.prepare(ENDPOINT)
    await cloud.make(resource)
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"update_failure": "no", "rollback_fails": True}})
    old = cloud.resources[ENDPOINT_CONFIG]
    new = replace(old, key=Key(ENDPOINT_CONFIG, other_config_name(old.key.name)))
    await cloud.make(new)
    update = DesiredResource(resource.key, EndpointSpec(new.key.name, tags=cloud.tags))
    component = cloud.components[ENDPOINT]
    cloud.known[resource.key] = await component.apply(cloud.calls, update, cloud.known[resource.key], cloud.known)
    await endpoint_life(cloud, config=old.key.name, changing=Phase.BUSY)
    mixed = cloud.known[resource.key]
    assert (mixed.phase, mixed.status) == (Phase.IMPAIRED, "UpdateRollbackFailed")
    assert {old.key, new.key} <= mixed.uses
    cloud.aws.control.patch_sagemaker_settings({"behaviour": None})
    cloud.known[resource.key] = await component.apply(cloud.calls, resource, mixed, cloud.known)
    assert (await cloud.rest(resource.key)).phase is Phase.READY, "another update mends it"


async def test_a_list_has_the_start_of_an_endpoints_creation(cloud: Cloud) -> None:
    resource = await cloud.prepare(ENDPOINT)
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    before = datetime.now(UTC).replace(microsecond=0)
    component = cloud.components[ENDPOINT]
    made = cloud.known[resource.key] = await component.apply(cloud.calls, resource, None, cloud.known)
    assert made.since is None, "the answer does not say"
    [seen] = await component.list_all(cloud.calls, cloud.known)
    assert seen == replace(made, since=seen.since)
    assert seen.since is not None
    assert before <= seen.since <= datetime.now(UTC)
    cloud.aws.control.patch_sagemaker_settings({"behaviour": None})


async def test_an_endpoint_on_its_way_out_is_seen_as_such_without_a_description(cloud: Cloud) -> None:
    resource = await cloud.prepare(ENDPOINT)
    made = await cloud.make(resource)
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    component = cloud.components[ENDPOINT]
    left = await component.delete(cloud.calls, made, cloud.known)
    assert left is not None
    assert (left.phase, left.uses) == (Phase.DELETING, made.uses)
    cloud.known[resource.key] = left
    cloud.aws.control.reset_meter()
    [seen] = await component.list_all(cloud.calls, cloud.known)
    assert replace(seen, version="", status=left.status) == left
    assert operations(cloud, "sagemaker") == {"ListEndpoints": 1}


async def test_a_log_group_is_never_meant_to_be_kept_for_ever(cloud: Cloud) -> None:
    resource = replace(cloud.resources[LOG_GROUP], spec=LogGroupSpec(None))
    observed = ObservedResource(resource.key, Phase.READY, spec=LogGroupSpec(7))
    with pytest.raises(TypeError, match="for ever"):
        await cloud.components[LOG_GROUP].apply(cloud.calls, resource, observed, {})


@kinds
async def test_a_want_of_another_kind_is_refused_before_any_call(cloud: Cloud, kind: ResourceKind) -> None:
    other = cloud.resources[ALARM if kind is not ALARM else MODEL]
    cloud.aws.control.reset_meter()
    with pytest.raises(TypeError, match="carries a"):
        await cloud.components[kind].apply(cloud.calls, DesiredResource(cloud.key(kind), other.spec), None, {})
    assert cloud.aws.control.calls() == {}


async def test_a_repository_and_its_policy_are_made_by_two_steps_and_it_goes_with_its_images(cloud: Cloud) -> None:
    resource, component = cloud.resources[REPOSITORY], cloud.components[REPOSITORY]
    made = await component.apply(cloud.calls, resource, None, {})
    assert not made.matches(resource)
    assert (await component.apply(cloud.calls, resource, made, {})).matches(resource)
    manifest = '{"schemaVersion": 2}'
    cloud.clients.ecr.put_image(repositoryName=resource.key.name, imageManifest=manifest, imageTag="1")
    await component.delete(cloud.calls, made, {})
    assert await component.describe(cloud.calls, resource.key, {}) is None


def exclusions(*filters: str) -> dict[str, Any]:
    """Of a repository's description: tags that may move although the others may not."""
    reported = [{"filterType": "WILDCARD", "filter": each} for each in filters]
    return {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": reported}


@pytest.mark.parametrize(
    ("described", "expected", "reason"),
    [
        ({}, (False, ""), "ECR's own default"),
        ({"imageTagMutability": "MUTABLE_WITH_EXCLUSION"}, (False, ""), "most tags move"),
        ({"imageTagMutability": "IMMUTABLE"}, (True, ""), "none moves"),
        ({"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}, (False, ""), "the exceptions are unknown"),
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
        component = RepositoryComponent(clients, Scope("c1", "0" * 12, clients.region))
        [observed] = await component.list_all(calls, {})
    assert isinstance(observed.spec, RepositorySpec)
    assert (observed.spec.immutable, observed.spec.mutable_prefix) == expected, reason
    assert observed.spec.lifecycle_policy == ""


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
        found = await RepositoryComponent(clients, Scope("c1", "0" * 12, clients.region)).list_all(calls, {})
        stubber.assert_no_pending_responses()
    assert [observed.key.name for observed in found] == ["eep-c1-a-abcdefghij", "x/eep-c1-b-abcdefghij"]
    assert {observed.spec.lifecycle_policy for observed in found if isinstance(observed.spec, RepositorySpec)} == {text}


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
        resource = DesiredResource(Key(REPOSITORY, "eep-c1-x-abcdefghij"), spec)
        made = await RepositoryComponent(clients, Scope("c1", "0" * 12, clients.region)).apply(
            calls, resource, None, {}
        )
    assert made.matches(resource)


async def test_a_model_is_made_exactly_as_wanted(cloud: Cloud) -> None:
    await cloud.make(cloud.resources[MODEL])
    made = cloud.clients.sagemaker.describe_model(ModelName=cloud.key(MODEL).name)
    container = made["PrimaryContainer"]
    assert (container["Image"], container["ModelDataUrl"]) == (IMAGE, "s3://bucket/model.tar.gz")
    assert (container["Environment"], made["ExecutionRoleArn"]) == ({"A": "b"}, ROLE)
    assert made["CreationTime"] <= datetime.now(UTC)


async def test_a_table_is_not_ready_before_dynamodb_says_so_and_its_changes_cost_a_call_each(cloud: Cloud) -> None:
    component = cloud.components[FEEDBACK_TABLE]

    async def is_gone() -> bool:
        return made.key not in {each.key for each in await component.list_all(cloud.calls, {})}

    async def is_refused() -> bool:
        try:
            await component.delete(cloud.calls, made, {})
        except errors.InProgress as error:
            return "still in use" in str(error)
        await eventually(is_gone, "the end of the table")
        return False

    for _ in range(20):  # it is made in a moment, in which a busy machine may not come to the deletion
        made = await component.apply(cloud.calls, cloud.resources[FEEDBACK_TABLE], None, {})
        assert made.phase is Phase.BUSY
        if await is_refused():
            break
    else:
        pytest.fail("a table that is being made can be deleted")
    ready = await cloud.rest(made.key)
    cloud.aws.control.reset_meter()
    assert await component.list_changes(cloud.calls, {made.key: ready}) == {}
    assert operations(cloud, "dynamodb") == {}
    assert await component.list_changes(cloud.calls, {made.key: made}) == {made.key: ready}
    going = await component.delete(cloud.calls, ready, {})
    assert going is not None
    assert going.phase is Phase.DELETING


async def test_a_stream_that_does_not_partition_its_records_has_to_be_made_again(cloud: Cloud) -> None:
    resource = cloud.resources[DELIVERY_STREAM]
    client: Any = cloud.clients.firehose()
    client.create_delivery_stream(
        DeliveryStreamName=resource.key.name,
        ExtendedS3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::captures"},
    )
    cloud.known[resource.key] = await cloud.rest(resource.key)
    assert not cloud.known[resource.key].can_become(resource)


async def test_streams_that_may_not_be_listed_are_those_that_were_there(calls: Calls, clients: Clients) -> None:
    component = DeliveryStreamComponent(clients, Scope("c1", "000000000000", "us-east-1"))
    with Stubber(clients.firehose()) as stub:
        stub.add_client_error("list_delivery_streams", "AccessDeniedException", "not authorized")
        assert await component.list_all(calls, {}) == []


async def test_the_counts_of_many_tables_are_read_by_one_call(cloud: Cloud) -> None:
    component = cloud.components[FEEDBACK_TABLE]
    assert isinstance(component, FeedbackTableComponent)
    table = (await cloud.make(cloud.resources[FEEDBACK_TABLE])).key.name
    item = {"kind": {"S": COUNTS}, "id": {"S": "abc.main"}, "up": {"N": "3"}, "down": {"N": "1"}}
    client: Any = cloud.aws.session.client("dynamodb", endpoint_url=cloud.aws.endpoint)
    client.put_item(TableName=table, Item=item)
    cloud.aws.control.reset_meter()
    keys = [CountKey(table, f"abc.{variant}") for variant in ("main", "other")]
    found = await asyncio.gather(*(component.votes(cloud.calls, key) for key in keys))
    assert found == [Votes(3, 1), Votes(0, 0)]
    assert operations(cloud, "dynamodb") == {"BatchGetItem": 1}


async def test_a_table_that_is_gone_does_not_keep_others_from_being_counted(cloud: Cloud) -> None:
    component = cloud.components[FEEDBACK_TABLE]
    assert isinstance(component, FeedbackTableComponent)
    table = (await cloud.make(cloud.resources[FEEDBACK_TABLE])).key.name
    there, gone = (component.votes(cloud.calls, CountKey(name, "abc.main")) for name in (table, f"{table}-gone"))
    votes, error = await asyncio.gather(there, gone, return_exceptions=True)
    assert votes == Votes()
    assert isinstance(error, errors.NotFound)
