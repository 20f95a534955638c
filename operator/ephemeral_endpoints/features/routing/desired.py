"""The way from the public URL to the endpoint: a forwarder function, its integration and its route."""

from ephemeral_endpoints.api.v1alpha1.endpoint import AuthType
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.routing.forwarder import bundle
from ephemeral_endpoints.features.routing.forwarder.config import AsyncConfig, ForwarderConfig, Sample, Variant
from ephemeral_endpoints.features.routing.specs import (
    FUNCTION,
    FUNCTION_CONCURRENCY,
    INTEGRATION,
    ROUTE,
    FunctionConcurrencySpec,
    FunctionSpec,
    IntegrationSpec,
    RouteSpec,
    route_key,
    route_key_name,
)
from ephemeral_endpoints.features.serving.desired import AsynchronousFolders, endpoint_keys, variants_of
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.features.subject import Resolved, Subject


def needs_token(subject: Subject) -> bool:
    """Whether callers authenticate with a token."""
    return subject.endpoint.spec.api.auth.type is AuthType.TOKEN


def desired(subject: Subject, resolved: Resolved, _: DesiredState) -> DesiredState:
    """The way to the endpoint. Until the token is known, the one that exists stays as it is."""
    if needs_token(subject) and resolved.token_sha256 is None:
        return DesiredState(keep_kinds=frozenset({FUNCTION, FUNCTION_CONCURRENCY, INTEGRATION, ROUTE}))
    names, api = subject.names, resolved.api
    function, integration = Key(FUNCTION, names.base), Key(INTEGRATION, names.base)
    resources = [
        DesiredResource(
            function,
            _forwarder(subject, resolved),
            needs=frozenset({Key(LOG_GROUP, names.forwarder_logs)}),
            # Requests never go to an endpoint that does not serve yet, nor to one that is gone.
            update_needs=endpoint_keys(variants_of(subject)),
            replaces=frozenset({ENDPOINT}),
        ),
        DesiredResource(
            integration,
            IntegrationSpec(api, function, subject.endpoint_class.spec.invoke_role_arn),
            frozenset({api, function}),
        ),
    ]
    if reserved := subject.endpoint_class.spec.routing.reserved_concurrency:
        # Only once the function has the desired state: until then nothing has proven whose it is.
        needs = frozenset({function})
        concurrency = FunctionConcurrencySpec(function, reserved)
        resources.append(DesiredResource(Key(FUNCTION_CONCURRENCY, names.base), concurrency, needs, after=needs))
    if resolved.owns_path:
        asked = route_key(subject.path)
        key, route = Key(ROUTE, route_key_name(api, asked)), RouteSpec(api, asked, integration)
        resources.append(DesiredResource(key, route, frozenset({api, integration})))
    return DesiredState(tuple(resources))


def _forwarder(subject: Subject, resolved: Resolved) -> FunctionSpec:
    config = ForwarderConfig(
        variants=tuple(Variant(each.name, each.endpoint, each.weight) for each in variants_of(subject)),
        token_sha256=resolved.token_sha256 if needs_token(subject) else None,
        max_body_bytes=subject.endpoint.spec.api.max_body_bytes,
        region=subject.endpoint_class.spec.region,
        asynchronous=_asynchronous(subject),
        sample=_sample(subject),
    )
    return FunctionSpec(
        code_sha256=bundle.build(config).sha256_base64,
        role_arn=subject.endpoint_class.spec.forwarder_role_arn,
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


def _sample(subject: Subject) -> Sample | None:
    sample = subject.endpoint.spec.api.readiness_sample
    return Sample(sample.name, sample.request, sample.content_type) if sample else None
