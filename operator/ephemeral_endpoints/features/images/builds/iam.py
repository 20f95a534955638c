"""What the operator does in CodeBuild.

References: "Actions, resources, and condition keys for" AWS CodeBuild
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodebuild.html).
"""

from typing import Final

from ephemeral_endpoints.iam.scope import arn
from ephemeral_endpoints.iam.statement import Statement

BUILD_LOGS: Final = (arn("logs", "log-group:/aws/codebuild/${BuildProject}:*"),)

BUILDS: Final = (
    Statement(
        "Build",
        ("codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject", "codebuild:StartBuild", "codebuild:StopBuild"),
        (arn("codebuild", "project/${BuildProject}"),),
        "Builds in the one project; a build has no tags of its own.",
    ),
    Statement("ReadBuildLogs", ("logs:GetLogEvents",), BUILD_LOGS, "The last lines of a failed build."),
)
