"""What should exist in AWS for one object: a function of its spec, its class and what was resolved."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.endpoint import AuthType, EphemeralEndpoint
from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.core.images import ImageReference
from ephemeral_endpoints.core.lifecycle import Lifetime, lifetime
from ephemeral_endpoints.core.names import Names, content_hash
from ephemeral_endpoints.core.paths import path_of
from ephemeral_endpoints.core.plan import Desired
from ephemeral_endpoints.core.resources import (
    AlarmSpec,
    EndpointConfigSpec,
    EndpointSpec,
    FunctionSpec,
    IntegrationSpec,
    Key,
    Kind,
    LogGroupSpec,
    ModelSpec,
    RouteSpec,
    ServerlessSpec,
    Want,
    route_key_name,
)
from ephemeral_endpoints.core.tags import Tags, owner_tags
from ephemeral_endpoints.forwarder import bundle
from ephemeral_endpoints.forwarder.config import ForwarderConfig

NOTHING: Final = Desired()
"""What is wanted of an object that is deleted or expired."""

AS_IT_IS: Final = Desired(hold=frozenset(Kind))
"""What is wanted of an object that is suspended."""

VARIANT: Final = "main"
"""The name of the only production variant; it must stay the same between configurations of one endpoint."""

SERVING_KINDS: Final = frozenset({Kind.MODEL, Kind.ENDPOINT_CONFIG, Kind.ENDPOINT})
"""What serves a revision."""

ALARM_PERIOD_SECONDS: Final = 60
ALARM_PERIODS: Final = 3
_MICROSECONDS: Final = 1000


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
    def serving(self) -> str:
        """What the model runs on, in words."""
        serverless = self.endpoint.spec.serving.serverless
        return f"serverless {serverless.memory_size_mb} MB x {serverless.max_concurrency}"

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
    """What the outside world says: the image's digest, the token's hash, the API, and whether the path is its own.

    None means not known (yet): what depends on it is neither made nor taken away.
    """

    digest: str | None
    token_sha256: str | None
    api: Key
    owns_path: bool


def desired(subject: Subject, resolved: Resolved) -> Desired:
    """Everything that should exist for a living object."""
    wants = [*_log_groups(subject), *_alarms(subject)]
    hold: set[Kind] = set()
    if resolved.digest is None:
        hold |= SERVING_KINDS
    else:
        wants += _endpoint(subject, resolved.digest)
    if subject.needs_token and resolved.token_sha256 is None:
        hold |= {Kind.FUNCTION, Kind.INTEGRATION, Kind.ROUTE}
    else:
        wants += _entrance(subject, resolved)
    return Desired(tuple(wants), frozenset(hold))


def _log_groups(subject: Subject) -> list[Want]:
    spec = LogGroupSpec(subject.endpoint.spec.monitoring.log_retention_days, subject.tags)
    return [
        Want(Key(Kind.LOG_GROUP, name), spec) for name in (subject.names.forwarder_logs, subject.names.endpoint_logs)
    ]


def _endpoint(subject: Subject, digest: str) -> list[Want]:
    names, spec, tags = subject.names, subject.endpoint.spec, subject.tags
    serverless = ServerlessSpec(spec.serving.serverless.memory_size_mb, spec.serving.serverless.max_concurrency)
    model = ModelSpec(
        image=ImageReference.parse(spec.model.image).pinned(digest),
        data_url=spec.model.data_url,
        environment=tuple(sorted(spec.model.environment.items())),
        role_arn=subject.klass.spec.execution_role_arn,
        tags=tags,
    )
    model_content = content_hash(
        model.image, model.data_url or "", model.role_arn, *(f"{k}={v}" for k, v in model.environment)
    )
    config_content = content_hash(str(serverless.memory_mb), str(serverless.max_concurrency))
    model_key = Key(Kind.MODEL, names.model(model_content))
    config_key = Key(Kind.ENDPOINT_CONFIG, names.endpoint_config(model_content, config_content))
    return [
        Want(model_key, model),
        Want(config_key, EndpointConfigSpec(model_key.name, serverless, tags), frozenset({model_key})),
        Want(
            Key(Kind.ENDPOINT, names.base),
            EndpointSpec(config_key.name, tags),
            frozenset({config_key, Key(Kind.LOG_GROUP, names.endpoint_logs)}),
        ),
    ]


def _entrance(subject: Subject, resolved: Resolved) -> list[Want]:
    names, klass, api = subject.names, subject.klass, resolved.api
    function_key, integration_key = Key(Kind.FUNCTION, names.base), Key(Kind.INTEGRATION, names.base)
    wants = [
        Want(function_key, _forwarder(subject, resolved), frozenset({Key(Kind.LOG_GROUP, names.forwarder_logs)})),
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
        endpoint_name=subject.names.base,
        token_sha256=resolved.token_sha256 if subject.needs_token else None,
        max_body_bytes=subject.endpoint.spec.api.max_body_bytes,
        region=subject.klass.spec.region,
    )
    built = bundle.build(config)
    return FunctionSpec(
        code_sha256=built.sha256_base64,
        role_arn=subject.klass.spec.forwarder_role_arn,
        runtime=bundle.RUNTIME,
        handler=bundle.HANDLER,
        memory_mb=bundle.MEMORY_MB,
        timeout_seconds=bundle.TIMEOUT_SECONDS,
        code=built.zip,
        tags=subject.tags,
    )


def _alarms(subject: Subject) -> list[Want]:
    limits = subject.endpoint.spec.monitoring.alarms
    return [
        _alarm(
            subject,
            "latency",
            metric="ModelLatency",
            threshold=float(limits.latency_ms * _MICROSECONDS),
            description=f"The model takes more than {limits.latency_ms} ms on average",
        ),
        # SageMaker emits 0 or 1 for every request, so that the average is the rate.
        _alarm(
            subject,
            "errors",
            metric="Invocation5XXErrors",
            threshold=limits.error_rate_percent / 100,
            description=f"More than {limits.error_rate_percent} % of the requests fail in the model",
        ),
    ]


def _alarm(subject: Subject, what: str, *, metric: str, threshold: float, description: str) -> Want:
    spec = AlarmSpec(
        namespace="AWS/SageMaker",
        metric=metric,
        dimensions=(("EndpointName", subject.names.base), ("VariantName", VARIANT)),
        threshold=threshold,
        period_seconds=ALARM_PERIOD_SECONDS,
        evaluation_periods=ALARM_PERIODS,
        description=description,
        tags=subject.tags,
    )
    return Want(Key(Kind.ALARM, subject.names.alarm(what)), spec)
