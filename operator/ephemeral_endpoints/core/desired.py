"""What should exist in AWS for one object: a function of its spec, its class and what was resolved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.endpoint import AuthType, EphemeralEndpoint
from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.serving import Serverless
from ephemeral_endpoints.core import instances
from ephemeral_endpoints.core.builds import Order
from ephemeral_endpoints.core.errors import NotAllowed
from ephemeral_endpoints.core.lifecycle import Lifetime, lifetime
from ephemeral_endpoints.core.monitoring import alarms, log_groups
from ephemeral_endpoints.core.names import Names
from ephemeral_endpoints.core.orders import order_of
from ephemeral_endpoints.core.paths import path_of
from ephemeral_endpoints.core.plan import Desired
from ephemeral_endpoints.core.resources import (
    FunctionSpec,
    IntegrationSpec,
    Key,
    Kind,
    RouteSpec,
    Want,
    route_key_name,
)
from ephemeral_endpoints.core.serving import (
    SERVING_KINDS,
    AsynchronousFolders,
    Served,
    endpoint_keys,
    endpoints,
    served,
)
from ephemeral_endpoints.core.tags import Tags, owner_tags
from ephemeral_endpoints.forwarder import bundle
from ephemeral_endpoints.forwarder.config import AsyncConfig, ForwarderConfig, Variant

NOTHING: Final = Desired()
"""What is wanted of an object that is deleted or expired."""

AS_IT_IS: Final = Desired(hold=frozenset(Kind))
"""What is wanted of an object that is suspended."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An object with the class that it resolved to."""

    cluster_id: str
    endpoint: EphemeralEndpoint
    klass: EphemeralEndpointClass

    @property
    def names(self) -> Names:
        """The names of the object's things."""
        return Names(self.cluster_id, self.endpoint.metadata.name, self.endpoint.metadata.uid)

    @property
    def path(self) -> str:
        """The path of the object's URL."""
        return path_of(self.endpoint)

    @property
    def needs_token(self) -> bool:
        """Whether callers must show a token."""
        return self.endpoint.spec.api.auth.type is AuthType.TOKEN

    @property
    def lifetime(self) -> Lifetime:
        """When the object ends."""
        policy = self.klass.spec.lifecycle
        ttl = self.endpoint.spec.lifecycle.ttl
        return lifetime(self.created_at, ttl, default=policy.default_ttl, longest=policy.max_ttl)

    @property
    def created_at(self) -> datetime:
        """When the object was made. Raises ValueError for one that never was in an API server."""
        created_at = self.endpoint.metadata.creation_timestamp
        if created_at is None:
            raise ValueError("the API server sets creationTimestamp on every object")
        return created_at

    @property
    def variants(self) -> tuple[Served, ...]:
        """The models behind the URL."""
        return served(self.endpoint.spec, self.names, self.image)

    @property
    def order(self) -> Order | None:
        """The image that the class makes for the object; None where somebody else pushes it."""
        return order_of(self.cluster_id, self.endpoint, self.klass)

    @property
    def image(self) -> str:
        """The URI of the image of ``spec.model``, by tag or digest, be it there yet or not."""
        order = self.order
        return order.image if order else str(self.endpoint.spec.model.image)

    @property
    def images(self) -> frozenset[str]:
        """The images of all variants, as the spec names them."""
        return frozenset(each.image for each in self.variants)

    @property
    def refusal(self) -> NotAllowed | None:
        """Why the class does not allow what the object asks for; None if it does."""
        return instances.refusal(self.endpoint.spec.serving, self.klass.spec.instances)

    @property
    def serving(self) -> str:
        """What the model runs on, in words."""
        match self.endpoint.spec.serving.capacity:
            case Serverless() as size:
                each = f"serverless {size.memory_size_mb} MB x {size.max_concurrency}"
            case size:
                each = f"{size.type} x {size.count}"
        return each if len(self.variants) == 1 else f"{len(self.variants)} variants, each {each}"

    @property
    def tags(self) -> Tags:
        """The owner tags of the object's things."""
        metadata = self.endpoint.metadata
        return owner_tags(
            cluster_id=self.cluster_id,
            namespace=metadata.namespace or "",
            name=metadata.name,
            uid=metadata.uid,
            created_at=self.created_at,
            expires_at=self.lifetime.expires_at,
            pull_request=self.endpoint.spec.source.pull_request,
        )


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the outside world says: the images' digests, the token's hash, the API, and whether the path is its own.

    An image without a digest and a token of None are not known (yet): what depends on them is neither made nor taken
    away.
    """

    digests: Mapping[str, str]
    token_sha256: str | None
    api: Key
    owns_path: bool


def desired(subject: Subject, resolved: Resolved) -> Desired:
    """Everything that should exist for a living object."""
    names, spec, tags = subject.names, subject.endpoint.spec, subject.tags
    watched = alarms(subject.variants, names, spec.monitoring.alarms, tags)
    wants = [*log_groups(subject.variants, names, spec.monitoring.log_retention_days, tags), *watched]
    hold: set[Kind] = set()
    if subject.refusal is None and subject.images <= resolved.digests.keys():
        role = subject.klass.spec.execution_role_arn
        alarm_keys = frozenset(want.key for want in watched)
        wants += endpoints(spec, names, subject.variants, resolved.digests, role_arn=role, alarms=alarm_keys, tags=tags)
    else:
        hold |= SERVING_KINDS
    if subject.needs_token and resolved.token_sha256 is None:
        hold |= {Kind.FUNCTION, Kind.INTEGRATION, Kind.ROUTE}
    else:
        wants += _entrance(subject, resolved)
    return Desired(tuple(wants), frozenset(hold))


def _entrance(subject: Subject, resolved: Resolved) -> list[Want]:
    names, klass, api = subject.names, subject.klass, resolved.api
    function_key, integration_key = Key(Kind.FUNCTION, names.base), Key(Kind.INTEGRATION, names.base)
    wants = [
        Want(
            function_key,
            _forwarder(subject, resolved),
            needs=frozenset({Key(Kind.LOG_GROUP, names.forwarder_logs)}),
            # Requests never go to an endpoint that does not serve yet, nor to one that is gone.
            update_needs=endpoint_keys(subject.variants),
            replaces=frozenset({Kind.ENDPOINT}),
        ),
        Want(
            integration_key,
            IntegrationSpec(api, function_key, klass.spec.invoke_role_arn),
            frozenset({api, function_key}),
        ),
    ]
    if resolved.owns_path:
        route_key = f"ANY {subject.path}"
        route = RouteSpec(api, route_key, integration_key)
        wants.append(
            Want(
                Key(Kind.ROUTE, route_key_name(api, route_key)),
                route,
                frozenset({api, integration_key}),
            )
        )
    return wants


def _forwarder(subject: Subject, resolved: Resolved) -> FunctionSpec:
    config = ForwarderConfig(
        variants=tuple(Variant(each.name, each.endpoint, each.weight) for each in subject.variants),
        token_sha256=resolved.token_sha256 if subject.needs_token else None,
        max_body_bytes=subject.endpoint.spec.api.max_body_bytes,
        region=subject.klass.spec.region,
        asynchronous=_asynchronous(subject),
    )
    return FunctionSpec(
        code_sha256=bundle.code_sha256(config),
        role_arn=subject.klass.spec.forwarder_role_arn,
        runtime=bundle.RUNTIME,
        handler=bundle.HANDLER,
        memory_mb=bundle.MEMORY_MB,
        timeout_seconds=bundle.TIMEOUT_SECONDS,
        forwarder=config,
        tags=subject.tags,
    )


def _asynchronous(subject: Subject) -> AsyncConfig | None:
    asked = subject.endpoint.spec.serving.asynchronous
    if asked is None:
        return None
    folders = AsynchronousFolders.below(asked.s3_uri, subject.names.base)
    return AsyncConfig(folders.requests, folders.results, folders.failures)
