"""The URLs of endpoints: what a class allows."""

from typing import Annotated

from pydantic import Field

from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.types import Integer, RoutePathGlob


class Throttle(ApiModel):
    """How many requests a URL takes; API Gateway answers others with 429, before they cost an invocation.

    The limits are targets, and they cannot exceed those of the account.
    """

    rate_limit: Annotated[Integer, Field(ge=1, le=10_000)] = 100
    """Requests per second, 1 to 10000. Default 100."""

    burst_limit: Annotated[Integer, Field(ge=1, le=5_000)] = 200
    """Requests beyond that which may come at once, 1 to 5000. Default 200."""


class RoutingPolicy(ApiModel):
    """What the class allows of URLs."""

    allowed_paths: Annotated[tuple[RoutePathGlob, ...], Field(max_length=20)] = ()
    """Paths outside of /<namespace>/ that objects may choose, at most 20, as patterns in which * stands for any
    characters and ? for one: /public/*/v?. The path /<namespace>/<name> still belongs to the object of that name. An
    object that has its path already keeps it. Default none."""

    throttle: Throttle = Throttle()
    """How many requests each URL of the class takes, so that none takes the share of the others."""

    reserved_concurrency: Annotated[Integer, Field(ge=1, le=10_000)] | None = None
    """Executions at once that Lambda reserves for the forwarder of each object, 1 to 10000. It gets no more than these,
    and no other function of the account gets any of them. They count against the account's quota, of which Lambda
    keeps 100 unreserved: an object for which none is left is served without, and its condition Reconciling says so.
    Default none: all functions of the account share its quota."""
