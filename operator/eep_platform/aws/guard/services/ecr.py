"""The operations of ECR."""

from collections.abc import Iterable
from typing import Final

from eep_platform.aws.guard.rules import CallScope, Operations, creating, named, named_by, tagging
from eep_platform.aws.inputs.rules import Parameters


def _repository(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    account = parameters.get("registryId", scope.id)
    name = parameters["repositoryName"]
    return (f"arn:{scope.partition}:ecr:{scope.region}:{account}:repository/{name}",)


def _repositories(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    return (scope.arn("ecr", f"repository/{name}") for name in parameters.get("repositoryNames") or ("*",))


RULES: Final[Operations] = {
    **named("ecr", _repositories, "DescribeRepositories"),
    **named("ecr", named_by("resourceArn"), "ListTagsForResource", "TagResource", keys=tagging),
    **named(
        "ecr",
        _repository,
        "BatchDeleteImage",
        "BatchGetImage",
        "DeleteRepository",
        "DescribeImageScanFindings",
        "DescribeImages",
        "GetDownloadUrlForLayer",
        "GetLifecyclePolicy",
        "PutImageScanningConfiguration",
        "PutImageTagMutability",
        "PutLifecyclePolicy",
    ),
    **creating("ecr", "CreateRepository", _repository),
}
