"""Answers of GitHub that are errors, in its words. Source: https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

DOCUMENTATION: Final = "https://docs.github.com/rest"

_LIMITS: Final = f"{DOCUMENTATION}/using-the-rest-api/rate-limits-for-the-rest-api"


class GitHubError(Exception):
    """An answer that is an error. ``members`` are in the body beside the message."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        documentation: str = DOCUMENTATION,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.members = dict(members or {})
        self.headers = dict(headers or {})
        self.documentation = documentation

    @property
    def body(self) -> dict[str, Any]:
        """The body of the answer."""
        status = {"status": str(self.status)}
        return {"message": self.message, **self.members, "documentation_url": self.documentation, **status}


class PrimaryLimitError(GitHubError):
    """A refusal because the requests of the hour are used up."""


def bad_credentials(message: str = "Bad credentials") -> GitHubError:
    """The credentials are unknown, were revoked, or are out of date."""
    return GitHubError(401, message)


def requires_authentication() -> GitHubError:
    """There are no credentials where some are needed."""
    return GitHubError(401, "Requires authentication")


def not_found() -> GitHubError:
    """What the request names does not exist, or may not be seen."""
    return GitHubError(404, "Not Found")


def not_accessible(by: str, accepted: str | None = None) -> GitHubError:
    """The credentials lack a permission; ``accepted`` says which would do, if any."""
    headers = {"X-Accepted-GitHub-Permissions": accepted} if accepted else {}
    return GitHubError(403, f"Resource not accessible by {by}", headers=headers)


def forbidden(message: str, documentation: str = DOCUMENTATION) -> GitHubError:
    """The user lacks a role, or what is written to takes nothing from them."""
    return GitHubError(403, message, documentation=documentation)


def invalid_request(reason: str) -> GitHubError:
    """The body does not have the form that the operation takes."""
    return GitHubError(422, f"Invalid request.\n\n{reason}")


def validation_failed(resource: str, field: str, code: str, message: str = "") -> GitHubError:
    """A value is refused."""
    error = {"resource": resource, "code": code, "field": field, **({"message": message} if message else {})}
    return GitHubError(422, "Validation Failed", members={"errors": [error]})


def unprocessable(message: str) -> GitHubError:
    """The request cannot be done as it is."""
    return GitHubError(422, message)


def conflict(message: str, errors: Sequence[Mapping[str, Any]] = ()) -> GitHubError:
    """The request does not fit the present state."""
    return GitHubError(409, message, members={"errors": [*errors]} if errors else {})


def primary_limit(who: str) -> PrimaryLimitError:
    """All requests of the hour are used up."""
    message = f"API rate limit exceeded for {who}."
    return PrimaryLimitError(403, message, documentation=f"{_LIMITS}#primary-rate-limits")


def secondary_limit(retry_after: int | None) -> GitHubError:
    """Too much at once; ``retry_after`` is in seconds."""
    message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return GitHubError(403, message, headers=headers, documentation=f"{_LIMITS}#about-secondary-rate-limits")
