"""The permissions that AWS operations require: actions, their resources and the condition keys of the call.

Most operations require the action of their own name. Further actions are in the column "dependent actions" of the
Service Authorization Reference and, for what Application Auto Scaling does on behalf of its caller, in its user guide
("identity-based policies"). Creating with tags counts as tagging, naming a role as passing it; API Gateway's actions
are verbs on paths.

The embedded AWS and the tests check the generated policies against it. It knows only the operations that the operator,
its forwarders and its pipelines call.
"""

from typing import Final

from eep_platform.aws.guard.rules import CallScope, Operations, RequiredAction
from eep_platform.aws.guard.services import (
    api_gateway,
    autoscaling,
    cloudwatch,
    dynamodb,
    ecr,
    events,
    lambda_,
    logs,
    others,
    s3,
    sagemaker,
    ssm,
    streams,
)
from eep_platform.aws.inputs.rules import Parameters

OPERATIONS: Final[Operations] = {
    **api_gateway.RULES,
    **autoscaling.RULES,
    **cloudwatch.RULES,
    **dynamodb.RULES,
    **ecr.RULES,
    **events.RULES,
    **lambda_.RULES,
    **logs.RULES,
    **others.RULES,
    **s3.RULES,
    **sagemaker.RULES,
    **ssm.RULES,
    **streams.RULES,
}
"""The rules of all known operations, by botocore's names of service and operation."""


def actions_of(service: str, operation: str) -> frozenset[str]:
    """All actions that an operation may require. Raises KeyError for an unknown operation."""
    return frozenset(rule.action for rule in OPERATIONS[service, operation])


def required_actions(
    service: str, operation: str, parameters: Parameters, scope: CallScope
) -> tuple[RequiredAction, ...]:
    """The actions that a call requires. Raises KeyError for an unknown operation."""
    return tuple(
        RequiredAction(rule.action, resource, rule.keys(parameters))
        for rule in OPERATIONS[service, operation]
        if rule.when(parameters)
        for resource in rule.resources(parameters, scope)
    )
