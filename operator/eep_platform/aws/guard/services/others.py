"""The operations of services of which few operations are called."""

from collections.abc import Iterable
from typing import Final

from eep_platform.aws.guard.rules import CallScope, Operations, Rule, any_resource, at, named, named_by
from eep_platform.aws.inputs.rules import Parameters


def _projects(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    """The projects of builds, which are prefixes of the builds' IDs."""
    ids = parameters.get("ids") or [parameters["id"]]
    return dict.fromkeys(scope.arn("codebuild", f"project/{each.partition(':')[0]}") for each in ids)


def _queue(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    name = parameters.get("QueueName") or parameters["QueueUrl"].rpartition("/")[2]
    return (scope.arn("sqs", name),)


def _role_named(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    """A role by its name; its ARN contains its path, which the call does not."""
    name = parameters["RoleName"]
    return (scope.role_arn(name) or f"arn:{scope.partition}:iam::{scope.id}:role/{name}",)


RULES: Final[Operations] = {
    **named("iam", _role_named, "GetRole"),
    **named("codebuild", at("codebuild", "project/", "projectName"), "ListBuildsForProject", "StartBuild"),
    **named("codebuild", _projects, "BatchGetBuilds", "StopBuild"),
    ("sns", "Publish"): (Rule("sns:Publish", named_by("TopicArn")),),
    **named("sqs", _queue, "GetQueueUrl", "ReceiveMessage", "SendMessage"),
    ("resourcegroupstaggingapi", "GetResources"): (Rule("tag:GetResources", any_resource),),
    ("resourcegroupstaggingapi", "GetTagValues"): (Rule("tag:GetTagValues", any_resource),),
    ("pricing", "GetProducts"): (Rule("pricing:GetProducts", any_resource),),
    ("service-quotas", "ListServiceQuotas"): (Rule("servicequotas:ListServiceQuotas", any_resource),),
    ("sqs", "DeleteMessageBatch"): (Rule("sqs:DeleteMessage", _queue),),
    ("sts", "AssumeRole"): (Rule("sts:AssumeRole", named_by("RoleArn")),),
    ("sts", "GetCallerIdentity"): (),
}
