"""The way from the public URL to the endpoint: a forwarder function, its integration and its routes."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.routing.apis import authorizer
from ephemeral_endpoints.features.routing.callers import AUTHORIZATION, auth_type, gateway_auth, needs_token
from ephemeral_endpoints.features.routing.capture.desired import forwarder_capture
from ephemeral_endpoints.features.routing.domain import domain_base
from ephemeral_endpoints.features.routing.feedback.desired import table
from ephemeral_endpoints.features.routing.forwarder import bundle
from ephemeral_endpoints.features.routing.forwarder.config import (
    About,
    AnswerPointers,
    AsyncConfig,
    Base,
    Cors,
    FeedbackConfig,
    Former,
    ForwarderConfig,
    NoticesConfig,
    Playground,
    Postprocess,
    Sample,
    Variant,
)
from ephemeral_endpoints.features.routing.policy import refused_cors, refused_postprocess, throttle_of
from ephemeral_endpoints.features.routing.results.desired import forwarder_results
from ephemeral_endpoints.features.routing.specs import (
    AUTHORIZER,
    BY_JWT,
    FUNCTION,
    FUNCTION_CONCURRENCY,
    HTTP_API,
    INTEGRATION,
    OPEN,
    ROUTE,
    ROUTE_THROTTLE,
    FunctionConcurrencySpec,
    FunctionSpec,
    HttpApiSpec,
    IntegrationSpec,
    RouteSpec,
    RouteThrottleSpec,
    authorizer_key,
    dedicated_api,
    integration_key,
    open_route_keys,
    route_key_name,
    route_keys,
)
from ephemeral_endpoints.features.routing.streaming import openai_base_url
from ephemeral_endpoints.features.serving.desired import AsynchronousFolders, endpoint_keys, variants_of
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.features.sleep.policy import stops_asleep, wakes_on_request
from ephemeral_endpoints.features.subject import ApiSchemas, Resolved, Subject

_KINDS: Final = frozenset({HTTP_API, AUTHORIZER, FUNCTION, FUNCTION_CONCURRENCY, INTEGRATION, ROUTE, ROUTE_THROTTLE})


def routes(subject: Subject) -> tuple[str, ...]:
    """The keys of the object's routes, which all lead to its one integration."""
    return (*route_keys(subject.path), *_open_routes(subject))


def _open_routes(subject: Subject) -> tuple[str, ...]:
    """The keys of those beside the usual ones that everybody reaches, where API Gateway authenticates callers."""
    if gateway_auth(subject) is None:
        return ()
    api = subject.endpoint.spec.api
    return open_route_keys(subject.path, page=api.playground.enabled, cors=_cors(subject) is not None)


def desired(subject: Subject, resolved: Resolved, _: DesiredState) -> DesiredState:
    """The way to the endpoint.

    Until the token and the schemas are known and there is room for its routes, the one that exists stays as it is.
    """
    is_full = not resolved.has_room and resolved.api != dedicated_api(subject.names.base)
    if resolved.schemas is None or is_full or (needs_token(subject) and resolved.token_sha256 is None):
        return DesiredState(keep_kinds=_KINDS)
    names, function = subject.names, Key(FUNCTION, subject.names.base)
    is_stopped = resolved.asleep and stops_asleep(subject.endpoint.spec.serving)
    apis = [each for each in (resolved.api, resolved.former_api) if each]
    resources = [
        DesiredResource(
            function,
            _forwarder(subject, resolved, resolved.schemas),
            needs=frozenset({Key(LOG_GROUP, names.forwarder_logs)}),
            # Requests never go to an endpoint that does not serve yet, nor to one that is gone. Nothing serves then.
            update_needs=frozenset() if is_stopped else endpoint_keys(variants_of(subject)),
            # Whoever has the token is let in by a forwarder that expects a JWT, but not by the gateway.
            update_after=frozenset() if gateway_auth(subject) else _route_resources(subject, apis),
            replaces=frozenset({ENDPOINT}),
        ),
    ]
    if reserved := subject.endpoint_class.spec.routing.reserved_concurrency:
        # Only once the function has the desired state: until then nothing has proven whose it is.
        needs = frozenset({function})
        concurrency = FunctionConcurrencySpec(function, reserved)
        resources.append(DesiredResource(Key(FUNCTION_CONCURRENCY, names.base), concurrency, needs, after=needs))
    for api in apis:
        resources += _way(subject, resolved, api, function)
    return DesiredState(tuple(resources))


def _way(subject: Subject, resolved: Resolved, api: Key, function: Key) -> Iterator[DesiredResource]:
    """The way through an API to the function, with the API and its authorizer if it is the object's own."""
    policy, asked = subject.endpoint_class.spec.routing, subject.endpoint.spec.api
    if api == dedicated_api(subject.names.base):
        yield DesiredResource(api, HttpApiSpec(throttle=throttle_of(asked, policy), tags=subject.tags))
        if policy.auth.jwt and auth_type(subject) is AuthType.JWT:
            yield authorizer(api, policy.auth.jwt)
    integration = integration_key(api, function.name)
    spec = IntegrationSpec(api, function, subject.endpoint_class.spec.invoke_role_arn)
    yield DesiredResource(integration, spec, frozenset({api, function}))
    if resolved.owns_path:
        # The one that the URL leaves may be full.
        is_whole = resolved.has_room or api == resolved.api
        for each in routes(subject) if is_whole else route_keys(subject.path):
            yield from _route(subject, api, each, function)


def _route(subject: Subject, api: Key, route_key: str, function: Key) -> Iterator[DesiredResource]:
    """A route. An object that asks for no throttle of its own has that of the API, as one with an API of its own."""
    integration, route = integration_key(api, function.name), Key(ROUTE, route_key_name(api, route_key))
    is_open = route_key not in route_keys(subject.path)
    authorization = OPEN if is_open else AUTHORIZATION[auth_type(subject)]
    checked_by = authorizer_key(api) if authorization == BY_JWT else None
    yield DesiredResource(
        route,
        RouteSpec(api, route_key, integration, authorization, checked_by),
        frozenset({api, integration, *([checked_by] if checked_by else [])}),
        # A forwarder that does not know of the authorization yet lets nobody in whom the gateway does.
        after=frozenset() if authorization == OPEN else frozenset({function}),
    )
    asked, policy = subject.endpoint.spec.api, subject.endpoint_class.spec.routing
    if asked.throttle is not None and api != dedicated_api(subject.names.base):
        settings = RouteThrottleSpec(api, route_key, route, throttle_of(asked, policy))
        yield DesiredResource(Key(ROUTE_THROTTLE, route.name), settings, frozenset({api, route}))


def _route_resources(subject: Subject, apis: Iterable[Key]) -> frozenset[Key]:
    return frozenset(Key(ROUTE, route_key_name(api, each)) for api in apis for each in route_keys(subject.path))


def _forwarder(subject: Subject, resolved: Resolved, schemas: ApiSchemas) -> FunctionSpec:
    api, stops = subject.endpoint.spec.api, stops_asleep(subject.endpoint.spec.serving)
    config = ForwarderConfig(
        variants=_variants(subject),
        token_sha256=resolved.token_sha256 if needs_token(subject) else None,
        max_body_bytes=api.max_body_bytes,
        region=subject.endpoint_class.spec.region,
        about=_about(subject),
        path=subject.path,
        asynchronous=_asynchronous(subject),
        samples=tuple(Sample(each.name, each.request, each.content_type, each.description) for each in api.samples),
        readiness=api.readiness.sample if api.readiness else None,
        timeout_seconds=api.timeout_seconds,
        content_types=tuple(each.lower() for each in api.content_types),
        sticky_header=api.sticky.header.lower() if api.sticky else None,
        cors=_cors(subject),
        streams=openai_base_url(subject) is not None,
        request_schema=schemas.request,
        response_schema=schemas.response,
        playground=_playground(subject),
        feedback=_feedback(subject, resolved),
        former_token=_former(resolved),
        base=_base(resolved.base),
        postprocess=_postprocess(subject, resolved.second),
        capture=forwarder_capture(subject),
        results=forwarder_results(subject),
        gateway_auth=gateway_auth(subject),
        domain=_domain(subject, resolved),
        notices=_notices(subject, resolved),
        sleeps=stops,
        wakes=stops and not resolved.kept_asleep and wakes_on_request(subject),
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


def _domain(subject: Subject, resolved: Resolved) -> str | None:
    """The domain with the path of it that leads to the object, be it by the API that its URL leaves."""
    own = dedicated_api(subject.names.base)  # which is in no domain
    shared = (each for each in (resolved.api, resolved.former_api) if each and each != own)
    base = next((domain_base(subject.endpoint_class, each) for each in shared), None)
    return base if base and "/" in base else None


def _notices(subject: Subject, resolved: Resolved) -> NoticesConfig | None:
    if resolved.queue is None:
        return None
    return NoticesConfig(subject.endpoint_class.spec.account, resolved.queue, subject.endpoint.metadata.uid)


def _variants(subject: Subject) -> tuple[Variant, ...]:
    return tuple(Variant(each.name, each.endpoint, each.weight) for each in variants_of(subject))


def _base(base: Subject | None) -> Base | None:
    return Base(base.endpoint.metadata.name, base.names.base, _variants(base)) if base else None


def _postprocess(subject: Subject, second: Subject | None) -> Postprocess | None:
    """The second model. What it serves is not part of it: a push to its object must not change this function."""
    api = subject.endpoint.spec.api
    asked = api.postprocess
    if asked is None:
        return None
    refusal = None
    if asked.endpoint and second is None:
        refusal = (
            f"The endpoint {asked.endpoint} does not exist, or must not be asked; its condition Postprocessed says why."
        )
    elif refused_postprocess(api, subject.endpoint_class.spec.routing):
        refusal = f"The class does not allow the SageMaker endpoint {asked.sage_maker_endpoint}."
    return Postprocess(
        name=asked.name,
        variants=_variants(second) if second else (),
        function=second.names.base if second else None,
        refusal=refusal,
        input=asked.input,
        member=asked.member,
        timeout_seconds=asked.timeout_seconds,
    )


def _asynchronous(subject: Subject) -> AsyncConfig | None:
    asked = subject.endpoint.spec.serving.asynchronous
    if asked is None:
        return None
    folders = AsynchronousFolders.below(asked.s3_uri, subject.names.base)
    return AsyncConfig(folders.requests, folders.results, folders.failures)


def _feedback(subject: Subject, resolved: Resolved) -> FeedbackConfig | None:
    asked, votes = subject.endpoint.spec.feedback, table(subject)
    if asked is None or votes is None:
        return None
    # Known to whoever may read the function or the object with its Secret, and to no caller.
    key = hashlib.sha256(f"feedback {subject.endpoint.metadata.uid} {resolved.token_sha256}".encode()).hexdigest()
    return FeedbackConfig(votes.name, key, asked.reasons)


def _former(resolved: Resolved) -> Former | None:
    former = resolved.former_token
    return Former(former.sha256, int(former.until.timestamp())) if former and resolved.token_sha256 else None


def _playground(subject: Subject) -> Playground | None:
    asked = subject.endpoint.spec.api.playground
    if not asked.enabled:
        return None
    answer = asked.answer
    return Playground(asked.title, AnswerPointers(answer.text, answer.label, answer.score, answer.image))


def _about(subject: Subject) -> About:
    metadata, source = subject.endpoint.metadata, subject.endpoint.spec.source
    return About(
        namespace=metadata.namespace or "",
        name=metadata.name,
        revision=subject.endpoint.revision,
        repository=source.repository,
        pull_request=source.pull_request,
        pull_request_url=_pull_request_url(subject),
    )


def _pull_request_url(subject: Subject) -> str | None:
    """Where people read the pull request; None where the class names no forge that browsers reach safely."""
    source, reviews = subject.endpoint.spec.source, subject.endpoint_class.spec.reviews
    if source.pull_request is None or reviews is None or not reviews.url.startswith("https://"):
        return None
    return f"{reviews.url}/{source.repository}/pull/{source.pull_request}"


def _cors(subject: Subject) -> Cors | None:
    api = subject.endpoint.spec.api
    if api.cors is None or refused_cors(api, subject.endpoint_class.spec.routing):
        return None
    headers = tuple(each.lower() for each in api.cors.allow_headers)
    return Cors(api.cors.allow_origins, headers, api.cors.max_age)
