"""The roles that AWS services assume on behalf of classes, and the roles of continuous integration.

References: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html (CreateModel API: execution role
permissions; auto-rollback reads alarms), https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html,
https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html and
https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html.
"""

from typing import Final

from ephemeral_endpoints.core.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX
from ephemeral_endpoints.iam.images import ALL_REPOSITORIES, BUILD_LOGS, OWN_REPOSITORIES
from ephemeral_endpoints.iam.scope import OURS, arn
from ephemeral_endpoints.iam.statement import Effect, Statement

_PULLS: Final = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_PUSHES: Final = ("ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")
_BUCKET: Final = arn("s3", "${DataBucket}", at=":")
_OBJECTS: Final = f"{_BUCKET}/*"

_LOG_IN: Final = Statement(
    "LogIn", ("ecr:GetAuthorizationToken",), ("*",), "The password for ECR. This action knows no resource types."
)

EXECUTION: Final = (
    _LOG_IN,
    Statement("PullImages", _PULLS, ALL_REPOSITORIES, "The images of models; narrow it as the operator's."),
    Statement(
        "WriteLogs",
        ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
        (arn("logs", f"log-group:{ENDPOINT_LOG_PREFIX}{OURS}"),),
        "What containers print.",
    ),
    Statement(
        "PutMetrics",
        ("cloudwatch:PutMetricData",),
        ("*",),
        "This action knows no resource types; the namespaces are SageMaker's.",
        {"StringEquals": {"cloudwatch:namespace": ("AWS/SageMaker", "/aws/sagemaker/Endpoints")}},
    ),
    Statement(
        "WatchAlarms",
        ("cloudwatch:DescribeAlarms",),
        (arn("cloudwatch", "alarm:*"),),
        "A rollout that goes wrong is taken back by alarms. Lists are authorised on all alarms at once.",
    ),
)

EXECUTION_DATA: Final = (
    Statement("UseData", ("s3:GetObject", "s3:PutObject"), (_OBJECTS,), "Model archives, captures, queued requests."),
    Statement("ListData", ("s3:ListBucket",), (_BUCKET,), "That something is missing is told only to who may list."),
)

FORWARDER: Final = (
    Statement(
        "Invoke",
        ("sagemaker:InvokeEndpoint",),
        (arn("sagemaker", f"endpoint/{OURS}"),),
        "Requests to models.",
    ),
    Statement(
        "WriteLogs",
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        (arn("logs", f"log-group:{LAMBDA_LOG_PREFIX}{OURS}"),),
        "What forwarders print. No CreateLogGroup: the operator makes the groups, with an end.",
    ),
)

FORWARDER_DATA: Final = (
    Statement(
        "InvokeAsync",
        ("sagemaker:InvokeEndpointAsync",),
        (arn("sagemaker", f"endpoint/{OURS}"),),
        "Requests that are queued.",
    ),
    Statement("UseQueue", ("s3:GetObject", "s3:PutObject"), (_OBJECTS,), "Queued requests and their results."),
    Statement("ListQueue", ("s3:ListBucket",), (_BUCKET,), "That a result is missing is told only to who may list."),
)

INVOKE: Final = (
    Statement(
        "InvokeForwarders", ("lambda:InvokeFunction",), (arn("lambda", f"function:{OURS}"),), "API Gateway's one task."
    ),
)

BUILD: Final = (
    _LOG_IN,
    Statement(
        "PushImages", (*_PULLS, *_PUSHES), OWN_REPOSITORIES, "Images and caches, in the repositories of classes."
    ),
    Statement(
        "WriteBuildLogs",
        ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
        (BUILD_LOGS[0].removesuffix(":*"), *BUILD_LOGS),
        "What builds print.",
    ),
)

BUILD_SECRETS: Final = (
    Statement(
        "ReadBuildSecrets",
        ("secretsmanager:GetSecretValue",),
        (arn("secretsmanager", "secret:${BuildSecrets}"),),
        "The secrets that classes let Dockerfiles mount, and no others.",
    ),
)

PUSH: Final = (
    _LOG_IN,
    Statement(
        "PushImages",
        (*_PULLS, *_PUSHES),
        (arn("ecr", "repository/${Repository}"),),
        "A workflow that builds the images itself.",
    ),
)

APPLY: Final = (
    Statement(
        "FindCluster",
        ("eks:DescribeCluster",),
        (arn("eks", "cluster/${EksCluster}"),),
        "Where the API server is. What may be applied there, RBAC says.",
    ),
)

LIMITS: Final = (
    Statement(
        "OnlyTheseInstances",
        ("sagemaker:CreateEndpointConfig",),
        ("*",),
        "Whatever classes allow, the account runs no other instance types.",
        {"ForAnyValue:StringNotLike": {"sagemaker:InstanceTypes": ("${InstanceTypes}",)}},
        Effect.DENY,
    ),
    Statement(
        "OnlySoMuchConcurrency",
        ("sagemaker:CreateEndpointConfig",),
        ("*",),
        "Likewise for serverless endpoints.",
        {"NumericGreaterThan": {"sagemaker:ServerlessMaxConcurrency": "${MaxConcurrency}"}},
        Effect.DENY,
    ),
)
