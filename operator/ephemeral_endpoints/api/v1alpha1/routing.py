"""The URLs of endpoints: what a class allows."""

from typing import Annotated

from pydantic import Field

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.postprocessing import SageMakerEndpointName
from ephemeral_endpoints.api.v1alpha1.types import (
    Audience,
    BasePath,
    Claims,
    DomainName,
    Integer,
    IssuerUrl,
    RoutePathGlob,
)


class Throttle(ApiModel):
    """How many requests a URL takes; API Gateway answers others with 429, before they cost an invocation.

    The limits are targets, and they cannot exceed those of the account.
    """

    rate_limit: Annotated[Integer, Field(ge=1, le=10_000)] = 100
    """Requests per second, 1 to 10000. Default 100."""

    burst_limit: Annotated[Integer, Field(ge=1, le=5_000)] = 200
    """Requests beyond that which may come at once, 1 to 5000. Default 200."""


class JwtIssuer(ApiModel):
    """Whose JWTs are accepted. API Gateway checks signature, issuer, audience and time before a request costs anything.

    The issuer publishes its keys: GET <issuer>/.well-known/openid-configuration must name them.
    """

    issuer: IssuerUrl
    """The issuer, exactly as in the claim iss of its tokens, such as https://token.actions.githubusercontent.com."""

    audiences: Annotated[tuple[Audience, ...], Field(min_length=1, max_length=50)]
    """Values of the claim aud (or client_id) that are accepted, 1 to 50. Many issuers, such as GitHub, give anybody
    any audience: it does not replace claims."""

    claims: Claims | None = None
    """Claims that a JWT must have whatever an object asks for, 1 to 10, as patterns like those of objects, such as
    {repository_owner: acme}. Absent: only those of the object."""


class AuthPolicy(ApiModel):
    """How callers of the class's URLs may authenticate."""

    allowed: Annotated[tuple[AuthType, ...], Field(min_length=1, max_length=4)] = (
        AuthType.TOKEN,
        AuthType.JWT,
        AuthType.IAM,
    )
    """Types of authentication that objects may choose (api.auth.type): Token, JWT, IAM and None. The URL of an object
    with another type takes only the token in the object's Secret. Default ['Token', 'JWT', 'IAM']."""

    jwt: JwtIssuer | None = None
    """Whose JWTs are accepted. Absent: objects of type JWT are not served as such."""


class RouteThrottle(ApiModel):
    """How many requests the URL of an object takes."""

    rate_limit: Annotated[Integer, Field(ge=1, le=10_000)]
    """Requests per second, 1 to 10000."""

    burst_limit: Annotated[Integer, Field(ge=1, le=5_000)]
    """Requests beyond that which may come at once, 1 to 5000."""


class Domain(ApiModel):
    """A custom domain of API Gateway that exists."""

    name: DomainName
    """Name of the domain, such as previews.example.com, in the account and region of the class. The operator makes
    API mappings in it and nothing else; the domain, its certificate and its DNS records are yours."""

    base_path: BasePath | None = None
    """Path of the domain below which the URLs are, such as models or team/models, at most 200 characters. Each class
    of a domain needs another one. Absent: the whole domain."""


class RoutingPolicy(ApiModel):
    """What the class allows of URLs."""

    auth: AuthPolicy = AuthPolicy()
    """How callers may authenticate."""

    allowed_paths: Annotated[tuple[RoutePathGlob, ...], Field(max_length=20)] = ()
    """Paths outside of /<namespace>/ that objects may choose, at most 20, as patterns in which * stands for any
    characters and ? for one: /public/*/v?. The path /<namespace>/<name> still belongs to the object of that name. An
    object that has its path already keeps it, and with it all below it: do not allow the name of a namespace. Default
    none."""

    allow_any_origin: bool = False
    """Whether objects may let the pages of any origin call a URL that needs no token (api.cors.allowOrigins with *).
    Default false."""

    allow_dedicated: bool = False
    """Whether objects may have an HTTP API of their own (api.mode Dedicated), of which an account has 600. Others are
    then in the APIs of the class. Default false."""

    throttle: Throttle = Throttle()
    """How many requests each URL of the class takes, so that none takes the share of the others."""

    max_throttle: Throttle | None = None
    """The most that objects may ask for with api.throttle. Absent: what throttle says, so that they may only ask for
    less."""

    domain: Domain | None = None
    """The custom domain of URLs. An object has its URL there once that answers; the one of API Gateway works, too.
    Absent: URLs are those of API Gateway."""

    reserved_concurrency: Annotated[Integer, Field(ge=1, le=10_000)] | None = None
    """Executions at once that Lambda reserves for the forwarder of each object, 1 to 10000. It gets no more than these,
    and no other function of the account gets any of them. They count against the account's quota, of which Lambda
    keeps 100 unreserved: an object for which none is left is served without, and its condition Reconciling says so.
    Default none: all functions of the account share its quota."""

    postprocessors: Annotated[tuple[SageMakerEndpointName, ...], Field(max_length=20)] = ()
    """SageMaker endpoints of the account and region that objects may name in api.postprocess.sageMakerEndpoint, at most
    20. The forwarder role needs sagemaker:InvokeEndpoint on them. Everyone who may call such an object has them
    invoked, with what its model answers. Default none."""
