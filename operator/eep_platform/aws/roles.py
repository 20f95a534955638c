"""Refuses calls that hand a service a role that does not exist or does not trust it, as AWS does.

API Gateway is not among the services: it learns at an invocation that it cannot assume an integration's role.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web
from microburst.core.context import RequestContext

from eep_platform.aws.guard.lookups import Lookups
from eep_platform.aws.inputs.parameters import parameters
from eep_platform.aws.wire import Request, error_response
from ephemeral_endpoints.iam.trusted import trusts

_BAD_REQUEST: Final = 400
_IAM: Final = "iam"
_READING: Final = ("Get", "List", "Simulate")


@dataclass(frozen=True, slots=True)
class _Handover:
    """The member of an operation's input that names the role, and the error for a role that cannot be assumed.

    A dot in ``member`` is for a member of a structure.
    """

    member: str
    service: str
    code: str
    message: str

    def refusal(self, ctx: RequestContext, role: str) -> web.Response:
        return error_response(ctx, self.code, self.message.format(role=role), _BAD_REQUEST)


# https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
_LAMBDA: Final = _Handover(
    "Role",
    "lambda.amazonaws.com",
    "InvalidParameterValueException",
    "The role defined for the function cannot be assumed by Lambda.",
)
_SAGEMAKER: Final = _Handover(
    "ExecutionRoleArn",
    "sagemaker.amazonaws.com",
    "ValidationException",
    "Could not assume role {role}. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' "
    "to assume the role.",
)
_JOB: Final = replace(_SAGEMAKER, member="RoleArn")
_CODEBUILD: Final = _Handover(
    "serviceRole",
    "codebuild.amazonaws.com",
    "InvalidInputException",
    "CodeBuild is not authorized to perform: sts:AssumeRole on {role}",
)
_FIREHOSE: Final = _Handover(
    "ExtendedS3DestinationConfiguration.RoleARN",
    "firehose.amazonaws.com",
    "InvalidArgumentException",
    "Firehose is unable to assume role {role}. Please check the role provided.",
)
_HANDOVERS: Final[Mapping[tuple[str, str], _Handover]] = {
    ("lambda", "CreateFunction"): _LAMBDA,
    ("lambda", "UpdateFunctionConfiguration"): _LAMBDA,
    ("sagemaker", "CreateModel"): _SAGEMAKER,
    ("sagemaker", "CreatePipeline"): _JOB,
    ("sagemaker", "UpdatePipeline"): _JOB,
    ("sagemaker", "CreateProcessingJob"): _JOB,
    ("sagemaker", "CreateTrainingJob"): _JOB,
    ("firehose", "CreateDeliveryStream"): _FIREHOSE,
    ("firehose", "UpdateDestination"): replace(_FIREHOSE, member="ExtendedS3DestinationUpdate.RoleARN"),
    ("codebuild", "CreateProject"): _CODEBUILD,
    ("codebuild", "UpdateProject"): _CODEBUILD,
}


class RoleCheck:
    """Knows the trust policies of roles until a call may have changed one."""

    def __init__(self, lookups: Callable[[str], Lookups]) -> None:
        """``lookups`` returns the lookups for an account."""
        self._lookups = lookups
        self._trusts: dict[str, Mapping[str, Any]] = {}

    def forget(self) -> None:
        """Read every role again."""
        self._trusts.clear()

    async def refusal(self, request: Request, ctx: RequestContext) -> web.Response | None:
        """The error answer to a call whose role cannot be assumed; None for all others."""
        if ctx.service == _IAM and not (ctx.operation or "").startswith(_READING):
            self.forget()
        handover = _HANDOVERS.get((ctx.service or "", ctx.operation or ""))
        role: Any = parameters(ctx, request) if handover else None
        for member in handover.member.split(".") if handover else ():
            role = role.get(member, {})
        if handover is None or not isinstance(role, str) or ":role/" not in role:
            return None
        trust = self._trusts.get(role) or await asyncio.to_thread(self._lookups(role.split(":")[4]).trust_of, role)
        if trust is None:
            return handover.refusal(ctx, role)
        self._trusts[role] = trust
        return None if trusts(trust, handover.service) else handover.refusal(ctx, role)
