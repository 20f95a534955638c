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
AUTHORIZER: Final = ResourceKind("Authorizer", None, taggable=False, listed_after=INTEGRATION)
ROUTE: Final = ResourceKind("Route", ROUTE_READY, taggable=False, listed_after=AUTHORIZER)
API_MAPPING: Final = ResourceKind("ApiMapping", None, taggable=False, listed_after=HTTP_API)
ROUTE_THROTTLE: Final = ResourceKind("RouteThrottle", None, taggable=False, listed_after=ROUTE)
FUNCTION_CONCURRENCY: Final = ResourceKind("FunctionConcurrency", None, taggable=False, listed_after=FUNCTION)

AUTHORIZER_NAME: Final = "eep-jwt"
"""What the one authorizer of each API is named."""

OPERATOR: Final = "/operator"
"""Below the path of an object whose callers API Gateway authenticates: there the token admits, as for the operator."""

OPEN: Final = "NONE"
BY_JWT: Final = "JWT"
BY_IAM: Final = "AWS_IAM"
"""The types of authorization of a route: none, and what API Gateway checks before it lets a request pass."""

_BELOW: Final = "/{proxy+}"
_HEALTH: Final = "/healthz"


@dataclass(frozen=True, slots=True)
class FunctionSpec(Spec):
    """A function. ``code_sha256`` is Lambda's CodeSha256 (base64) of ``package``, or of the bundle of ``forwarder``.

    An observed one has neither: Lambda returns the hash only.
    """

    code_sha256: str
    role_arn: str
    runtime: str
    handler: str
    memory_mb: int
    timeout_seconds: int
    forwarder: ForwarderConfig | None = field(compare=False, repr=False, default=None)
    package: bytes | None = field(compare=False, repr=False, default=None)
    description: str = field(compare=False, default="Forwards requests to the SageMaker endpoint of the same name")
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
class AuthorizerSpec(Spec):
    """What API Gateway checks JWTs against, for all routes of an API that ask for it.

    ``source`` is where requests have them.
    """

    api: Key
    issuer: str
    audiences: tuple[str, ...]
    source: tuple[str, ...] = ("$request.header.Authorization",)

    @property
    @override
    def part_of(self) -> Key:
        return self.api


@dataclass(frozen=True, slots=True)
class ApiMappingSpec(Spec):
    """The path of a custom domain below which an API answers; None of an API of somebody else."""

    api: Key | None
    domain: str
    path: str

    @property
    @override
    def part_of(self) -> Key | None:
        return self.api


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
    """A route key such as ``ANY /nlp/pr-42/{proxy+}`` that leads to an integration.

    ``integration`` is None if it leads elsewhere. ``authorization`` is AWS's AuthorizationType, and ``authorizer`` what
    checks the callers for the type JWT.
    """

    api: Key
    route_key: str
    integration: Key | None
    authorization: str = OPEN
    authorizer: Key | None = None

    @property
    @override
    def part_of(self) -> Key:
        return self.api

    @property
    @override
    def is_dangling(self) -> bool:
        return self.integration is None


@dataclass(frozen=True, slots=True)
class RouteThrottleSpec(Spec):
    """How many requests a route takes, in place of what the stage has for all; None as long as that is not known.

    ``route`` is None if it does not exist: then AWS refuses every update of the stage.
    """

    api: Key
    route_key: str
    route: Key | None
    throttle: ThrottleSpec | None

    @property
    @override
    def part_of(self) -> Key:
        return self.api

    @property
    @override
    def is_dangling(self) -> bool:
        return self.route is None


def route_keys(path: str) -> tuple[str, ...]:
    """The keys of the routes that every object with that path has: one for the path itself, one for all below it."""
    return (f"ANY {path}", f"ANY {path}{_BELOW}")


def open_route_keys(path: str, *, page: bool, cors: bool) -> tuple[str, ...]:
    """The keys of the routes without authorization beside those, where API Gateway authenticates the callers.

    Browsers send no credentials for a ``page``, nor with the requests in advance of ``cors``.
    """
    return (
        f"GET {path}{_HEALTH}",
        f"ANY {path}{OPERATOR}{_BELOW}",
        *([f"GET {path}"] if page else []),
        *([f"OPTIONS {path}", f"OPTIONS {path}{_BELOW}"] if cors else []),
    )


def possible_route_keys(path: str) -> tuple[str, ...]:
    """The keys of all routes that an object with that path may have."""
    return (*route_keys(path), *open_route_keys(path, page=True, cors=True))


def dedicated_api(base: str) -> Key:
    """The API of its own of an object whose resources are named ``base``."""
    return Key(HTTP_API, base)


def integration_key(api: Key, function: str) -> Key:
    """The key of the integration of a function: it has one in an API of its own, and one in those of its class."""
    return Key(INTEGRATION, f"{function} dedicated" if api == dedicated_api(function) else function)


def mapping_key(domain: str, path: str) -> Key:
    """The key of what a path of a domain leads to."""
    return Key(API_MAPPING, f"{domain}/{path}")


def route_path(route: Key) -> str:
    """The path of the object that has a route of that key."""
    _, method, path = route.name.rsplit(" ", 2)
    if method == "GET":
        return path.removesuffix(_HEALTH)
    return path.removesuffix(_BELOW)


def authorizer_key(api: Key) -> Key:
    """The authorizer of an API: one, as the objects of one class share the API, and have one issuer."""
    return Key(AUTHORIZER, f"{api.name} {AUTHORIZER_NAME}")


def route_key_name(api: Key, route_key: str) -> str:
    """The name by which a route is known: its key is unique within its API only."""
    return f"{api.name} {route_key}"
