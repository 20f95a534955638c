"""Failed requests to the API server, as a small tree that decisions are made on.

KubernetesError
├── Conflict             another client was faster
├── Gone                 it does not exist (any more)
├── Unavailable          no answer, or no valid one: may be tried again
│   └── Throttled        there are too many requests at the moment
└── Refused              trying again is of no use before something else changes
    ├── Denied           the operator lacks a right
    ├── Unauthenticated  its credentials are wrong or expired
    ├── QuotaExceeded    the namespace is full
    └── Invalid          the request is wrong as such

The client's own exceptions, and those of the connections below it, come no further than ``kube.rest``. None of these
keeps an object from its desired state as the errors of ``engine.errors`` do, which its status reports: without the API
server there is no report. They end a reconciliation, which is then tried again.
"""

import json
from http import HTTPStatus
from typing import Any, ClassVar, Final

from ephemeral_endpoints.engine import errors

_MESSAGE_LENGTH: Final = 600


class KubernetesError(Exception):
    """A request that was not done, as far as is known. ``counterpart`` is the error of an object that needs it.

    The message is the API server's own where it gave one.
    """

    counterpart: ClassVar[type[errors.AwsError]] = errors.Transient

    def __init__(self, message: str, *, request: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.request = request

    def __str__(self) -> str:
        return f"{self.request}: {self.message}" if self.request else self.message

    def problem(self, operation: str) -> errors.AwsError:
        """The same as an error that keeps an object from its desired state, with the name of the operation."""
        return self.counterpart(self.message, operation=operation, is_quoted=True)


class Conflict(KubernetesError):
    """Another client changed the object meanwhile, or took its name; the watch will bring the newer version."""


class Gone(KubernetesError):
    """The object does not exist any more, nor may its namespace or its kind."""

    counterpart = errors.NotFound


class Unavailable(KubernetesError):
    """The API server failed, or did not answer; whether the change was made is unknown."""


class Throttled(Unavailable):
    """The API server refused the request for its rate, before anything was done."""

    counterpart = errors.Throttled


class Refused(KubernetesError):
    """The API server will not do this."""

    counterpart: ClassVar[type[errors.AwsError]] = errors.Invalid


class Denied(Refused):
    """The operator lacks a right."""

    counterpart = errors.Denied


class Unauthenticated(Refused):
    """The operator's credentials are missing, wrong or expired."""

    counterpart = errors.Unauthenticated


class QuotaExceeded(Refused):
    """A quota of the namespace is reached: https://kubernetes.io/docs/concepts/policy/resource-quotas/."""

    counterpart = errors.QuotaExceeded


class Invalid(Refused):
    """The request is wrong as such."""


_BY_STATUS: Final[dict[int, type[KubernetesError]]] = {
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.FORBIDDEN: Denied,
    HTTPStatus.NOT_FOUND: Gone,
    HTTPStatus.REQUEST_TIMEOUT: Unavailable,
    HTTPStatus.CONFLICT: Conflict,
    # A list took so long that its continue token has expired.
    HTTPStatus.GONE: Unavailable,
    HTTPStatus.TOO_MANY_REQUESTS: Throttled,
}


def of_answer(status: int, content: bytes, request: str) -> KubernetesError:
    """The error for an answer of the API server that is not a success."""
    message = _message(content)
    kind = _BY_STATUS.get(status) or (Invalid if status < HTTPStatus.INTERNAL_SERVER_ERROR else Unavailable)
    if kind is Denied and "exceeded quota" in message:
        kind = QuotaExceeded
    return kind(_shorten(message or f"HTTP {status}"), request=request)


def of_connection(error: Exception, request: str) -> Unavailable:
    """The error for an answer that did not arrive."""
    return Unavailable(
        _shorten(f"the API server did not answer: {str(error) or type(error).__name__}"), request=request
    )


def _message(content: bytes) -> str:
    """The message of the API server's refusal (a Status object); empty if there is none that can be read."""
    try:
        status: Any = json.loads(content)
    except ValueError:
        return ""
    return str(status.get("message", "")) if isinstance(status, dict) else ""


def _shorten(message: str) -> str:
    flat = " ".join(message.split())
    return flat if len(flat) <= _MESSAGE_LENGTH else flat[: _MESSAGE_LENGTH - 1] + "…"
