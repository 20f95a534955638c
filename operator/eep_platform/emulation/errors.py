"""Errors of emulated services: what they carry, and those that all services answer alike."""

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """An answer that is an error.

    `code` is what botocore shows as `Error.Code`, `status` the HTTP status, and `members` what the error carries
    besides its message.
    """

    def __init__(self, code: str, message: str, *, status: int = 400, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})


def validation_exception(message: str) -> ServiceError:
    """The service rejects the request."""
    return ServiceError("ValidationException", message)


def serialization_exception(message: str) -> ServiceError:
    """The service cannot read the body as the operation's input."""
    return ServiceError("SerializationException", message)


def unknown_operation() -> ServiceError:
    """The service has no such operation."""
    return ServiceError("UnknownOperationException", "The requested operation is not recognized by the service.")


def internal_failure() -> ServiceError:
    """The emulation itself has a defect."""
    return ServiceError("InternalFailure", "The request processing has failed because of an unknown error.", status=500)
