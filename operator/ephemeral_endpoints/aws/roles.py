"""Whether the roles that a class names exist and trust the services that assume them.

AWS tells it only when an object is created (SageMaker, Lambda) or called (API Gateway), to people who cannot repair it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass, EphemeralEndpointClassSpec
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.engine.backoff import delay
from ephemeral_endpoints.engine.errors import AwsError, NotFound, RoleUnusable, Transient
from ephemeral_endpoints.iam.scope import role
from ephemeral_endpoints.iam.statement import Statement
from ephemeral_endpoints.iam.trusted import trusts

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient

_SAGEMAKER: Final = "sagemaker.amazonaws.com"

STATEMENTS: Final = (
    Statement(
        "ReadClassRoles",
        ("iam:GetRole",),
        tuple(map(role, ("DeliveryRole", "ExecutionRole", "ForwarderRole", "InvokeRole"))),
        "The condition of a class says which of its roles does not exist or trusts the wrong service. Without it the "
        "operator says that it does not know.",
    ),
)
CHOSEN_STATEMENTS: Final = (
    Statement(
        "ReadChosenRoles", ("iam:GetRole",), (role("ExecutionRoles"),), "Likewise for roles that objects choose."
    ),
)

CHECK_SECONDS: Final = 3600.0
"""Roles that were as they should be are read again after this long."""

ANSWER_SECONDS: Final = 5.0
"""For how long a class waits for IAM, which many private networks cannot reach."""

UNKNOWN_SECONDS: Final = 300.0
"""The pause after a call that IAM refused or did not answer, as in a network without a way to it."""


@dataclass(frozen=True, slots=True)
class ServiceRole:
    """A role that a field of a class names, and the service that assumes it."""

    field: str
    arn: str
    service: str

    @property
    def name(self) -> str:
        """The name of the role, without its path."""
        return self.arn.rpartition("/")[2]

    def fault(self, found: Mapping[str, Any] | None) -> str | None:
        """What keeps the service from assuming the role, by IAM's answer about it; None if nothing is known to."""
        if found is None or found["Arn"] != self.arn:
            return (
                f"{self.field} names {self.arn}, which does not exist: create the role with {self.service} in its "
                "trust policy, or correct the class"
            )
        if not trusts(found["AssumeRolePolicyDocument"], self.service):
            return (
                f"the trust policy of {self.arn} ({self.field}) does not let {self.service} assume the role: allow "
                "the service sts:AssumeRole there, or correct the class"
            )
        return None


def roles_of(spec: EphemeralEndpointClassSpec) -> tuple[ServiceRole, ...]:
    """The roles that a class names for AWS services."""
    chosen = (ServiceRole("allowedExecutionRoleArns", arn, _SAGEMAKER) for arn in spec.allowed_execution_role_arns)
    return (
        ServiceRole("executionRoleArn", spec.execution_role_arn, _SAGEMAKER),
        ServiceRole("forwarderRoleArn", spec.forwarder_role_arn, "lambda.amazonaws.com"),
        ServiceRole("invokeRoleArn", spec.invoke_role_arn, "apigateway.amazonaws.com"),
        *chosen,
        *(
            (ServiceRole("capture.deliveryRoleArn", spec.capture.delivery_role_arn, "firehose.amazonaws.com"),)
            if spec.capture and spec.capture.delivery_role_arn
            else ()
        ),
    )


@dataclass(frozen=True, slots=True)
class RoleFindings:
    """What is known about the roles of a class."""

    problem: RoleUnusable | None = None
    """Roles that services cannot assume."""

    unknown: AwsError | None = None
    """Why a role could not be read."""

    @classmethod
    def of(cls, roles: Mapping[ServiceRole, Mapping[str, Any] | AwsError | None]) -> Self:
        """The findings by IAM's answers: a role, None for one that does not exist, or an error."""
        faults = [role.fault(found) for role, found in roles.items() if not isinstance(found, AwsError)]
        told = "; ".join(filter(None, faults))
        unknown = next((found for found in roles.values() if isinstance(found, AwsError)), None)
        return cls(RoleUnusable(told) if told else None, unknown)


@dataclass(slots=True)
class _Known:
    roles: tuple[ServiceRole, ...]
    findings: RoleFindings
    due: float
    failures: int


class ClassRoles:
    """The findings about the roles of classes, kept until they are due again. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def findings(self, endpoint_class: EphemeralEndpointClass, calls: Calls, iam: "IAMClient") -> RoleFindings:
        """What is known, after reading the roles if that is due or the class names others. Raises nothing."""
        name, roles = endpoint_class.metadata.name, roles_of(endpoint_class.spec)
        known = self._known.get(name)
        if known and known.roles == roles and self._clock() < known.due:
            return known.findings
        found = await asyncio.gather(*(_read(each, calls, iam) for each in roles))
        findings = RoleFindings.of(dict(zip(roles, found, strict=True)))
        failures = (known.failures if known and known.roles == roles else 0) + 1 if findings.problem else 0
        self._known[name] = _Known(roles, findings, self._clock() + _pause(findings, failures), failures)
        return findings

    def forget(self, class_name: str) -> None:
        """Drop what is known about a class that is gone."""
        self._known.pop(class_name, None)

    def due_in(self, class_name: str) -> float | None:
        """In how many seconds the roles of a class are to be read again; None if they never were."""
        known = self._known.get(class_name)
        return max(0.0, known.due - self._clock()) if known else None


async def _read(role: ServiceRole, calls: Calls, iam: "IAMClient") -> Mapping[str, Any] | AwsError | None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await calls(iam.get_role, RoleName=role.name)
    except NotFound:
        return None
    except TimeoutError:
        return Transient(f"IAM did not answer within {ANSWER_SECONDS:g} s", operation="GetRole", is_quoted=True)
    except AwsError as error:
        return error
    found: Mapping[str, Any] = answer["Role"]
    return found


def _pause(findings: RoleFindings, failures: int) -> float:
    if findings.problem:
        return delay(findings.problem, failures)
    return UNKNOWN_SECONDS if findings.unknown else CHECK_SECONDS
