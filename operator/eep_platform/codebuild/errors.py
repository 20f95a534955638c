"""The errors of CodeBuild."""

from eep_platform.emulation.errors import ServiceError


def invalid_input(message: str) -> ServiceError:
    """The service rejects the request."""
    return ServiceError("InvalidInputException", message)


def invalid_next_token() -> ServiceError:
    """No earlier answer gave this page token."""
    return invalid_input("Invalid next token")


def not_found(message: str) -> ServiceError:
    """There is no such project or build."""
    return ServiceError("ResourceNotFoundException", message)


def project_not_found(arn: str) -> ServiceError:
    """There is no project with this ARN."""
    return not_found(f"Project cannot be found: {arn}")


def already_exists(arn: str) -> ServiceError:
    """The name is taken."""
    return ServiceError("ResourceAlreadyExistsException", f"Project already exists: {arn}")


def too_many_queued(allowed: int) -> ServiceError:
    """The build queue of the account is full."""
    return ServiceError(
        "AccountLimitExceededException", f"Cannot have more than {allowed} builds in queue for the account"
    )


def too_many_active(allowed: int) -> ServiceError:
    """The project has reached its concurrent build limit."""
    return ServiceError(
        "AccountLimitExceededException", f"Cannot have more than {allowed} active builds for the project"
    )
