"""What the operator does in SageMaker, Application Auto Scaling, and SQS for SageMaker's events.

References: "Actions, resources, and condition keys for" Amazon SageMaker
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html), AWS Application Auto
Scaling (…/list_awsapplicationautoscaling.html) and Amazon SQS (…/list_amazonsqs.html); for what Application Auto
Scaling does on behalf of its caller
https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html; for the keys of volumes
https://docs.aws.amazon.com/sagemaker/latest/dg/api-permissions-reference.html.
"""

from typing import Final

from ephemeral_endpoints.iam.scope import IS_NEW, IS_OURS, OURS, arn, pass_role, retag
from ephemeral_endpoints.iam.statement import Conditions, Statement

_MODELS, _CONFIGS, _ENDPOINTS = (
    arn("sagemaker", f"{kind}/{OURS}") for kind in ("model", "endpoint-config", "endpoint")
)
_ALL: Final = (_MODELS, _CONFIGS, _ENDPOINTS)
_TARGETS: Final = (arn("application-autoscaling", "scalable-target/*"),)
"""The ARNs of scalable targets are hashes: only tags distinguish them."""

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
        "The inventory. The actions support no resource types.",
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
        "Changes, and the owner tags: the operator must recognise resources with our names but without our tags.",
    ),
    Statement(
        "CreateSageMaker",
        ("sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:CreateModel"),
        _ALL,
        "CreateEndpoint is authorised on the endpoint configuration too, hence all three resources.",
        IS_NEW,
    ),
    Statement(
        "TagNewSageMaker",
        ("sagemaker:AddTags",),
        _ALL,
        "Creating a resource with tags requires tagging; sagemaker:TaggingAction limits it to creations.",
        {
            **IS_NEW,
            "StringEquals": {
                **IS_NEW["StringEquals"],
                "sagemaker:TaggingAction": ("CreateEndpoint", "CreateEndpointConfig", "CreateModel"),
            },
        },
    ),
    retag("RetagSageMaker", "sagemaker:AddTags", _ALL),
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
        "Updates and deletions. Application Auto Scaling requires the last action of callers that register a target.",
        IS_OURS,
    ),
    pass_role(
        "PassExecutionRole", "ExecutionRole", "sagemaker", "Models run with this role, unless objects may choose."
    ),
)

HOSTING: Final = (
    pass_role("PassOtherExecutionRoles", "ExecutionRoles", "sagemaker", "Roles that a class lets objects choose."),
    Statement(
        "GrantVolumeKeys",
        ("kms:CreateGrant",),
        (arn("kms", "key/${KmsKeys}"),),
        "SageMaker creates the grant for the volumes of an endpoint with the permissions of the caller that creates or "
        "updates it. Only services can use the grant.",
        {
            "Bool": {"kms:GrantIsForAWSResource": "true"},
            "StringEquals": {"kms:ViaService": "sagemaker.${Region}.amazonaws.com"},
        },
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
        "The inventory. The actions support no resource types.",
    ),
    Statement(
        "ReadScaling",
        ("application-autoscaling:ListTagsForResource",),
        _TARGETS,
        "The owner tags. The ARN of a target is a hash, so a name cannot restrict it.",
    ),
    Statement(
        "CreateScaling",
        ("application-autoscaling:RegisterScalableTarget",),
        _TARGETS,
        "New targets, only for instances of endpoints.",
        _of_variants(IS_NEW),
    ),
    Statement(
        "TagNewScaling",
        ("application-autoscaling:TagResource",),
        _TARGETS,
        "Registering a target with tags requires the permission to tag it.",
        IS_NEW,
    ),
    retag("RetagScaling", "application-autoscaling:TagResource", _TARGETS),
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
        "Bounds, policies, schedules and deletion.",
        _of_variants(IS_OURS),
    ),
    Statement(
        "AlarmsOfScaling",
        ("cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"),
        (arn("cloudwatch", f"alarm:TargetTracking-endpoint/{OURS}"),),
        "Application Auto Scaling creates the alarms of a policy with the caller's permissions, without our tags.",
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
        "The first registration in an account creates the service-linked role of scaling.",
        {"StringEquals": {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"}},
    ),
)

EVENTS: Final = (
    Statement(
        "ReceiveEvents",
        ("sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"),
        (arn("sqs", "${EventQueue}"),),
        "SageMaker's events, from the one queue.",
    ),
)

FORWARDER_NOTICES: Final = (
    Statement(
        "SendNotices",
        ("sqs:SendMessage",),
        (arn("sqs", "${ClassQueue}"),),
        "That somebody uses the model, in the queue that the operator reads anyway.",
    ),
)
