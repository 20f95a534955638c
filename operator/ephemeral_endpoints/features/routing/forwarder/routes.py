"""Finds what answers a request: one table of methods and paths below the object's own. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from ephemeral_endpoints.features.routing.forwarder.messages import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ephemeral_endpoints.features.routing.forwarder.exchange import Exchange
    from ephemeral_endpoints.features.routing.forwarder.messages import Answer

VARIABLE = "{id}"
"""Stands for one last segment of a path."""


class Route(NamedTuple):
    """What answers a method at a path.

    Attributes:
        method: the method.
        child: the path below the object's own; it may end in ``VARIABLE``.
        needs_auth: whether callers authenticate.
        answer: answers the request; it gets the segment that ``VARIABLE`` stands for, or nothing.
    """

    method: str
    child: str
    needs_auth: bool
    answer: Callable[[Exchange, str], Answer]


def at(table: Sequence[Route], child: str) -> dict[str, Route]:
    """The routes at a path by method; raises Problem 404 without one."""
    found = {route.method: route for route in table if variable(route, child) is not None}
    if not found:
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", "The URL has nothing at this path.")
    return found


def variable(route: Route, child: str) -> str | None:
    """The segment that ``VARIABLE`` stands for, empty for a route without it; None if the route is at another path."""
    folder, _, last = child.rpartition("/")
    if route.child.endswith(f"/{VARIABLE}"):
        return last if last and folder == route.child.removesuffix(f"/{VARIABLE}") else None
    return "" if route.child == child else None


def of(routes: dict[str, Route], method: str) -> Route:
    """The route for a method among those at a path; raises Problem 405."""
    if method not in routes:
        detail = f"Use {' or '.join(sorted(routes))} here."
        raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", detail, {"allow": allowed(routes)})
    return routes[method]


def allowed(routes: dict[str, Route]) -> str:
    """The methods at a path as the ``allow`` header names them; OPTIONS is always one."""
    return ", ".join(sorted({*routes, "OPTIONS"}))
