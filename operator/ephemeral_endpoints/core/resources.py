"""What is wanted in AWS and what is there, in the same terms, so that drift is plain inequality."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ephemeral_endpoints.core.tags import Tags


class Kind(StrEnum):
    """The kinds of AWS resources; the value is what people see in ``status.resources``."""

    LOG_GROUP = "LogGroup"
    MODEL = "Model"
    ENDPOINT_CONFIG = "EndpointConfig"
    ENDPOINT = "Endpoint"
    FUNCTION = "Function"
    HTTP_API = "HttpApi"
    INTEGRATION = "Integration"
    ROUTE = "Route"
    ALARM = "Alarm"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What identifies a resource within one account and region."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Phase(StrEnum):
    """Where a resource stands, as far as the next step depends on it."""

    READY = "Ready"
    BUSY = "Busy"
    FAILED = "Failed"
    DELETING = "Deleting"


@dataclass(frozen=True, slots=True)
class LogGroupSpec:
    """A log group; ``retention_days`` None means that nothing is ever deleted."""

    retention_days: int | None
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A SageMaker model, immutable and named by its content."""

    image: str
    data_url: str | None
    environment: tuple[tuple[str, str], ...]
    role_arn: str
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class ServerlessSpec:
    """Serverless capacity; memory in MB, concurrency in requests."""

    memory_mb: int
    max_concurrency: int


@dataclass(frozen=True, slots=True)
class EndpointConfigSpec:
    """A SageMaker endpoint configuration, immutable and named by its content."""

    model: str
    serverless: ServerlessSpec
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """A SageMaker endpoint: a fixed name that serves one configuration after another."""

    config: str
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """The forwarder function. ``code_sha256`` is Lambda's CodeSha256 (base64) of ``code``.

    Which holds its configuration too.
    """

    code_sha256: str
    role_arn: str
    runtime: str
    handler: str
    memory_mb: int
    timeout_seconds: int
    code: bytes = field(compare=False, repr=False, default=b"")
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class HttpApiSpec:
    """An HTTP API that many objects share; ``staged`` once it has the stage that serves it."""

    staged: bool = True
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class IntegrationSpec:
    """The way from an API to a forwarder function, which API Gateway invokes with the role."""

    api: Key
    function: Key
    role_arn: str


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A route key such as ``ANY /nlp/pr-42`` that leads to an integration.

    ``integration`` is None if it leads elsewhere.
    """

    api: Key
    route_key: str
    integration: Key | None


@dataclass(frozen=True, slots=True)
class AlarmSpec:
    """An alarm on the average of one endpoint metric over minutes."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    threshold: float
    period_seconds: int
    evaluation_periods: int
    description: str
    tags: Tags = field(compare=False, default=())


Spec = (
    LogGroupSpec
    | ModelSpec
    | EndpointConfigSpec
    | EndpointSpec
    | FunctionSpec
    | HttpApiSpec
    | IntegrationSpec
    | RouteSpec
    | AlarmSpec
)


def route_key_name(api: Key, route_key: str) -> str:
    """The name by which a route is known: its key is unique within its API only."""
    return f"{api.name} {route_key}"


CONTENT_NAMED: Final = frozenset({Kind.MODEL, Kind.ENDPOINT_CONFIG})
"""Immutable kinds whose name tells the content: the same name is the same thing, so lists need not show the content."""


@dataclass(frozen=True, slots=True)
class Want:
    """A resource that should exist, once everything in ``needs`` is ready."""

    key: Key
    spec: Spec
    needs: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Have:
    """A resource that exists.

    ``spec`` is None where the name tells the content or where AWS does not show it while the resource is busy.
    ``uses`` holds what must outlive this resource. ``id`` is what AWS calls it in requests, where that is not the
    name. ``status`` is AWS's own word for its state, ``detail`` the reason that AWS gives for a failure.
    """

    key: Key
    phase: Phase
    spec: Spec | None = None
    id: str = ""
    arn: str = ""
    uses: frozenset[Key] = frozenset()
    status: str = ""
    detail: str = ""
    owner: str | None = None
    version: str = ""
    url: str = ""

    def matches(self, want: Want) -> bool:
        """Whether nothing is left to change."""
        return self.key.kind in CONTENT_NAMED or self.spec == want.spec


Haves = Mapping[Key, Have]
