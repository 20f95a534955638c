"""The errors that SageMaker answers, worded as the service words them.

Clients tell a missing endpoint from an existing one by these messages, because the service has no error code for it,
so the wording is part of the interface.
"""

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """An answer that is an error.

    `code` is what botocore shows as `Error.Code`, `status` the HTTP status, and `members` what the error carries
    beside its message.
    """

    def __init__(self, code: str, message: str, *, status: int = 400, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})


def validation_exception(message: str) -> ServiceError:
    """The control plane's refusal of a request."""
    return ServiceError("ValidationException", message)


def serialization_exception(message: str) -> ServiceError:
    """The control plane's refusal of a body that cannot be read as the operation's input."""
    return ServiceError("SerializationException", message)


def unknown_operation() -> ServiceError:
    """The control plane's answer to an operation that it does not serve."""
    return ServiceError("UnknownOperationException", "The requested operation is not recognized by the service.")


def could_not_find(noun: str, arn: str) -> ServiceError:
    """No such resource; `noun` is "endpoint", "endpoint configuration" or "model"."""
    return validation_exception(f'Could not find {noun} "{arn}".')


def already_exists(noun: str, arn: str) -> ServiceError:
    """The name is taken."""
    return validation_exception(f'Cannot create already existing {noun} "{arn}".')


def in_progress(arn: str) -> ServiceError:
    """The endpoint is being created, changed or deleted; the service says "update" for deletions as well."""
    return validation_exception(f'Cannot update in-progress endpoint "{arn}".')


def limit_exceeded(limit: str, *, unit: str, allowed: int, used: int, delta: int) -> ServiceError:
    """A quota of the account would be exceeded."""
    return ServiceError(
        "ResourceLimitExceeded",
        f"The account-level service limit '{limit}' is {allowed} {unit}, with current utilization of {used} {unit} "
        f"and a request delta of {delta} {unit}. Please use AWS Service Quotas to request an increase for this quota. "
        "If AWS Service Quotas is not available, contact AWS support to request an increase for this quota.",
    )


def validation_error(message: str) -> ServiceError:
    """The runtime's refusal of a request; its code differs from the control plane's."""
    return ServiceError("ValidationError", message)


def endpoint_not_found(name: str, account: str) -> ServiceError:
    """The runtime's answer for an endpoint that is unknown or does not serve."""
    return validation_error(f"Endpoint {name} of account {account} not found.")


def oversize_body(request_id: str) -> ServiceError:
    """A serverless endpoint takes at most 4 MB."""
    return validation_error(f"Request {request_id} has oversize body.")


def throttled() -> ServiceError:
    """A serverless endpoint is at its `MaxConcurrency`."""
    return ServiceError("ThrottlingException", "Rate exceeded.", status=429)


def model_not_ready() -> ServiceError:
    """A serverless variant's resources are still being provisioned."""
    return ServiceError(
        "ModelNotReadyException",
        "The model is not ready for inference: the resources of the serverless endpoint variant are still being "
        "provisioned. Wait and try again.",
        status=429,
    )


def service_unavailable(message: str) -> ServiceError:
    """No model server can take the request."""
    return ServiceError("ServiceUnavailable", message, status=503)


def internal_failure() -> ServiceError:
    """A defect of this service."""
    return ServiceError("InternalFailure", "The request processing has failed because of an unknown error.", status=500)


class DeploymentFailedError(Exception):
    """A deployment cannot reach service; its text is the endpoint's `FailureReason`."""


def ping_failed(variant: str) -> DeploymentFailedError:
    """The model server ended, or did not answer /ping with 200 in time."""
    return DeploymentFailedError(
        f"The primary container for production variant {variant} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )


def image_missing(variant: str) -> DeploymentFailedError:
    """The image of a variant's model cannot be pulled."""
    return DeploymentFailedError(
        f"Please make sure all images included in the model for the production variant {variant} exist, and that the "
        "execution role used to create the model has permissions to access them."
    )


def model_data_missing(url: str) -> DeploymentFailedError:
    """The model's archive cannot be fetched."""
    return DeploymentFailedError(
        f'Failed to download model data for container "container_1" from URL: "{url}". Please ensure that there is an '
        "object located at the URL and that the role passed to CreateModel has permissions to download the object."
    )


def model_data_unreadable(url: str) -> DeploymentFailedError:
    """The model's archive is none, or would write outside its folder."""
    return DeploymentFailedError(
        f'Unable to extract model data archive for container "container_1" from URL "{url}". Please ensure that the '
        "object located at the URL is a valid tar.gz archive."
    )
