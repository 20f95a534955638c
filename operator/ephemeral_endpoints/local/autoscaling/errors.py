"""The errors that Application Auto Scaling answers, beside ValidationException."""

from ephemeral_endpoints.local.sagemaker.errors import ServiceError


def object_not_found(message: str) -> ServiceError:
    """There is no such scalable target, policy or scheduled action."""
    return ServiceError("ObjectNotFoundException", message)


def no_target(resource_id: str, dimension: str) -> ServiceError:
    """The resource is not registered."""
    return object_not_found(
        f"No scalable target found for service namespace: sagemaker, resource ID: {resource_id}, "
        f"scalable dimension: {dimension}"
    )


def resource_not_found(arn: str) -> ServiceError:
    """There is no scalable target of this ARN."""
    return ServiceError(
        "ResourceNotFoundException", f"The resource {arn} could not be found.", members={"ResourceName": arn}
    )


def too_many_tags(arn: str, most: int) -> ServiceError:
    """More tags than a resource can have."""
    return ServiceError(
        "TooManyTagsException", f"A scalable target can have at most {most} tags.", members={"ResourceName": arn}
    )


def invalid_token() -> ServiceError:
    """No earlier answer gave this token."""
    return ServiceError("InvalidNextTokenException", "The next token supplied was invalid.")


def failed_resource_access(message: str) -> ServiceError:
    """CloudWatch refused what a policy needs of it."""
    return ServiceError("FailedResourceAccessException", message)
