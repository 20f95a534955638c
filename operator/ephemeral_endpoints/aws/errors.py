"""Translates botocore's exceptions into the types of ``engine.errors``, and makes the errors that we conclude.

Codes are those of the services' API references; where a code is ambiguous, the message decides.
"""

import re
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSOError,
)
from botocore.parsers import ResponseParserError

from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.engine.resources import Key

_BY_CODE: Final[dict[type[errors.AwsError], frozenset[str]]] = {
    errors.Throttled: frozenset(
        {
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
            "TooManyUpdates",
        }
    ),
    errors.Transient: frozenset({"RequestTimeout", "RequestTimeoutException"}),
    errors.Unauthenticated: frozenset(
        {
            "AuthFailure",
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "RequestExpired",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        }
    ),
    errors.Denied: frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}),
    errors.NotFound: frozenset(
        {
            "ImageNotFoundException",
            "LifecyclePolicyNotFoundException",
            "NoSuchEntity",
            "NotFoundException",
            "InvalidResourceId",
            "ObjectNotFoundException",
            "ParameterNotFound",
            "RepositoryNotFoundException",
            "ResourceNotFound",
            "ResourceNotFoundException",
            "ScanNotFoundException",
        }
    ),
    errors.AlreadyExists: frozenset(
        {
            "ConflictException",
            "ParameterAlreadyExists",
            "RepositoryAlreadyExistsException",
            "ResourceAlreadyExistsException",
        }
    ),
    errors.InProgress: frozenset(
        {
            "ConcurrentUpdateException",
            "OperationAbortedException",
            "ResourceConflictException",
            "ResourceInUse",
            "ResourceInUseException",
        }
    ),
    errors.QuotaExceeded: frozenset(
        {
            "AccountLimitExceededException",
            "CodeStorageExceededException",
            "LimitExceeded",
            "LimitExceededException",
            "LimitExceededFault",
            "ParameterLimitExceeded",
            "ResourceLimitExceeded",
            "ServiceQuotaExceededException",
        }
    ),
    errors.Invalid: frozenset({"InvalidInputException"}),
}

# Lambda and SageMaker reject roles that IAM has not propagated yet with the code of a validation error, and SageMaker
# also whatever the policies of repositories and buckets deny it. All of these heal without a change of the request.
_BY_MESSAGE: Final[tuple[tuple[re.Pattern[str], type[errors.AwsError]], ...]] = (
    (
        re.compile(
            r"cannot be assumed|(could not|unable to) assume role|does not grant |does not have \S+ permission"
            r"|not authorized to perform|access (is )?denied|^Could not access model data",
            re.IGNORECASE,
        ),
        errors.Denied,
    ),
    (re.compile(r"^Could not find|does not exist|not found", re.IGNORECASE), errors.NotFound),
    (re.compile(r"already exist", re.IGNORECASE), errors.AlreadyExists),
    (re.compile(r"in-progress|in progress|at this time|concurrent modification", re.IGNORECASE), errors.InProgress),
    (re.compile(r"rate exceeded", re.IGNORECASE), errors.Throttled),
    # Lambda answers so to PutFunctionConcurrency, with the code of an invalid value.
    (re.compile(r"UnreservedConcurrentExecution below its minimum", re.IGNORECASE), errors.QuotaExceeded),
)

_MEANS_SEVERAL: Final = frozenset({errors.AlreadyExists, errors.InProgress})

_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, SSOError)
_ASSUME_ROLE: Final = "AssumeRole"
_ASSUME_ROLE_ADVICE: Final = (
    "allow sts:AssumeRole on the class's spec.assumeRole.roleArn in the operator's role, and name the operator's role "
    "in the trust policy of that role, with the class's externalId if it requires one; the operator tries again within "
    "5 minutes"
)
_OF_ANOTHER_TIME: Final = re.compile(r"^Signature (expired|not yet current): ")
_CLOCK_ADVICE: Final = (
    "a platform engineer must correct the clock of the operator's node, which differs from that of AWS by more than 5 "
    "minutes; the operator tries again within 15 seconds"
)
_MESSAGE_LENGTH: Final = 600
_SERVER_ERROR: Final = 500


def translate(error: ClientError | BotoCoreError | ResponseParserError, operation: str) -> errors.AwsError:
    """The error of our types for ``error``.

    An unknown error counts as transient, since a retry is safe here.
    """
    if isinstance(error, ClientError):
        # Credentials of a role are fetched within the first call that needs them, and fail that call.
        is_of_role = error.operation_name == _ASSUME_ROLE
        return _of_response(error, _ASSUME_ROLE if is_of_role else operation)
    if isinstance(error, _CREDENTIALS):
        return errors.Unauthenticated(_shorten(str(error)), operation=operation, is_quoted=True)
    if isinstance(error, ParamValidationError):
        return errors.Invalid(_shorten(str(error)), operation=operation, is_quoted=True)
    return errors.Transient(_shorten(str(error)), operation=operation, is_quoted=True)


def wrong_account(caller: str, account: str) -> errors.WrongAccount:
    """The credentials are of the account ``caller``, and the class's roles of another."""
    message = (
        f"the credentials belong to account {caller}, but the class's roles to {account}: set the class's "
        f"spec.assumeRole to a role of {account}, or change the operator's credentials"
    )
    return errors.WrongAccount(message, operation="GetCallerIdentity")


def not_owned(key: Key) -> errors.NameConflict:
    """A resource has the name that an object needs, and not its tags."""
    remedy = "delete it or restore its tags; the operator does not touch it"
    return errors.NameConflict(f"{key} exists without the tags of this object: {remedy}")


def still_owned(key: Key) -> errors.InProgress:
    """Another object of the operator still has the resource."""
    return errors.InProgress(
        f"{key} still belongs to another object: the operator takes it over once that object has released it. A "
        "retained resource is never released: delete it yourself"
    )


def gone(key: Key) -> errors.NotFound:
    """A resource that a call would refer to was deleted since the call was planned."""
    return errors.NotFound(f"{key} no longer exists; the operator creates it again")


def _of_response(error: ClientError, operation: str) -> errors.AwsError:
    details = error.response.get("Error", {})
    code = details.get("Code", "Unknown")
    message = details.get("Message") or code
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind, described = _classify(code, message, status), _shorten(f"{message} ({code})")
    if kind is errors.Denied and operation == _ASSUME_ROLE:
        return kind(f"{described}: {_ASSUME_ROLE_ADVICE}", operation=operation)
    if _OF_ANOTHER_TIME.match(message):
        return errors.Unauthenticated(f"{described}: {_CLOCK_ADVICE}", operation=operation)
    return kind(described, operation=operation, is_quoted=True)


def _classify(code: str, message: str, status: int) -> type[errors.AwsError]:
    kind = next((kind for kind, codes in _BY_CODE.items() if code in codes), None)
    if kind in _MEANS_SEVERAL or (kind is None and status < _SERVER_ERROR):
        by_message = next((found for pattern, found in _BY_MESSAGE if pattern.search(message)), None)
        return by_message or kind or errors.Invalid
    return kind or errors.Transient


def _shorten(message: str) -> str:
    flat = " ".join(message.split())
    return flat if len(flat) <= _MESSAGE_LENGTH else flat[: _MESSAGE_LENGTH - 1] + "…"
