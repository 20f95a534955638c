"""What the operator does in ECR, CodeBuild, SQS and STS.

References: "Actions, resources, and condition keys for" Amazon Elastic Container Registry
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html), AWS
CodeBuild (…/list_awscodebuild.html), Amazon SQS (…/list_amazonsqs.html) and AWS Security Token Service
(…/list_awssecuritytokenservice.html). Nobody needs a permission for sts:GetCallerIdentity
(https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html).
"""

from typing import Final

from ephemeral_endpoints.iam.scope import IS_NEW, IS_OURS, OURS, arn
from ephemeral_endpoints.iam.statement import Statement

OWN_REPOSITORIES: Final = (arn("ecr", f"repository/{OURS}"), arn("ecr", f"repository/*/{OURS}"))
"""Those of classes, which may be in folders."""

ALL_REPOSITORIES: Final = (arn("ecr", "repository/*"),)
BUILD_LOGS: Final = (arn("logs", "log-group:/aws/codebuild/${BuildProject}:*"),)

IMAGES: Final = (
    Statement(
        "ReadImages",
        ("ecr:BatchGetImage", "ecr:DescribeImageScanFindings", "ecr:DescribeRepositories"),
        ALL_REPOSITORIES,
        "Any image of the account may be served unless a class narrows it: narrow it here too, by names. "
        "Repositories are listed all at once.",
    ),
    Statement(
        "ReadOwnRepositories",
        ("ecr:DescribeImages", "ecr:GetLifecyclePolicy", "ecr:ListTagsForResource"),
        OWN_REPOSITORIES,
        "What is in the repositories of classes, and whose they are.",
    ),
    Statement(
        "CreateRepositories",
        ("ecr:CreateRepository", "ecr:TagResource"),
        OWN_REPOSITORIES,
        "Creating with tags is tagging.",
        IS_NEW,
    ),
    Statement(
        "ChangeRepositories",
        (
            "ecr:BatchDeleteImage",
            "ecr:DeleteRepository",
            "ecr:PutImageScanningConfiguration",
            "ecr:PutImageTagMutability",
            "ecr:PutLifecyclePolicy",
        ),
        OWN_REPOSITORIES,
        "Repairs and deletions. What a class only uses lacks the tag: nothing in it can be deleted.",
        IS_OURS,
    ),
)

BUILDS: Final = (
    Statement(
        "Build",
        ("codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject", "codebuild:StartBuild", "codebuild:StopBuild"),
        (arn("codebuild", "project/${BuildProject}"),),
        "Builds in the one project; a build has no tags of its own.",
    ),
    Statement("ReadBuildLogs", ("logs:GetLogEvents",), BUILD_LOGS, "The last lines of a build that failed."),
)

EVENTS: Final = (
    Statement(
        "HearEvents",
        ("sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"),
        (arn("sqs", "${EventQueue}"),),
        "SageMaker's events, from the one queue.",
    ),
)

ASSUMING: Final = (
    Statement(
        "AssumeRoleOfClass",
        ("sts:AssumeRole",),
        ("${AssumedRole}",),
        "The roles of classes in other accounts, each by its ARN.",
    ),
)
