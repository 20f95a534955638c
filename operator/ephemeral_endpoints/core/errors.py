"""Everything that can go wrong at the edges, as a small tree that decisions are made on.

Problem
├── SecretTaken        the name of the token's Secret is taken by something else
├── Contested          somebody undoes again and again what we do
├── NotAllowed         the class does not allow what the object asks for
└── AwsError
    ├── NotFound           the thing that the call names does not exist
    ├── AlreadyExists      the name is taken, by us or by somebody else
    ├── InProgress         the thing is busy: wait until it is not
    ├── Transient          5xx, reset, timeout: the outcome is unknown
    │   └── Throttled      refused before anything was done
    ├── Denied             the caller lacks a permission
    ├── Unauthenticated    credentials are missing, wrong or expired
    ├── WrongAccount       credentials of another account than the class names
    ├── QuotaExceeded      an account limit is reached
    ├── NameConflict       our name on something that is not ours
    └── Invalid            no retry can help before the request changes
"""

from typing import ClassVar


class Problem(Exception):
    """Something that stands between an object and its goal.

    ``reason`` is the CamelCase reason of the condition that reports it; ``final`` says that repeating the same request
    cannot help. The message is safe to show: it carries no credentials and no payload.
    """

    reason: ClassVar[str] = "Problem"
    final: ClassVar[bool] = False

    def __init__(self, message: str, *, operation: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation

    def __str__(self) -> str:
        return f"{self.operation}: {self.message}" if self.operation else self.message


class SecretTaken(Problem):
    """The name of the token's Secret is taken by something that is not the object's."""

    reason = "SecretConflict"


class NotAllowed(Problem):
    """The class does not allow what the object asks for; only a changed spec or class can help."""

    reason = "NotAllowed"
    final = True


class Contested(Problem):
    """Somebody else undoes again and again what the operator does, which therefore pauses."""

    reason = "Contested"


class AwsError(Problem):
    """A call to AWS that did not succeed."""

    reason = "AwsError"


class NotFound(AwsError):
    """The thing that the call names does not exist."""

    reason = "NotFound"


class AlreadyExists(AwsError):
    """The name is taken: by an earlier attempt of ours, or by somebody else."""

    reason = "AlreadyExists"


class InProgress(AwsError):
    """The thing is busy with an earlier change and refuses this one for now."""

    reason = "InProgress"


class Transient(AwsError):
    """The service failed or did not answer; whether the change was made is unknown."""

    reason = "AwsUnavailable"


class Throttled(Transient):
    """The request was refused for its rate, before anything was done."""

    reason = "Throttled"


class Denied(AwsError):
    """The operator's role lacks a permission."""

    reason = "AccessDenied"


class Unauthenticated(AwsError):
    """Credentials are missing, wrong or expired."""

    reason = "CredentialsUnavailable"


class WrongAccount(AwsError):
    """The credentials belong to another account than the class names; nothing is made there."""

    reason = "WrongAccount"
    final = True


class QuotaExceeded(AwsError):
    """A limit of the account is reached; room may appear when something else goes."""

    reason = "QuotaExceeded"


class NameConflict(AwsError):
    """Something carries our name but not our tags; it is never touched."""

    reason = "NameConflict"
    final = True


class Invalid(AwsError):
    """AWS refuses the request as such; only a changed spec or class can help."""

    reason = "InvalidRequest"
    final = True
