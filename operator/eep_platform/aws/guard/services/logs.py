"""The operations of CloudWatch Logs."""

from collections.abc import Iterable
from typing import Final

from eep_platform.aws.guard.rules import CallScope, Operations, at, creating, fixed, named, named_by, tagging
from eep_platform.aws.inputs.rules import Parameters

_GROUP: Final = at("logs", "log-group:", "logGroupName")


def _stream(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    name = f"log-group:{parameters['logGroupName']}:log-stream:{parameters.get('logStreamName', '')}"
    return (scope.arn("logs", name),)


RULES: Final[Operations] = {
    **named("logs", fixed("logs", "log-group::log-stream:"), "DescribeLogGroups"),
    **named("logs", named_by("resourceArn"), "ListTagsForResource", "TagResource", keys=tagging),
    **named("logs", _GROUP, "DeleteLogGroup", "DescribeLogStreams", "PutRetentionPolicy"),
    **named("logs", _stream, "GetLogEvents"),
    **creating("logs", "CreateLogGroup", _GROUP),
}
