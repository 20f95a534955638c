"""The operations of Application Auto Scaling, with what it does for its caller."""

from collections.abc import Iterable
from typing import Final

from eep_platform.aws.guard.rules import (
    CallScope,
    ConditionKeys,
    Operations,
    Rule,
    any_resource,
    fixed,
    named,
    named_by,
    tagging,
    tagging_new,
)
from eep_platform.aws.inputs.rules import Parameters

_SCALING: Final = "application-autoscaling"


def _target(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    """The scalable target of a resource; a new one has no ARN yet."""
    return (scope.target_arn(parameters["ResourceId"]) or scope.arn(_SCALING, "scalable-target/*"),)


def _of_target(parameters: Parameters) -> ConditionKeys:
    return {
        **tagging(parameters),
        "application-autoscaling:service-namespace": parameters.get("ServiceNamespace", ""),
        "application-autoscaling:scalable-dimension": parameters.get("ScalableDimension", ""),
    }


def _scaled_endpoint(parameters: Parameters) -> str:
    return str(parameters["ResourceId"].split("/")[1])


def _scaled(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (scope.arn("sagemaker", f"endpoint/{_scaled_endpoint(parameters)}"),)


def _scaled_config(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (scope.arn("sagemaker", f"endpoint-config/{scope.config_of(_scaled_endpoint(parameters))}"),)


def _tracking_alarms(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (scope.arn("cloudwatch", f"alarm:TargetTracking-{parameters['ResourceId']}-AlarmHigh-0"),)


def _service_role(_: Parameters, scope: CallScope) -> Iterable[str]:
    service = "sagemaker.application-autoscaling.amazonaws.com"
    role = f"role/aws-service-role/{service}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    return (f"arn:{scope.partition}:iam::{scope.id}:{role}",)


RULES: Final[Operations] = {
    **named(_SCALING, any_resource, "DescribeScalableTargets", "DescribeScalingPolicies", "DescribeScheduledActions"),
    **named(_SCALING, named_by("ResourceARN"), "ListTagsForResource", "TagResource", keys=tagging),
    **named(
        _SCALING,
        _target,
        "DeleteScheduledAction",
        "DeregisterScalableTarget",
        "PutScheduledAction",
        keys=_of_target,
    ),
    (_SCALING, "RegisterScalableTarget"): (
        Rule(f"{_SCALING}:RegisterScalableTarget", _target, _of_target),
        tagging_new(f"{_SCALING}:TagResource", _target),
        Rule(
            "iam:CreateServiceLinkedRole",
            _service_role,
            lambda _: {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"},
        ),
        Rule("sagemaker:DescribeEndpoint", _scaled),
        Rule("sagemaker:DescribeEndpointConfig", _scaled_config),
        Rule("sagemaker:UpdateEndpointWeightsAndCapacities", _scaled),
    ),
    (_SCALING, "PutScalingPolicy"): (
        Rule(f"{_SCALING}:PutScalingPolicy", _target, _of_target),
        Rule("cloudwatch:DescribeAlarms", fixed("cloudwatch", "alarm:*")),
        Rule("cloudwatch:PutMetricAlarm", _tracking_alarms),
    ),
    (_SCALING, "DeleteScalingPolicy"): (
        Rule(f"{_SCALING}:DeleteScalingPolicy", _target, _of_target),
        Rule("cloudwatch:DeleteAlarms", _tracking_alarms),
    ),
}
