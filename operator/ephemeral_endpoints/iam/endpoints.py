"""What the operator does in SageMaker and Application Auto Scaling.

References: "Actions, resources, and condition keys for" Amazon SageMaker
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html) and AWS Application Auto
Scaling (…/list_awsapplicationautoscaling.html); for what the latter does on behalf of its caller
https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html.
"""

from typing import Final

from ephemeral_endpoints.iam.scope import IS_NEW, IS_OURS, MARKS_OURS, OURS, arn, passed_to, role
from ephemeral_endpoints.iam.statement import Conditions, Statement

_MODELS, _CONFIGS, _ENDPOINTS = (
    arn("sagemaker", f"{kind}/{OURS}") for kind in ("model", "endpoint-config", "endpoint")
)
_ALL: Final = (_MODELS, _CONFIGS, _ENDPOINTS)
_TARGETS: Final = (arn("application-autoscaling", "scalable-target/*"),)
"""The ARNs of scalable targets are hashes: they can be told apart by tags only."""

_VARIANTS_ONLY: Final = {
    "application-autoscaling:service-namespace": "sagemaker",
    "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount",
}


def _of_variants(conditions: Conditions) -> Conditions:
    return {**conditions, "StringEquals": {**conditions["StringEquals"], **_VARIANTS_ONLY}}


SERVING: Final = (
    Statement(
        "ListSageMaker",
        ("sagemaker:ListEndpointConfigs", "sagemaker:ListEndpoints", "sagemaker:ListModels"),
        ("*",),
        "The inventory. These actions know no resource types.",
    ),
    Statement(
        "ReadSageMaker",
        (
            "sagemaker:DescribeEndpoint",
            "sagemaker:DescribeEndpointConfig",
            "sagemaker:DescribeModel",
            "sagemaker:ListTags",
        ),
        _ALL,
        "What changed, and whose it is: things under our names without our tags must be seen to be left alone.",
    ),
    Statement(
        "CreateSageMaker",
        ("sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:CreateModel"),
        _ALL,
        "An endpoint is created on its endpoint configuration too, hence all three resources.",
        IS_NEW,
    ),
    Statement(
        "TagNewSageMaker",
        ("sagemaker:AddTags",),
        _ALL,
        "Creating with tags is tagging; sagemaker:TaggingAction keeps it to creations.",
        {
            **IS_NEW,
            "StringEquals": {
                **IS_NEW["StringEquals"],
                "sagemaker:TaggingAction": ("CreateEndpoint", "CreateEndpointConfig", "CreateModel"),
            },
        },
    ),
    Statement(
        "MarkSageMaker",
        ("sagemaker:AddTags",),
        _ALL,
        "The end of life moves, and things are retained.",
        MARKS_OURS,
    ),
    Statement(
        "ChangeSageMaker",
        (
            "sagemaker:DeleteEndpoint",
            "sagemaker:DeleteEndpointConfig",
            "sagemaker:DeleteModel",
            "sagemaker:UpdateEndpoint",
            "sagemaker:UpdateEndpointWeightsAndCapacities",
        ),
        _ALL,
        "Updates and deletions. The last action is what Application Auto Scaling asks of who registers with it.",
        IS_OURS,
    ),
    Statement(
        "PassExecutionRole",
        ("iam:PassRole",),
        (role("ExecutionRole"),),
        "Models run as this role, and as no other.",
        passed_to("sagemaker"),
    ),
)

SCALING: Final = (
    Statement(
        "ListScaling",
        (
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:DescribeScalingPolicies",
            "application-autoscaling:DescribeScheduledActions",
        ),
        ("*",),
        "The inventory. These actions know no resource types.",
    ),
    Statement(
        "ReadScaling",
        ("application-autoscaling:ListTagsForResource",),
        _TARGETS,
        "Whose a target is. Its ARN is a hash, so that no name can narrow it.",
    ),
    Statement(
        "CreateScaling",
        ("application-autoscaling:RegisterScalableTarget",),
        _TARGETS,
        "New targets, of instances of endpoints only.",
        _of_variants(IS_NEW),
    ),
    Statement(
        "TagNewScaling",
        ("application-autoscaling:TagResource",),
        _TARGETS,
        "Registering with tags is tagging.",
        IS_NEW,
    ),
    Statement(
        "MarkScaling",
        ("application-autoscaling:TagResource",),
        _TARGETS,
        "The end of life moves, and things are retained.",
        MARKS_OURS,
    ),
    Statement(
        "ChangeScaling",
        (
            "application-autoscaling:DeleteScalingPolicy",
            "application-autoscaling:DeleteScheduledAction",
            "application-autoscaling:DeregisterScalableTarget",
            "application-autoscaling:PutScalingPolicy",
            "application-autoscaling:PutScheduledAction",
            "application-autoscaling:RegisterScalableTarget",
        ),
        _TARGETS,
        "Bounds, policies, schedules, and the end.",
        _of_variants(IS_OURS),
    ),
    Statement(
        "AlarmsOfScaling",
        ("cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"),
        (arn("cloudwatch", f"alarm:TargetTracking-endpoint/{OURS}"),),
        "Application Auto Scaling makes the alarms of a policy in the name of who puts it, without tags of ours.",
    ),
    Statement(
        "ServiceRoleOfScaling",
        ("iam:CreateServiceLinkedRole",),
        (
            arn(
                "iam",
                "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
                "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
                at=":${AccountId}",
            ),
        ),
        "The first registration in an account makes the role that scaling runs as.",
        {"StringEquals": {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"}},
    ),
)
