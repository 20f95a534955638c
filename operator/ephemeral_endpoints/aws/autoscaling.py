"""Autoscaling of production variants by Application Auto Scaling.

A scalable target with its policy and its scheduled actions is one resource here: the two are nothing without it and go
with it. Their names tell the instance type that the autoscaling was made for, which AWS keeps nowhere.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Scope, expect, expect_spec, pages
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.names import owner_of
from ephemeral_endpoints.core.resources import (
    Have,
    Haves,
    Key,
    Kind,
    Phase,
    ScalableTargetSpec,
    ScalingMetric,
    ScheduledBounds,
    TargetTracking,
    Want,
)
from ephemeral_endpoints.core.tags import Tags

if TYPE_CHECKING:
    from types_boto3_application_autoscaling import ApplicationAutoScalingClient

PAGE: Final = 50
_OF_VARIANTS: Final[Any] = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
_IN_SAGEMAKER: Final[Any] = {"ServiceNamespace": "sagemaker"}
_SEPARATOR: Final = "_"
"""Between instance type and name, neither of which contains it."""


class ScalableTargetComponent:
    """Scalable targets, each with its policy and its scheduled actions."""

    kind: ClassVar = Kind.SCALABLE_TARGET
    actions: ClassVar = frozenset(
        {
            "application-autoscaling:DeleteScalingPolicy",
            "application-autoscaling:DeleteScheduledAction",
            "application-autoscaling:DeregisterScalableTarget",
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:DescribeScalingPolicies",
            "application-autoscaling:DescribeScheduledActions",
            "application-autoscaling:ListTagsForResource",
            "application-autoscaling:PutScalingPolicy",
            "application-autoscaling:PutScheduledAction",
            "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:TagResource",
            # What Application Auto Scaling does on behalf of who registers
            # (https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html).
            "cloudwatch:DeleteAlarms",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:PutMetricAlarm",
            "iam:CreateServiceLinkedRole",
            "sagemaker:DescribeEndpoint",
            "sagemaker:DescribeEndpointConfig",
            "sagemaker:UpdateEndpointWeightsAndCapacities",
        }
    )

    def __init__(self, client: "ApplicationAutoScalingClient", scope: Scope) -> None:
        self._client = client
        self._scope = scope

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``. Policies and scheduled actions are listed only where there are targets."""
        targets = await self._listed(calls, self._client.describe_scalable_targets, "ScalableTargets", _OF_VARIANTS)
        if not targets:
            return []
        policies = await self._listed(calls, self._client.describe_scaling_policies, "ScalingPolicies", _IN_SAGEMAKER)
        actions = await self._listed(calls, self._client.describe_scheduled_actions, "ScheduledActions", _IN_SAGEMAKER)
        by_target, at_times = _by_resource(policies), _by_resource(actions)
        return [self._have(item, by_target[item["ResourceId"]], at_times[item["ResourceId"]]) for item in targets]

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``."""
        answer = await calls(self._client.describe_scalable_targets, ResourceIds=[key.name], **_OF_VARIANTS)
        if not answer["ScalableTargets"]:
            return None
        only = {**_OF_VARIANTS, "ResourceId": key.name}
        policies = await self._listed(calls, self._client.describe_scaling_policies, "ScalingPolicies", only)
        actions = await self._listed(calls, self._client.describe_scheduled_actions, "ScheduledActions", only)
        return self._have(answer["ScalableTargets"][0], policies, actions)

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str]:
        """See ``Component``."""
        return (await calls(self._client.list_tags_for_resource, ResourceARN=have.arn))["Tags"]

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``."""
        await calls(self._client.tag_resource, ResourceARN=have.arn, Tags=dict(marks))

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``. The target comes first: the others refer to it."""
        spec = expect(want, ScalableTargetSpec)
        before = expect_spec(have.spec, ScalableTargetSpec) if have else None
        arn = have.arn if have else ""
        if have is None or before is None or before.fixed_bounds != spec.fixed_bounds:
            arn = await self._register(calls, want.key.name, spec, is_new=have is None)
        await self._track(calls, want.key.name, spec, before.tracking if before else None)
        await self._schedule(calls, want.key.name, spec, before.schedule if before else ())
        return self._made(want.key.name, spec, arn)

    async def delete(self, calls: Calls, have: Have, known: Haves) -> None:
        """See ``Component``. Policies and scheduled actions go with their target."""
        await _forget(calls, self._client.deregister_scalable_target, ResourceId=have.key.name)

    async def _listed(
        self, calls: Calls, method: Callable[..., Any], member: str, arguments: Mapping[str, Any]
    ) -> list[Any]:
        ours = f"endpoint/{self._scope.prefix}"
        listing = pages(calls, method, MaxResults=PAGE, **arguments)
        return [item async for page in listing for item in page[member] if item["ResourceId"].startswith(ours)]

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
            name = _tell(spec.instance_type, before.metric)
            await _forget(calls, self._client.delete_scaling_policy, PolicyName=name, ResourceId=resource_id)
        if spec.tracking and spec.tracking != before:
            await calls(
                self._client.put_scaling_policy,
                PolicyName=_tell(spec.instance_type, spec.tracking.metric),
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
                name = _tell(spec.instance_type, action.name)
                await _forget(
                    calls, self._client.delete_scheduled_action, ScheduledActionName=name, ResourceId=resource_id
                )
        for action in spec.schedule:
            if action not in before:
                await calls(
                    self._client.put_scheduled_action,
                    ScheduledActionName=_tell(spec.instance_type, action.name),
                    ResourceId=resource_id,
                    Schedule=action.schedule,
                    Timezone=action.timezone,
                    ScalableTargetAction={"MinCapacity": action.min_count, "MaxCapacity": action.max_count},
                    **_OF_VARIANTS,
                )

    def _have(self, target: Any, policies: list[Any], actions: list[Any]) -> Have:
        names = [each["PolicyName"] for each in policies] + [each["ScheduledActionName"] for each in actions]
        instance_type = next((name.partition(_SEPARATOR)[0] for name in names if _SEPARATOR in name), "")
        schedule = tuple(sorted(_bounds(each) for each in actions if _SEPARATOR in each["ScheduledActionName"]))
        _, endpoint, _, variant = target["ResourceId"].split("/")
        spec = ScalableTargetSpec(
            endpoint=Key(Kind.ENDPOINT, endpoint),
            variant=variant,
            instance_type=instance_type,
            fixed_bounds=None if schedule else (target["MinCapacity"], target["MaxCapacity"]),
            tracking=next((found for each in policies if (found := _tracking(each))), None),
            schedule=schedule,
        )
        return self._made(target["ResourceId"], spec, target.get("ScalableTargetARN", ""))

    def _made(self, resource_id: str, spec: ScalableTargetSpec, arn: str) -> Have:
        return Have(
            Key(self.kind, resource_id),
            Phase.READY,
            spec=spec,
            arn=arn,
            owner=owner_of(self._scope.cluster_id, spec.endpoint.name),
            uses=frozenset({spec.endpoint}),
        )


async def _forget(calls: Calls, method: Callable[..., Any], **names: str) -> None:
    with suppress(errors.NotFound):
        await calls(method, **names, **_OF_VARIANTS)


def _tell(instance_type: str, name: str) -> str:
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
    """What a policy of ours does; None for one of somebody else's."""
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
