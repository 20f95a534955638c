"""Translation of what botocore raises into the tree of ``core.errors``, in one place.

Codes are those of the services' API references; where one code means several things the message decides.
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

from ephemeral_endpoints.core import errors

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
            "NotFoundException",
            "ObjectNotFoundException",
            "RepositoryNotFoundException",
            "ResourceNotFound",
            "ResourceNotFoundException",
            "ScanNotFoundException",
        }
    ),
    errors.AlreadyExists: frozenset(
        {"ConflictException", "RepositoryAlreadyExistsException", "ResourceAlreadyExistsException"}
    ),
    errors.InProgress: frozenset(
        {"ConcurrentUpdateException", "OperationAbortedException", "ResourceConflictException", "ResourceInUse"}
    ),
    errors.QuotaExceeded: frozenset(
        {
            "AccountLimitExceededException",
            "CodeStorageExceededException",
            "LimitExceeded",
            "LimitExceededException",
            "LimitExceededFault",
            "ResourceLimitExceeded",
            "ServiceQuotaExceededException",
        }
    ),
    errors.Invalid: frozenset({"InvalidInputException"}),
}

# Lambda and SageMaker refuse roles that IAM has not spread yet with the code of a plain validation error.
_BY_MESSAGE: Final[tuple[tuple[re.Pattern[str], type[errors.AwsError]], ...]] = (
    (re.compile(r"^Could not find|does not exist|not found", re.IGNORECASE), errors.NotFound),
    (re.compile(r"already exist", re.IGNORECASE), errors.AlreadyExists),
    (re.compile(r"in-progress|in progress|at this time|concurrent modification", re.IGNORECASE), errors.InProgress),
    (re.compile(r"rate exceeded", re.IGNORECASE), errors.Throttled),
    (re.compile(r"cannot be assumed|could not assume role", re.IGNORECASE), errors.Denied),
)

_MEANS_SEVERAL: Final = frozenset({errors.AlreadyExists, errors.InProgress})

_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, SSOError)
_ASSUME_ROLE: Final = "AssumeRole"
_ASSUME_ROLE_ADVICE: Final = (
    "allow the operator's role sts:AssumeRole on the class's spec.assumeRole.roleArn, and have that role's trust "
    "policy name the operator's role, with the class's externalId if it asks for one"
)
_MESSAGE_LENGTH: Final = 600
_SERVER_ERROR: Final = 500


def translate(error: ClientError | BotoCoreError | ResponseParserError, operation: str) -> errors.AwsError:
    """The error of the tree that stands for ``error``.

    What is unknown counts as transient, since trying again is safe here.
    """
    if isinstance(error, ClientError):
        # Credentials of a role are got within the first call that needs them, and fail it.
        is_of_role = error.operation_name == _ASSUME_ROLE
        return _of_response(error, _ASSUME_ROLE if is_of_role else operation)
    if isinstance(error, _CREDENTIALS):
        return errors.Unauthenticated(_shorten(str(error)), operation=operation)
    if isinstance(error, ParamValidationError):
        return errors.Invalid(_shorten(str(error)), operation=operation)
    return errors.Transient(_shorten(str(error)), operation=operation)


def _of_response(error: ClientError, operation: str) -> errors.AwsError:
    details = error.response.get("Error", {})
    code = details.get("Code", "Unknown")
    message = details.get("Message") or code
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind, told = _classify(code, message, status), _shorten(f"{message} ({code})")
    if kind is errors.Denied and operation == _ASSUME_ROLE:
        told = f"{told}: {_ASSUME_ROLE_ADVICE}"
    return kind(told, operation=operation)


def _classify(code: str, message: str, status: int) -> type[errors.AwsError]:
    kind = next((kind for kind, codes in _BY_CODE.items() if code in codes), None)
    if kind in _MEANS_SEVERAL or (kind is None and status < _SERVER_ERROR):
        by_message = next((found for pattern, found in _BY_MESSAGE if pattern.search(message)), None)
        return by_message or kind or errors.Invalid
    return kind or errors.Transient


def _shorten(message: str) -> str:
    flat = " ".join(message.split())
    return flat if len(flat) <= _MESSAGE_LENGTH else flat[: _MESSAGE_LENGTH - 1] + "…"
