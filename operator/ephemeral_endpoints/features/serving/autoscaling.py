"""Autoscaling of production variants by Application Auto Scaling.

A scalable target with its policy and its scheduled actions is one resource here: the two cannot exist without it.
Their names contain the instance type that the autoscaling was made for, which AWS keeps nowhere.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope, expect, expect_spec, if_there, items
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.serving.iam import SCALING
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    SCALABLE_TARGET,
    ScalableTargetSpec,
    ScalingMetric,
    ScheduledBounds,
    TargetTracking,
)
from ephemeral_endpoints.iam.statement import actions, granted

PAGE: Final = 50
_OF_VARIANTS: Final[Any] = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
_IN_SAGEMAKER: Final[Any] = {"ServiceNamespace": "sagemaker"}
_SEPARATOR: Final = "_"
"""Between instance type and name, neither of which contains it."""


class ScalableTargetComponent(Component):
    """Scalable targets, each with its policy and its scheduled actions."""

    kind: ClassVar = SCALABLE_TARGET
    # Application Auto Scaling calls the latter with the permissions of the caller that registers
    # (https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html).
    actions: ClassVar = (
        granted(SCALING)
        | actions("sagemaker", "DescribeEndpoint", "DescribeEndpointConfig", "UpdateEndpointWeightsAndCapacities")
        | {"cloudwatch:DescribeAlarms"}
    )
    statements: ClassVar = SCALING

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._client = clients.autoscaling

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        # Policies and scheduled actions are listed only where there are targets.
        targets = await self._listed(calls, self._client.describe_scalable_targets, "ScalableTargets", _OF_VARIANTS)
        if not targets:
            return []
        policies = await self._listed(calls, self._client.describe_scaling_policies, "ScalingPolicies", _IN_SAGEMAKER)
        actions = await self._listed(calls, self._client.describe_scheduled_actions, "ScheduledActions", _IN_SAGEMAKER)
        by_target, at_times = _by_resource(policies), _by_resource(actions)
        return [self._observed(item, by_target[item["ResourceId"]], at_times[item["ResourceId"]]) for item in targets]

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        answer = await calls(self._client.describe_scalable_targets, ResourceIds=[key.name], **_OF_VARIANTS)
        if not answer["ScalableTargets"]:
            return None
        only = {**_OF_VARIANTS, "ResourceId": key.name}
        policies = await self._listed(calls, self._client.describe_scaling_policies, "ScalingPolicies", only)
        actions = await self._listed(calls, self._client.describe_scheduled_actions, "ScheduledActions", only)
        return self._observed(answer["ScalableTargets"][0], policies, actions)

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        return (await calls(self._client.list_tags_for_resource, ResourceARN=observed.arn))["Tags"]

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        await calls(self._client.tag_resource, ResourceARN=observed.arn, Tags=dict(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        # The target comes first: the others refer to it.
        spec = expect(resource, ScalableTargetSpec)
        before = expect_spec(observed.spec, ScalableTargetSpec) if observed else None
        arn = observed.arn if observed else ""
        if observed is None or before is None or before.fixed_bounds != spec.fixed_bounds:
            arn = await self._register(calls, resource.key.name, spec, is_new=observed is None)
        await self._track(calls, resource.key.name, spec, before.tracking if before else None)
        await self._schedule(calls, resource.key.name, spec, before.schedule if before else ())
        return self._made(resource.key.name, spec, arn)

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        # Policies and scheduled actions go with their target.
        await _forget(calls, self._client.deregister_scalable_target, ResourceId=observed.key.name)

    async def _listed(
        self, calls: Calls, method: Callable[..., Any], member: str, arguments: Mapping[str, Any]
    ) -> list[Any]:
        ours = f"endpoint/{self._scope.prefix}"
        found = await items(calls, method, member, MaxResults=PAGE, **arguments)
        return [item for item in found if item["ResourceId"].startswith(ours)]

    async def _register(self, calls: Calls, resource_id: str, spec: ScalableTargetSpec, *, is_new: bool) -> str:
        least, most = spec.bounds
        # AWS takes tags together with the registration of a new target only.
        tags: Any = {"Tags": dict(spec.tags)} if is_new else {}
        answer = await calls(
            self._client.register_scalable_target,
            ResourceId=resource_id,
            MinCapacity=least,
            MaxCapacity=most,
            **_OF_VARIANTS,
            **tags,
        )
        return str(answer["ScalableTargetARN"])

    async def _track(
        self, calls: Calls, resource_id: str, spec: ScalableTargetSpec, before: TargetTracking | None
    ) -> None:
        if before and (spec.tracking is None or spec.tracking.metric != before.metric):
            name = _named(spec.instance_type, before.metric)
            await _forget(calls, self._client.delete_scaling_policy, PolicyName=name, ResourceId=resource_id)
        if spec.tracking and spec.tracking != before:
            await calls(
                self._client.put_scaling_policy,
                PolicyName=_named(spec.instance_type, spec.tracking.metric),
                PolicyType="TargetTrackingScaling",
                ResourceId=resource_id,
                TargetTrackingScalingPolicyConfiguration=_policy(spec.tracking, spec.endpoint.name),
                **_OF_VARIANTS,
            )

    async def _schedule(
        self, calls: Calls, resource_id: str, spec: ScalableTargetSpec, before: tuple[ScheduledBounds, ...]
    ) -> None:
        wanted = {each.name for each in spec.schedule}
        for action in before:
            if action.name not in wanted:
                name = _named(spec.instance_type, action.name)
                await _forget(
                    calls, self._client.delete_scheduled_action, ScheduledActionName=name, ResourceId=resource_id
                )
        for action in spec.schedule:
            if action not in before:
                await calls(
                    self._client.put_scheduled_action,
                    ScheduledActionName=_named(spec.instance_type, action.name),
                    ResourceId=resource_id,
                    Schedule=action.schedule,
                    Timezone=action.timezone,
                    ScalableTargetAction={"MinCapacity": action.min_count, "MaxCapacity": action.max_count},
                    **_OF_VARIANTS,
                )

    def _observed(self, target: Any, policies: list[Any], actions: list[Any]) -> ObservedResource:
        names = [each["PolicyName"] for each in policies] + [each["ScheduledActionName"] for each in actions]
        instance_type = next((name.partition(_SEPARATOR)[0] for name in names if _SEPARATOR in name), "")
        schedule = tuple(sorted(_bounds(each) for each in actions if _SEPARATOR in each["ScheduledActionName"]))
        _, endpoint, _, variant = target["ResourceId"].split("/")
        spec = ScalableTargetSpec(
            endpoint=Key(ENDPOINT, endpoint),
            variant=variant,
            instance_type=instance_type,
            fixed_bounds=None if schedule else (target["MinCapacity"], target["MaxCapacity"]),
            tracking=next((found for each in policies if (found := _tracking(each))), None),
            schedule=schedule,
        )
        return self._made(target["ResourceId"], spec, target.get("ScalableTargetARN", ""))

    def _made(self, resource_id: str, spec: ScalableTargetSpec, arn: str) -> ObservedResource:
        return ObservedResource(
            Key(self.kind, resource_id),
            Phase.READY,
            spec=spec,
            arn=arn,
            owner=self._owner_of(spec.endpoint.name),
            uses=frozenset({spec.endpoint}),
        )


async def _forget(calls: Calls, method: Callable[..., Any], **names: str) -> None:
    await if_there(calls(method, **names, **_OF_VARIANTS))


def _named(instance_type: str, name: str) -> str:
    return f"{instance_type}{_SEPARATOR}{name}"


def _by_resource(items: list[Any]) -> defaultdict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for item in items:
        found[item["ResourceId"]].append(item)
    return found


def _policy(tracking: TargetTracking, endpoint: str) -> Any:
    members: dict[str, Any] = {
        "TargetValue": float(tracking.value),
        "ScaleInCooldown": tracking.scale_in_cooldown_seconds,
        "ScaleOutCooldown": tracking.scale_out_cooldown_seconds,
    }
    if tracking.metric is ScalingMetric.INVOCATIONS:
        predefined = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        return members | {"PredefinedMetricSpecification": predefined}
    backlog = {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
        "Statistic": "Average",
    }
    return members | {"CustomizedMetricSpecification": backlog}


def _tracking(policy: Any) -> TargetTracking | None:
    """The tracking of a policy of ours; None for another client's policy."""
    metric = policy["PolicyName"].partition(_SEPARATOR)[2]
    found = policy.get("TargetTrackingScalingPolicyConfiguration")
    if metric not in set(ScalingMetric) or not found:
        return None
    return TargetTracking(
        ScalingMetric(metric),
        int(found["TargetValue"]),
        found.get("ScaleInCooldown", 0),
        found.get("ScaleOutCooldown", 0),
    )


def _bounds(action: Any) -> ScheduledBounds:
    bounds = action.get("ScalableTargetAction", {})
    return ScheduledBounds(
        action["ScheduledActionName"].partition(_SEPARATOR)[2],
        action["Schedule"],
        action.get("Timezone", "UTC"),
        bounds.get("MinCapacity", 0),
        bounds.get("MaxCapacity", 0),
    )
