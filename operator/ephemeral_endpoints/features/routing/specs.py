"""The specs of forwarder functions, HTTP APIs, integrations and routes."""

from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.engine.resources import Key, ResourceKind, Spec
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig

ROUTE_READY: Final = "RouteReady"
"""The type of the condition of the stage."""

FUNCTION: Final = ResourceKind("Function", ROUTE_READY)
HTTP_API: Final = ResourceKind("HttpApi", None)
INTEGRATION: Final = ResourceKind("Integration", ROUTE_READY, taggable=False, listed_after=HTTP_API)
ROUTE: Final = ResourceKind("Route", ROUTE_READY, taggable=False, listed_after=INTEGRATION)
FUNCTION_CONCURRENCY: Final = ResourceKind("FunctionConcurrency", None, taggable=False, listed_after=FUNCTION)


@dataclass(frozen=True, slots=True)
class FunctionSpec(Spec):
    """The forwarder function. ``code_sha256`` is Lambda's CodeSha256 (base64) of the bundle of ``forwarder``.

    An observed one has no ``forwarder``: Lambda returns the hash only.
    """

    code_sha256: str
    role_arn: str
    runtime: str
    handler: str
    memory_mb: int
    timeout_seconds: int
    forwarder: ForwarderConfig | None = field(compare=False, repr=False, default=None)
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class FunctionConcurrencySpec(Spec):
    """How many executions at once Lambda reserves for a function, which are also the most that it gets."""

    function: Key
    reserved: int

    @property
    @override
    def part_of(self) -> Key:
        return self.function


@dataclass(frozen=True, slots=True)
class ThrottleSpec:
    """How many requests each route takes: per second, and at once."""

    rate: float
    burst: int


@dataclass(frozen=True, slots=True)
class HttpApiSpec(Spec):
    """An HTTP API that many objects share; ``staged`` once it has the stage that serves it.

    ``throttle`` is None as long as only the account's limits apply.
    """

    staged: bool = True
    throttle: ThrottleSpec | None = None
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class IntegrationSpec(Spec):
    """The way from an API to a forwarder function, which API Gateway invokes with the role."""

    api: Key
    function: Key
    role_arn: str

    @property
    @override
    def part_of(self) -> Key:
        return self.api


@dataclass(frozen=True, slots=True)
class RouteSpec(Spec):
    """A route key such as ``ANY /nlp/pr-42`` that leads to an integration.

    ``integration`` is None if it leads elsewhere.
    """

    api: Key
    route_key: str
    integration: Key | None

    @property
    @override
    def part_of(self) -> Key:
        return self.api

    @property
    @override
    def is_dangling(self) -> bool:
        return self.integration is None


def route_key(path: str) -> str:
    """The key of the route with that path, for requests by any method."""
    return f"ANY {path}"


def route_key_name(api: Key, route_key: str) -> str:
    """The name by which a route is known: its key is unique within its API only."""
    return f"{api.name} {route_key}"
