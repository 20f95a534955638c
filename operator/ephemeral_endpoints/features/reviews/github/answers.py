"""What GitHub's answers mean: data, limits, or one of the errors of ``reviews.errors``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

from gidgethub import BadRequest, GitHubBroken, GitHubException, HTTPException, sansio

from ephemeral_endpoints.engine.redaction import redacted
from ephemeral_endpoints.features.reviews.errors import (
    ForgeDenied,
    ForgeError,
    ForgeInvalid,
    ForgeLimited,
    ForgeNotFound,
    ForgePermissionMissing,
    ForgeReadOnly,
    ForgeUnavailable,
)
from ephemeral_endpoints.features.reviews.github.limits import Allowance

Json = Any
T = TypeVar("T")

REDIRECTS: Final = frozenset({301, 302, 307, 308})
MOST_WORDS: Final = 300
_RATE_WORDS: Final = ("rate limit", "abuse detection")
_READ_ONLY_WORDS: Final = ("issue is locked", "archived so is read-only")
"""GitHub has neither a code nor a status of its own for it."""

_RATE_TYPES: Final = frozenset({"RATE_LIMITED", "RATE_LIMIT"})


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as it came. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: its JSON, and the URL of the next page if there is one."""

    data: Json
    headers: Mapping[str, str]
    following: str | None = None


@dataclass(frozen=True, slots=True)
class GraphqlAnswer:
    """An answer to a query.

    ``unknown`` maps what has an error of its own to GitHub's words for it: what it asks for is not known. Its keys are
    the aliases on the way to it, joined by dots: ``r0.p41``, or ``r0`` where the repository cannot be seen.
    """

    data: Mapping[str, Json]
    unknown: Mapping[str, str] = field(default_factory=dict)


class BadCredentials(ForgeDenied):
    """The token of a request is not, or no longer, valid: the request was not served, whatever it was."""


def allowance(headers: Mapping[str, str]) -> Allowance | None:
    """The primary limit as an answer tells it; None where there is none, as on most GitHub Enterprise Servers.

    The reset is a time of GitHub's clock, so it counts from the time of the answer.
    """
    try:
        limit, remaining = int(headers["x-ratelimit-limit"]), int(headers["x-ratelimit-remaining"])
        reset = float(headers["x-ratelimit-reset"])
    except (KeyError, ValueError):
        return None
    sent = date(headers)
    seconds = reset - sent if sent is not None else 60.0
    return Allowance(headers.get("x-ratelimit-resource", "core"), limit, remaining, max(0.0, seconds))


def date(headers: Mapping[str, str]) -> float | None:
    """GitHub's time of an answer, in seconds since 1970; None if it tells none."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return None


def is_limited(response: Response) -> bool:
    """Whether GitHub refused the request for its rate, before anything was done."""
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return True
    if response.status != HTTPStatus.FORBIDDEN:
        return False
    told = allowance(response.headers)
    words = response.body[:4096].decode(errors="replace").lower()
    return "retry-after" in response.headers or bool(told and not told.remaining) or _tells_of_rate(words)


def wait_seconds(headers: Mapping[str, str]) -> float | None:
    """For how long GitHub asks not to send anything; None if it does not say."""
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        told = allowance(headers)
        return told.reset_seconds if told and not told.remaining else None


def answer_of(response: Response, operation: str) -> Answer:
    """The answer to ``operation``, such as ``GET /user``: an object, a list, or nothing with status 204.

    Raises a ForgeError; a limit is the caller's to see. What proxies and maintenance pages answer is no answer.
    """
    try:
        data, _, following = sansio.decipher_response(response.status, response.headers, response.body)
    except HTTPException as error:
        raise (
            _error_of(error, response, operation) if _is_json(response) else _not_github(response, operation)
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError, GitHubException):
        raise _not_github(response, operation) from None
    if not isinstance(data, dict | list) and response.status != HTTPStatus.NO_CONTENT:
        raise _not_github(response, operation)
    return Answer(data, response.headers, following)


def member(answer: Answer, name: str, kind: type[T]) -> T:
    """A member of an answer that GitHub always sends. Raises ForgeUnavailable where it is missing or another kind."""
    found = answer.data.get(name) if isinstance(answer.data, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ForgeUnavailable(f"GitHub answers without {name}, so it is not GitHub; the operator tries again")
    return found


def graphql_of(data: Json) -> GraphqlAnswer:
    """The answer to a query, of the JSON of an answer with status 200. Raises a ForgeError where nothing is known."""
    errors, found = (data.get("errors") or [], data.get("data")) if isinstance(data, dict) else (None, None)
    if not isinstance(errors, list) or not isinstance(found, dict | None):
        raise ForgeUnavailable("GitHub answers a query in a form that is not its own; the operator tries again")
    unknown: dict[str, str] = {}
    for error in errors:
        if isinstance(error, dict):
            unknown[_path(error.get("path"))] = words(error.get("message"))
    if found is None or "" in unknown:
        raise _graphql_error(errors, unknown)
    return GraphqlAnswer(found, unknown)


def is_graphql_limited(data: Json) -> bool:
    """Whether GitHub refused a query for its rate, which it tells with status 200."""
    errors = data.get("errors") if isinstance(data, dict) else None
    return isinstance(errors, list) and any(
        isinstance(error, dict)
        and (error.get("type") in _RATE_TYPES or (not error.get("path") and _tells_of_rate(str(error.get("message")))))
        for error in errors
    )


def limited(operation: str, seconds: float) -> ForgeLimited:
    """The error of a request that was refused for its rate, or would be."""
    return ForgeLimited(
        f"GitHub takes no further requests such as {operation} for {max(1, round(seconds))} s; the operator waits",
        seconds,
    )


def words(message: object) -> str:
    """GitHub's words, which may quote a request: without credentials, and short."""
    return redacted(str(message or ""))[:MOST_WORDS]


def _tells_of_rate(text: str) -> bool:
    return any(each in text.lower() for each in _RATE_WORDS)


def _error_of(error: HTTPException, response: Response, operation: str) -> ForgeError:
    said = f"GitHub answers {operation} with {response.status}: {words(error).rstrip('.')}"
    if not isinstance(error, BadRequest | GitHubBroken):
        return _not_github(response, operation)
    if isinstance(error, GitHubBroken) or response.status == HTTPStatus.REQUEST_TIMEOUT:
        return ForgeUnavailable(f"{said}; the operator tries again")
    if response.status == HTTPStatus.UNAUTHORIZED:
        return BadCredentials(f"{said}; a platform engineer must renew the Secret with the credentials")
    if response.status == HTTPStatus.FORBIDDEN:
        return _forbidden(error, said, response.headers.get("x-accepted-github-permissions"))
    if response.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return ForgeNotFound(f"{said}: it does not exist, or the App or token may not see it; the operator tries again")
    return ForgeInvalid(
        f"{said}; a platform engineer must see whether a rule of the repository refuses it; the operator tries again"
    )


def _forbidden(error: HTTPException, said: str, needed: str | None) -> ForgeError:
    """GitHub names the permission also where it is not lacking, so what it says in words counts first."""
    if any(each in str(error) for each in _READ_ONLY_WORDS):
        return ForgeReadOnly(
            f"{said}; whoever may write to the repository must unlock or unarchive it, and the operator tries again"
        )
    if needed is None:
        return ForgeDenied(f"{said}; a platform engineer must grant the access")
    return ForgePermissionMissing(
        f"{said}; it needs {words(needed)}, which a platform engineer must grant the App or the token"
    )


def _not_github(response: Response, operation: str) -> ForgeUnavailable:
    kind = response.headers.get("content-type", "").partition(";")[0] or "nothing"
    return ForgeUnavailable(
        f"the answer to {operation} is not GitHub's, but {words(kind)} with status {response.status}: a proxy, or "
        "maintenance; the operator tries again"
    )


def _is_json(response: Response) -> bool:
    return response.headers.get("content-type", "").partition(";")[0].strip() == "application/json"


def _path(path: object) -> str:
    return ".".join(map(str, path)) if isinstance(path, Sequence) and not isinstance(path, str) else ""


def _graphql_error(errors: Sequence[Json], unknown: Mapping[str, str]) -> ForgeError:
    said = f"GitHub does not answer a GraphQL query: {next(iter(unknown.values()), 'it gives no reason')}"
    types = {error.get("type") for error in errors if isinstance(error, dict)}
    if types & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return ForgePermissionMissing(f"{said}; a platform engineer must grant the App or token the access")
    if any(isinstance(error, dict) and error.get("locations") and not error.get("path") for error in errors):
        return ForgeInvalid(said)
    return ForgeUnavailable(f"{said}; the operator tries again")
