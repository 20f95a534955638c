"""Everything that can go wrong at the edges, as a small tree that decisions are made on.

ReconcileError
├── SecretTaken        the Secret that should hold the token cannot be used
├── Contested          something else keeps reverting what the operator does
├── NotAllowed         the class does not allow what the object asks for
├── RoleUnusable       a role of the class does not exist, or does not trust the service that assumes it
└── AwsError
    ├── NotFound           the resource that the call names does not exist
    ├── AlreadyExists      the name is taken, by the operator or by something else
    ├── InProgress         the resource is busy: wait until it is not
    ├── Transient          5xx, reset, timeout: the outcome is unknown
    │   └── Throttled      refused before anything was done
    ├── Denied             the caller, or SageMaker in its place, lacks a permission
    ├── Unauthenticated    credentials are missing, wrong or expired
    ├── WrongAccount       credentials of another account than the class names
    ├── QuotaExceeded      an account limit is reached
    ├── QuotaTooLow        more is asked for than an account limit allows, however much is free
    ├── NameConflict       the name belongs to a resource that is not the object's
    └── Invalid            no retry can help before the request changes
"""

from typing import ClassVar, Final

from ephemeral_endpoints.engine.reasons import ANY_STAGE, CLASS_READY, Finality, Reason, ReasonGroup

REASONS: Final = ReasonGroup(ANY_STAGE)

_RETRIED: Final = "the operator tries again"


class ReconcileError(Exception):
    """An error that keeps an object from its desired state.

    ``reason`` is that of the condition that reports it; only errors that have one can be raised. The message is safe
    to show: it carries no credentials and no payload.
    """

    reason: ClassVar[Reason]
    advice: ClassVar[str] = ""
    """What people can do about such an error if AWS or Kubernetes only says what is wrong, and when it is retried."""

    awaited: ClassVar[str] = "a change of the spec or of the class"
    """The change that would end it if it is terminal, for people."""

    def __init__(self, message: str, *, operation: str = "", is_quoted: bool = False) -> None:
        if not hasattr(type(self), "reason"):
            raise TypeError(f"{type(self).__name__} has no reason: raise one of its subclasses")
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.is_quoted = is_quoted

    def __str__(self) -> str:
        return f"{self.operation}: {self.message}" if self.operation else self.message

    @property
    def described(self) -> str:
        """The error with its advice, which the words of AWS and Kubernetes lack (``is_quoted``)."""
        return f"{self}: {self.advice}" if self.is_quoted and self.advice else str(self)

    @property
    def terminal(self) -> bool:
        """Whether repeating the same request cannot help."""
        return self.reason.is_permanent


class SecretTaken(ReconcileError):
    """The Secret that should hold the token belongs to another object, or holds no usable token."""

    reason = REASONS.for_platform(
        "SecretConflict",
        meaning="The Secret that should hold the token belongs to another object, or holds no usable token.",
        remedy="delete or rename that Secret, or rename the object; the operator then creates the Secret",
    )


class NotAllowed(ReconcileError):
    """The class does not allow what the object asks for; only a changed spec or class can help."""

    reason = REASONS.for_author(
        "NotAllowed",
        meaning="The class does not allow what the object asks for, such as an instance type.",
        remedy="choose a value that the message names, or ask the platform team to allow yours in the class",
    )


class RoleUnusable(ReconcileError):
    """AWS services cannot assume a role that the class names."""

    reason = REASONS.for_platform(
        "RoleUnusable",
        CLASS_READY,
        meaning="A role that the class names does not exist, or its trust policy does not name the AWS service that "
        "assumes it.",
        remedy="create the role or correct its trust policy, see [IAM](iam.md); the operator looks again within five "
        "minutes",
    )


class Contested(ReconcileError):
    """Something else keeps reverting what the operator does, which therefore pauses."""

    reason = REASONS.for_platform(
        "Contested",
        finality=Finality.TRANSIENT,
        meaning="Something keeps changing or deleting a resource that the operator repairs. The operator repairs it at "
        "growing intervals.",
        remedy="find the caller in CloudTrail and stop it",
    )


class AwsError(ReconcileError):
    """A call to AWS that did not succeed."""


class NotFound(AwsError):
    """The resource that the call names does not exist."""

    advice = (
        "create what is missing, or correct its name in the object or its class; the operator tries again within 5 "
        "minutes"
    )
    reason = REASONS.for_platform(
        "NotFound",
        meaning="A resource that an AWS call names does not exist, such as a role or a bucket.",
        remedy="create the resource that the message names, or correct its name in the object or the class",
    )


class AlreadyExists(AwsError):
    """The name is taken: by an earlier attempt of ours, or by another client."""

    advice = _RETRIED
    reason = REASONS.transient(
        "AlreadyExists", meaning="The name is already taken, in most cases by an earlier attempt of the operator."
    )


class InProgress(AwsError):
    """The resource is busy with an earlier change and refuses this one for now."""

    advice = _RETRIED
    reason = REASONS.transient("InProgress", meaning="AWS is still busy with an earlier change of the same resource.")


class Transient(AwsError):
    """The service failed or did not answer; whether the change was made is unknown."""

    advice = _RETRIED
    reason = REASONS.for_platform(
        "AwsUnavailable",
        finality=Finality.TRANSIENT,
        meaning="An AWS call failed or was not answered, or SageMaker could not deploy an endpoint by its own fault. "
        "The operator retries it.",
        remedy="wait; if it lasts, see the [runbook](runbooks.md#ephemeralendpointsawsfailing)",
    )


class Throttled(Transient):
    """The request was refused for its rate, before anything was done."""

    reason = REASONS.for_platform(
        "Throttled",
        finality=Finality.TRANSIENT,
        meaning="AWS throttled the same call six times in a row. The operator retries it.",
        remedy="wait; if it lasts, see the [runbook](runbooks.md#ephemeralendpointsthrottled)",
    )


class Denied(AwsError):
    """A role lacks a permission, or the policy of a resource refuses it."""

    advice = "a platform engineer must grant the access; the operator tries again within 5 minutes"
    reason = REASONS.for_platform(
        "AccessDenied",
        meaning="An IAM role lacks a permission, or the policy of an ECR repository, an S3 bucket or a KMS key denies "
        "access. The message names the call and, in most cases, the permission.",
        remedy="compare the role with the [policies](iam.md), and read the policy of the resource that the message "
        "names; the operator retries within five minutes",
    )


class Unauthenticated(AwsError):
    """Credentials are missing, wrong or expired."""

    advice = "a platform engineer must renew the operator's credentials; the operator tries again within 15 seconds"
    reason = REASONS.for_platform(
        "CredentialsUnavailable",
        meaning="The operator's AWS credentials are missing, invalid or expired.",
        remedy="see the [runbook](runbooks.md#ephemeralendpointscredentialsrefused)",
    )


class WrongAccount(AwsError):
    """The credentials belong to another account than the class names; nothing is created there."""

    awaited = "a role of the class's account, for which the operator looks every 5 minutes"
    reason = REASONS.for_platform(
        "WrongAccount",
        finality=Finality.PERMANENT,
        meaning="The operator's credentials belong to another AWS account than the roles that the class names. The "
        "operator creates nothing there.",
        remedy="set `spec.assumeRole` of the class to a role of the account that its roles belong to",
    )


class QuotaExceeded(AwsError):
    """A limit of the account is reached; capacity may appear when other resources are deleted."""

    advice = "delete what is not needed, or have the quota raised; the operator tries again within a minute"
    reason = REASONS.for_platform(
        "QuotaExceeded",
        meaning="A quota of the AWS account is used up. Objects wait in the order of their creation, but one that asks "
        "for less than all before it is tried meanwhile; the message says at which position.",
        remedy="delete endpoints that are not needed, or ask AWS to raise the quota",
    )


class QuotaTooLow(AwsError):
    """More is asked for than a limit of the account allows, however much of it is free."""

    awaited = "a change of the spec or a higher quota"
    reason = REASONS.for_author(
        "QuotaTooLow",
        meaning="The object asks for more than the quota of the AWS account, however much of it is free. The operator "
        "tries again every half hour, and at once when the spec changes; other objects do not wait for it.",
        remedy="lower the number in the spec, or ask AWS to raise the quota",
    )


class NameConflict(AwsError):
    """A resource has our name but not our tags; the operator never touches it."""

    awaited = "the deletion of the resource that has the name, for which the operator looks every 5 minutes"
    reason = REASONS.for_platform(
        "NameConflict",
        finality=Finality.PERMANENT,
        meaning="A resource in AWS or in the cluster has a name of this object but not its tags or labels. The "
        "operator never touches it.",
        remedy="see [a name is taken](#a-name-is-taken)",
    )


class Invalid(AwsError):
    """AWS refuses the request as such; only a changed spec or class can help."""

    advice = (
        "correct the value in the object, or have a platform engineer correct it in the class; the operator repeats "
        "the request every 5 minutes"
    )
    awaited = "a change of the spec or of the class; the operator repeats the request every 5 minutes all the same"
    reason = REASONS.for_platform(
        "InvalidRequest",
        finality=Finality.PERMANENT,
        meaning="AWS rejects a request as invalid. The message quotes its answer. The operator repeats the request "
        "every 5 minutes.",
        remedy="correct the value that the message names in the object; the platform team corrects it in the class",
    )
