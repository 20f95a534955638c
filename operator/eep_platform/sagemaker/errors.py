"""The errors of SageMaker, in the service's own words.

The wording is part of the interface: the service has no error code for a missing resource, so clients recognise it by
the message.
"""

from eep_platform.emulation.errors import ServiceError, validation_exception


def invalid_token() -> ServiceError:
    """No earlier answer gave this page token."""
    return validation_exception("Invalid pagination token: pass NextToken exactly as an earlier answer gave it.")


def could_not_find(noun: str, arn: str) -> ServiceError:
    """No such resource; `noun` is "endpoint", "endpoint configuration" or "model"."""
    return validation_exception(f'Could not find {noun} "{arn}".')


def already_exists(noun: str, arn: str) -> ServiceError:
    """The name is taken."""
    return validation_exception(f'Cannot create already existing {noun} "{arn}".')


def registered_missing(noun: str, arn: str) -> ServiceError:
    """The registry has no such group or model package; `noun` is "ModelPackageGroup" or "ModelPackage"."""
    return validation_exception(f"{noun} {arn} does not exist.")


def group_exists(arn: str) -> ServiceError:
    """The name of a group of model packages is taken."""
    return validation_exception(f"Model Package Group already exists: {arn}")


def conflict(message: str) -> ServiceError:
    """The present state of the resource does not allow the request."""
    return ServiceError("ConflictException", message)


def in_progress(arn: str) -> ServiceError:
    """The endpoint is being created, updated or deleted; the service says "update" for deletions as well."""
    return validation_exception(f'Cannot update in-progress endpoint "{arn}".')


def limit_exceeded(limit: str, *, unit: str, allowed: int, used: int, delta: int) -> ServiceError:
    """The request would exceed a quota of the account."""
    return ServiceError(
        "ResourceLimitExceeded",
        f"The account-level service limit '{limit}' is {allowed} {unit}, with current utilization of {used} {unit} "
        f"and a request delta of {delta} {unit}. Please use AWS Service Quotas to request an increase for this quota. "
        "If AWS Service Quotas is not available, contact AWS support to request an increase for this quota.",
    )


def validation_error(message: str) -> ServiceError:
    """The runtime rejects the request; its error code differs from the control plane's."""
    return ServiceError("ValidationError", message)


def endpoint_not_found(name: str, account: str) -> ServiceError:
    """The runtime's error for an endpoint that does not exist or does not serve."""
    return validation_error(f"Endpoint {name} of account {account} not found.")


def no_multi_model(name: str) -> ServiceError:
    """The runtime's error for a target model of an endpoint whose models each have a container."""
    return ServiceError(
        "ValidationError",
        f"Endpoint {name} is not a multi-model endpoint and does not support target model header.",
        members={"ErrorCode": "TARGET_MODEL_HEADER_NOT_SUPPORTED"},
    )


def unsupported_header(name: str, header: str) -> ServiceError:
    """The runtime's error for a parameter that needs another kind of endpoint; the wording is not known."""
    return validation_error(f"Endpoint {name} does not support the {header} header.")


def oversize_body(request_id: str) -> ServiceError:
    """A serverless endpoint accepts at most 4 MB."""
    return validation_error(f"Request {request_id} has oversize body.")


def throttled() -> ServiceError:
    """A serverless endpoint is at its `MaxConcurrency`."""
    return ServiceError("ThrottlingException", "Rate exceeded.", status=429)


def model_not_ready() -> ServiceError:
    """A serverless variant is still starting."""
    return ServiceError(
        "ModelNotReadyException",
        "The model is not ready for inference: the resources of the serverless endpoint variant are still being "
        "provisioned. Wait and try again.",
        status=429,
    )


def service_unavailable(message: str) -> ServiceError:
    """No model server accepts the request."""
    return ServiceError("ServiceUnavailable", message, status=503)


class DeploymentFailedError(Exception):
    """A deployment failed; the message is the endpoint's `FailureReason`."""


def ping_failed(variant: str) -> DeploymentFailedError:
    """The model server ended or did not answer /ping with 200 in time."""
    return DeploymentFailedError(
        f"The primary container for production variant {variant} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )


def cannot_start(variant: str) -> DeploymentFailedError:
    """The container has no such command: no ENTRYPOINT, for example, and no program `serve`."""
    return DeploymentFailedError(
        f"CannotStartContainerError. Please ensure the model container for variant {variant} starts correctly when "
        "invoked with 'docker run <image> serve'"
    )


def manifest_refused(media_type: str, uri: str) -> str:
    """What CreateModel says of an image whose manifest is an index, or has OCI's media type.

    Source: https://github.com/aws/amazon-sagemaker-feedback/issues/180
    """
    return (
        f"Unsupported manifest media type {media_type} for image {uri}. Ensure that valid manifest media type is used "
        "for specified image."
    )


def image_missing(variant: str) -> DeploymentFailedError:
    """The image of a variant's model could not be pulled."""
    return DeploymentFailedError(
        f"Please make sure all images included in the model for the production variant {variant} exist, and that the "
        "execution role used to create the model has permissions to access them."
    )


def insufficient_capacity() -> DeploymentFailedError:
    """AWS has no instances of the type at the moment.

    Source: https://repost.aws/knowledge-center/sagemaker-endpoint-creation-fail.
    """
    return DeploymentFailedError(
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry "
        "using a different ML instance type or after some time."
    )


def model_data_missing(url: str) -> DeploymentFailedError:
    """The model's archive could not be downloaded."""
    return DeploymentFailedError(
        f'Failed to download model data for container "container_1" from URL: "{url}". Please ensure that there is an '
        "object located at the URL and that the role passed to CreateModel has permissions to download the object."
    )


def model_data_unreadable(url: str) -> DeploymentFailedError:
    """The model's archive is invalid or would write outside its folder."""
    return DeploymentFailedError(
        f'Unable to extract model data archive for container "container_1" from URL "{url}". Please ensure that the '
        "object located at the URL is a valid tar.gz archive."
    )


def model_data_misnamed(uri: str) -> DeploymentFailedError:
    """A key below the prefix of uncompressed model data is not the name of one file."""
    return DeploymentFailedError(
        f'Failed to download model data for container "container_1" from URL: "{uri}". The remainder of the key after '
        "the prefix is not an unambiguous file name."
    )


def model_data_late(url: str, seconds: int) -> DeploymentFailedError:
    """The model's data was not there in time."""
    return DeploymentFailedError(
        f'Failed to download model data for container "container_1" from URL: "{url}" within {seconds} seconds. Please '
        "increase ModelDataDownloadTimeoutInSeconds."
    )
