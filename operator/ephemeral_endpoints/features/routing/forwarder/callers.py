"""Whether a caller may call: by what API Gateway has verified of it, else by the token of the endpoint.

What API Gateway verified is in the event's request context, which callers cannot write. A request without it must have
the token: a route that lost its authorizer, or does not have it yet, admits nobody else.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ephemeral_endpoints.features.routing.forwarder import messages
from ephemeral_endpoints.features.routing.forwarder.messages import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig, GatewayAuth

JWT = "JWT"
IAM = "IAM"


def authenticate(event: Mapping[str, Any], sent: Mapping[str, str], config: ForwarderConfig, now: float) -> None:
    """Raise Problem 401 for a caller that is unknown, and 403 for one that is known and may not call.

    ``sent`` are the request's headers, ``now`` is in seconds since the epoch.
    """
    auth = config.gateway_auth
    verified = _verified(event, auth) if auth else None
    if auth is None or verified is None:
        messages.authenticate(sent, config.accepted_tokens(now))
    elif auth.type == JWT:
        _require(auth.claims, verified)


def _verified(event: Mapping[str, Any], auth: GatewayAuth) -> Mapping[str, Any] | None:
    """The claims, or the principal, that the gateway has verified; None without."""
    authorizer = event["requestContext"].get("authorizer") or {}
    if auth.type == JWT:
        return (authorizer.get("jwt") or {}).get("claims") or None
    return authorizer.get("iam") or None


def _require(wanted: tuple[tuple[str, str], ...], claims: Mapping[str, Any]) -> None:
    """Raise Problem 403 unless all claims match; it names the claims, and repeats no value."""
    lacking = [name for name, pattern in wanted if not _matches(claims.get(name), pattern)]
    if lacking or not wanted:
        names = ", ".join(dict.fromkeys(lacking))
        detail = f"The endpoint does not admit your token: its claims do not match ({names}). Ask the endpoint's owner."
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", detail)


def _matches(value: object, pattern: str) -> bool:
    # A bracket would begin a set of characters: here it stands for itself.
    return isinstance(value, str) and fnmatchcase(value, pattern.replace("[", "[[]"))
