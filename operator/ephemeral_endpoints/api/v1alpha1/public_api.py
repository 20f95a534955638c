"""The public HTTP API of an endpoint: what callers meet."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.authentication import Auth
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.playground import Playground
from ephemeral_endpoints.api.v1alpha1.postprocessing import Postprocess
from ephemeral_endpoints.api.v1alpha1.routing import RouteThrottle
from ephemeral_endpoints.api.v1alpha1.samples import MediaType, Readiness, Sample, Samples
from ephemeral_endpoints.api.v1alpha1.schemas import SchemaSource
from ephemeral_endpoints.api.v1alpha1.types import HeaderName, Integer, Origin, RoutePath

SERVERLESS_BODY_BYTES = 4 * 1024 * 1024
"""The largest request that a serverless endpoint takes."""


MAX_BODY_BYTES = 6 * 1024 * 1024
"""The largest request that a Lambda function, and so the forwarder, takes."""


class ApiMode(StrEnum):
    """Which HTTP API a URL is in."""

    SHARED = "Shared"
    DEDICATED = "Dedicated"


class Sticky(ApiModel):
    """What keeps a caller on one variant."""

    header: HeaderName
    """Name of a request header whose value decides on the variant, such as x-user-id. Equal values lead to the same
    variant for as long as revision and weights stay. Requests without the header are split by weight."""


class Cors(ApiModel):
    """Which pages of other origins may call the URL. Cookies and other credentials of browsers are never allowed."""

    allow_origins: Annotated[tuple[Origin, ...], Field(min_length=1, max_length=20)]
    """Origins that may call, 1 to 20, such as https://example.com, or * for any. With auth.type None the class must
    allow * (routing.allowAnyOrigin)."""

    allow_headers: Annotated[tuple[HeaderName, ...], Field(max_length=20)] = ()
    """Request headers that these pages may send, at most 20, beside those that the URL itself reads. Default none."""

    max_age: Annotated[Integer, Field(ge=0, le=86_400)] = 600
    """Seconds for which browsers remember what is allowed, 0 to 86400. Default 600."""


class Api(ApiModel):
    """The public HTTP API in front of the endpoint."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.readiness)"
            " || (has(self.samples) && self.samples.exists(each, each.name == self.readiness.sample))",
            message="readiness.sample must be the name of one of the samples",
            holds=lambda api: api.readiness_sample is not None or api.readiness is None,
        ),
    )

    path: RoutePath | None = None
    """Path of the endpoint's URL, at most 256 characters. It must begin with /<namespace>/ unless the class allows
    others, and /<namespace>/<name> is the path of the object of that name and of no other. The URL takes all requests
    below its path, too. An object keeps its path for as long as it wants it; others that ask for it, or for one above
    or below it, wait. Default /<namespace>/<name>."""

    mode: ApiMode = ApiMode.SHARED
    """Shared: the URL is in an HTTP API of the class. Dedicated: it is in an HTTP API of its own, of which an account
    has 600, and the class must allow it (routing.allowDedicated). A change gives the object another URL; the former one
    answers until the new one was proven, and for a minute after that. Default Shared."""

    auth: Auth = Auth()
    """Authentication of callers."""

    max_body_bytes: Annotated[Integer, Field(ge=1, le=MAX_BODY_BYTES)] = SERVERLESS_BODY_BYTES
    """Largest request body in bytes; larger requests get a 413. At most 4194304 (4 MiB) on serverless endpoints and
    6291456 (6 MiB) on instances. Bodies that are not text count by a third more, because the API passes them on in
    base64. Default 4194304."""

    throttle: RouteThrottle | None = None
    """How many requests the URL takes; others get a 429, before they cost an invocation. The path itself and all below
    it count apart. At most what the class allows (routing.maxThrottle). Absent: what the class says for all."""

    timeout_seconds: Annotated[Integer, Field(ge=1, le=27)] = 25
    """Longest time in seconds until a request is answered, 1 to 27. Within it a model that is starting or busy is asked
    again. Default 25."""

    content_types: Annotated[tuple[MediaType, ...], Field(max_length=20)] = ()
    """Media types that requests may have, at most 20, without parameters; others get a 415. Default: any."""

    sticky: Sticky | None = None
    """What keeps a caller on one variant. Absent: each request is split by weight."""

    cors: Cors | None = None
    """Which pages of other origins may call the URL. Absent: none."""

    samples: Samples = ()
    """Requests that the model answers, at most 10. Everyone who may read the object can read them: no secrets."""

    request_schema: SchemaSource | None = None
    """JSON Schema that requests must match; others get a 400 that says where and why, and never reach the model. All
    samples must match it. Requests must then be JSON without what programs read differently, such as a name twice in an
    object. Absent: requests are passed on as they come."""

    response_schema: SchemaSource | None = None
    """JSON Schema that answers of the model with a status of 2xx must match. Callers get a 502 in place of others, and
    the log of the forwarder says what does not match. Absent: answers are passed on as they come."""

    readiness: Readiness | None = None
    """What proves that the endpoint is ready. Absent: SageMaker's own health check of the model server (GET /ping), and
    a request through the URL that SageMaker refuses before it reaches the model; the model is not invoked."""

    postprocess: Postprocess | None = None
    """A second model, which classifies the answers. Callers then get {"answer": …, "postprocess": …}; where the second
    model fails, they get its problem beside the answer. Absent: callers get the answer as it is."""

    playground: Playground = Playground()
    """The page at the endpoint's URL on which people try the model."""

    @property
    def readiness_sample(self) -> Sample | None:
        """The sample that proves readiness; None without one."""
        named = self.readiness.sample if self.readiness else None
        return next((each for each in self.samples if each.name == named), None)
