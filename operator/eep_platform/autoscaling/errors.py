"""The errors of Application Auto Scaling other than ValidationException."""

from collections.abc import Mapping

from eep_platform.emulation.errors import ServiceError


def object_not_found(noun: str, target: Mapping[str, str], names: Mapping[str, str] | None = None) -> ServiceError:
    """There is no such scalable target, or it has no such policy or scheduled action."""
    identity = {
        "service namespace": target["ServiceNamespace"],
        "resource ID": target["ResourceId"],
        "scalable dimension": target["ScalableDimension"],
        **(names or {}),
    }
    return ServiceError(
        "ObjectNotFoundException",
        f"No {noun} found for {', '.join(f'{label}: {value}' for label, value in identity.items())}",
    )


def resource_not_found(arn: str) -> ServiceError:
    """There is no scalable target with this ARN."""
    return ServiceError(
        "ResourceNotFoundException", f"The resource {arn} could not be found.", members={"ResourceName": arn}
    )


def too_many_tags(arn: str, most: int) -> ServiceError:
    """The resource would have too many tags."""
    return ServiceError(
        "TooManyTagsException", f"A scalable target can have at most {most} tags.", members={"ResourceName": arn}
    )


def invalid_token() -> ServiceError:
    """No earlier answer gave this page token."""
    return ServiceError("InvalidNextTokenException", "The next token supplied was invalid.")


def failed_resource_access(message: str) -> ServiceError:
    """A call to CloudWatch for a policy failed."""
    return ServiceError("FailedResourceAccessException", message)
