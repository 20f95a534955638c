"""The errors that CodeBuild answers."""

from ephemeral_endpoints.local.sagemaker.errors import ServiceError


def invalid_input(message: str) -> ServiceError:
    """The refusal of a request."""
    return ServiceError("InvalidInputException", message)


def not_found(message: str) -> ServiceError:
    """There is no such project or build."""
    return ServiceError("ResourceNotFoundException", message)


def project_not_found(arn: str) -> ServiceError:
    """There is no project of that ARN."""
    return not_found(f"Project cannot be found: {arn}")


def already_exists(arn: str) -> ServiceError:
    """The name is taken."""
    return ServiceError("ResourceAlreadyExistsException", f"Project already exists: {arn}")


def too_many_queued(allowed: int) -> ServiceError:
    """The queue of the account is full."""
    return ServiceError(
        "AccountLimitExceededException", f"Cannot have more than {allowed} builds in queue for the account"
    )


def too_many_active(allowed: int) -> ServiceError:
    """The project has as many builds in progress as its concurrent build limit allows."""
    return ServiceError(
        "AccountLimitExceededException", f"Cannot have more than {allowed} active builds for the project"
    )
