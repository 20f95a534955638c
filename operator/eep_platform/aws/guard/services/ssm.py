"""The operations of Systems Manager's parameters."""

from collections.abc import Iterable
from typing import Final

from eep_platform.aws.guard.rules import CallScope, ConditionKeys, Operations, any_resource, creating, named, tagging
from eep_platform.aws.inputs.rules import Parameters


def _parameter(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    """The parameter of a name or of an id: the slash before a path is not part of an ARN twice."""
    name = str(parameters.get("Name", parameters.get("ResourceId", "")))
    return (scope.arn("ssm", f"parameter/{name.removeprefix('/')}"),)


def _overwriting(parameters: Parameters) -> ConditionKeys:
    return {**tagging(parameters), "ssm:Overwrite": str(bool(parameters.get("Overwrite"))).lower()}


RULES: Final[Operations] = {
    **named("ssm", any_resource, "DescribeParameters"),
    **named("ssm", _parameter, "AddTagsToResource", "DeleteParameter", "ListTagsForResource", keys=tagging),
    **creating("ssm", "PutParameter", _parameter, tag="AddTagsToResource", keys=_overwriting),
}
