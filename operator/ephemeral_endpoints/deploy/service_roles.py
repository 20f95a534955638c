"""The roles that AWS services assume for classes, and the roles of continuous integration.

References: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html (CreateModel API: execution role
permissions, also in a VPC; auto-rollback reads alarms), https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html,
https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html and
https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html.
"""

from typing import Final

from ephemeral_endpoints.engine.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX
from ephemeral_endpoints.features.images.builds.iam import BUILD_LOGS
from ephemeral_endpoints.features.images.iam import OWN_REPOSITORIES
from ephemeral_endpoints.features.routing.feedback.iam import TABLES
from ephemeral_endpoints.iam.scope import IS_OF_CLASS, OURS, arn
from ephemeral_endpoints.iam.statement import Conditions, Effect, Statement

_PULLS: Final = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_PUSHES: Final = ("ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")
_BUCKET: Final = arn("s3", "${DataBucket}", at=":")
_OBJECTS: Final = f"{_BUCKET}/*"

_WORKFLOW_REPOSITORIES: Final = (arn("ecr", "repository/${Repository}"),)

_LOG_IN: Final = Statement(
    "LogIn", ("ecr:GetAuthorizationToken",), ("*",), "The password for ECR. The action supports no resource types."
)

PULLS: Final = (
    _LOG_IN,
    Statement(
        "PullClassImages", _PULLS, OWN_REPOSITORIES, "Images that the operator built for this class.", IS_OF_CLASS
    ),
    Statement(
        "PullImages",
        _PULLS,
        _WORKFLOW_REPOSITORIES,
        "Images that workflows pushed: name only repositories whose images this class may serve.",
    ),
)

EXECUTION: Final = (
    *PULLS,
    Statement(
        "WriteLogs",
        ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
        (arn("logs", f"log-group:{ENDPOINT_LOG_PREFIX}{OURS}"),),
        "The logs of containers.",
    ),
    Statement(
        "PutMetrics",
        ("cloudwatch:PutMetricData",),
        ("*",),
        "The action supports no resource types; the namespaces are SageMaker's.",
        {"StringEquals": {"cloudwatch:namespace": ("AWS/SageMaker", "/aws/sagemaker/Endpoints")}},
    ),
    Statement(
        "WatchAlarms",
        ("cloudwatch:DescribeAlarms",),
        (arn("cloudwatch", "alarm:*"),),
        "Alarms roll back a failed rollout. Lists are authorised for all alarms at once.",
    ),
)

EXECUTION_DATA: Final = (
    Statement("UseData", ("s3:GetObject", "s3:PutObject"), (_OBJECTS,), "Model archives, captures, queued requests."),
    Statement("ListData", ("s3:ListBucket",), (_BUCKET,), "S3 reports a missing object only to callers that may list."),
)

_INTERFACES: Final = tuple(arn("ec2", f"{each}/*") for each in ("network-interface", "security-group", "subnet"))

EXECUTION_VPC: Final = (
    Statement(
        "ManageNetworkInterfaces",
        (
            "ec2:CreateNetworkInterface",
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteNetworkInterfacePermission",
        ),
        _INTERFACES,
        "SageMaker connects models to the subnets and security groups of the class.",
    ),
    Statement(
        "DescribeNetwork",
        (
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ),
        ("*",),
        "Lookups beside it. The actions support no resource types.",
    ),
)

_KMS_KEYS: Final = (arn("kms", "key/${KmsKeys}"),)
_VIA_S3: Final[Conditions] = {"StringEquals": {"kms:ViaService": "s3.${Region}.amazonaws.com"}}

EXECUTION_KEYS: Final = (
    Statement(
        "UseKeys",
        ("kms:Decrypt", "kms:GenerateDataKey"),
        _KMS_KEYS,
        "Reads and writes encrypted objects, through S3 only.",
        _VIA_S3,
    ),
)

FORWARDER_KEYS: Final = (
    Statement(
        "UseKeys",
        ("kms:Decrypt", "kms:GenerateDataKey"),
        _KMS_KEYS,
        "Stores queued requests and reads their results, through S3 only.",
        _VIA_S3,
    ),
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
        "The logs of forwarders. No CreateLogGroup: the operator creates the groups, with a retention.",
    ),
    Statement(
        "ReadEnd",
        ("lambda:ListTags",),
        (arn("lambda", f"function:{OURS}"),),
        "When the object ends, which the URL tells: an extension changes the tag alone.",
    ),
    Statement(
        "AskBase",
        ("lambda:InvokeFunction",),
        (arn("lambda", f"function:{OURS}"),),
        "What commit the base of a comparison or a second model comes from, by its own forwarder: a push to it changes "
        "no other function.",
    ),
    Statement(
        "StoreVotes",
        ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"),
        TABLES,
        "Votes on answers, and their counts.",
    ),
)

FORWARDER_DATA: Final = (
    Statement(
        "InvokeAsync",
        ("sagemaker:InvokeEndpointAsync",),
        (arn("sagemaker", f"endpoint/{OURS}"),),
        "Queued requests.",
    ),
    Statement("UseQueue", ("s3:GetObject", "s3:PutObject"), (_OBJECTS,), "Queued requests and their results."),
    Statement(
        "ListQueue", ("s3:ListBucket",), (_BUCKET,), "S3 reports a missing result only to callers that may list."
    ),
)

FORWARDER_POSTPROCESSORS: Final = (
    Statement(
        "InvokePostprocessors",
        ("sagemaker:InvokeEndpoint",),
        (arn("sagemaker", "endpoint/${Postprocessors}"),),
        "SageMaker endpoints that the class lists, which get the answers of models. ARNs have their names in lower "
        "case.",
    ),
)

INVOKE: Final = (
    Statement(
        "InvokeForwarders",
        ("lambda:InvokeFunction",),
        (arn("lambda", f"function:{OURS}"),),
        "Invokes the forwarders for API Gateway.",
    ),
)

BUILD: Final = (
    _LOG_IN,
    Statement(
        "PushImages",
        (*_PULLS, *_PUSHES),
        OWN_REPOSITORIES,
        "Images and caches, in the repository of this class.",
        IS_OF_CLASS,
    ),
    Statement(
        "WriteBuildLogs",
        ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
        (BUILD_LOGS[0].removesuffix(":*"), *BUILD_LOGS),
        "The logs of builds.",
    ),
)

_CLASS_REPOSITORY: Final = (arn("ecr", "repository/${ClassRepository}"),)
_BY_NAME: Final = "By name and not by tag: whoever may tag repositories could add others."

EXECUTION_REPOSITORY: Final = (
    Statement(
        "PullOwnImages", _PULLS, _CLASS_REPOSITORY, f"Images in the existing repository of this class. {_BY_NAME}"
    ),
)

BUILD_REPOSITORY: Final = (
    Statement(
        "PushOwnImages",
        (*_PULLS, *_PUSHES),
        _CLASS_REPOSITORY,
        f"Images and caches, in the existing repository of this class. {_BY_NAME}",
    ),
)

BUILD_SECRETS: Final = (
    Statement(
        "ReadBuildSecrets",
        ("secretsmanager:GetSecretValue",),
        (arn("secretsmanager", "secret:${BuildSecrets}/${ClassName}/*"),),
        "The secrets that this class lets Dockerfiles mount, below a prefix of its own.",
    ),
)

PUSH: Final = (
    _LOG_IN,
    Statement(
        "PushImages",
        (*_PULLS, *_PUSHES),
        _WORKFLOW_REPOSITORIES,
        "For a workflow that builds the images itself.",
    ),
)

APPLY: Final = (
    Statement(
        "FindCluster",
        ("eks:DescribeCluster",),
        (arn("eks", "cluster/${EksCluster}"),),
        "The address of the API server. RBAC limits what can be applied there.",
    ),
)

LIMITS: Final = (
    Statement(
        "OnlyTheseInstances",
        ("sagemaker:CreateEndpointConfig",),
        ("*",),
        "The account runs no other instance types, whatever classes allow.",
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
