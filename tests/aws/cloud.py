"""An embedded account with the things of one object in it, and what is known of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

import pytest
from tests.fixtures.issuer import AUDIENCE, running_issuer
from tests.fixtures.platform import Aws

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope
from ephemeral_endpoints.engine.names import Names, api_name, capture_name
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, Phase, ResourceKind, Spec
from ephemeral_endpoints.engine.tags import CLUSTER, UID
from ephemeral_endpoints.features.images.desired import lifecycle_policy
from ephemeral_endpoints.features.images.specs import REPOSITORY, RepositorySpec
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP, AlarmSpec, LogGroupSpec
from ephemeral_endpoints.features.reaping.specs import EVENT_RULE, EventRuleSpec
from ephemeral_endpoints.features.registry import components
from ephemeral_endpoints.features.routing.capture.specs import DELIVERY_STREAM, DeliveryStreamSpec
from ephemeral_endpoints.features.routing.feedback.specs import FEEDBACK_TABLE, FeedbackTableSpec
from ephemeral_endpoints.features.routing.forwarder import bundle
from ephemeral_endpoints.features.routing.forwarder.config import About, ForwarderConfig, Variant
from ephemeral_endpoints.features.routing.parameters.specs import PARAMETER, ParameterSpec, digest_of
from ephemeral_endpoints.features.routing.specs import (
    API_MAPPING,
    AUTHORIZER,
    FUNCTION,
    FUNCTION_CONCURRENCY,
    HTTP_API,
    INTEGRATION,
    ROUTE,
    ROUTE_THROTTLE,
    ApiMappingSpec,
    AuthorizerSpec,
    FunctionConcurrencySpec,
    FunctionSpec,
    HttpApiSpec,
    IntegrationSpec,
    RouteSpec,
    RouteThrottleSpec,
    ThrottleSpec,
    authorizer_key,
    mapping_key,
    route_key_name,
)
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    SCALABLE_TARGET,
    EndpointConfigSpec,
    EndpointSpec,
    InstanceSpec,
    ModelSpec,
    ScalableTargetSpec,
    ScalingMetric,
    TargetTracking,
    VariantSpec,
    scalable_target_name,
)

DEADLINE_SECONDS = 120
VARIANT = "main"
INSTANCE_TYPE = "ml.m5.large"
TOPIC = "arn:aws:sns:us-east-1:000000000000:previews"
VOLUME_KEY = "arn:aws:kms:us-east-1:000000000000:key/0a1b2c3d"
ROLE = "arn:aws:iam::000000000000:role/any"
DOMAIN = "previews.example.com"
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/0a1b2c3d"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/models@sha256:" + "0" * 64


async def eventually(check: Callable[[], Awaitable[bool]], what: str | Callable[[], str]) -> None:
    """Wait until it is so; ``what`` may say at the end what there was instead."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await check():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {DEADLINE_SECONDS} s: {what if isinstance(what, str) else what()}")
        await asyncio.sleep(0.02)


def with_spec(resource: DesiredResource, **changes: Any) -> DesiredResource:  # noqa: ANN401 - members of any type
    """The resource with another specification in parts."""
    spec: Any = resource.spec
    return replace(resource, spec=replace(spec, **changes))


@dataclass
class Cloud:
    """`known` is what the inventory would hold: the results of what was applied here."""

    aws: Aws
    clients: Clients
    calls: Calls
    scope: Scope
    uid: str = "uid-1"
    before: str = ""
    known: dict[Key, ObservedResource] = field(default_factory=dict)

    @cached_property
    def components(self) -> dict[ResourceKind, Component]:
        return {each.kind: each for each in components(self.clients, self.scope)}

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        return ((CLUSTER, self.scope.cluster_id), (UID, self.uid))

    @property
    def names(self) -> Names:
        return Names(self.scope.cluster_id, "pr-42", self.uid)

    @cached_property
    def resources(self) -> dict[ResourceKind, DesiredResource]:
        """One resource of every kind, in the order of their needs."""
        return {resource.key.kind: resource for resource in self._wants()}

    def of_cluster(self, cluster_id: str) -> "Cloud":
        """The same account as another operator sees it."""
        return Cloud(self.aws, self.clients, self.calls, replace(self.scope, cluster_id=cluster_id))

    def named(self, before: str) -> "Cloud":
        """The same account with things in SageMaker whose names hold ours, after ``before``."""
        return Cloud(self.aws, self.clients, self.calls, self.scope, before=before)

    def key(self, kind: ResourceKind) -> Key:
        return self.resources[kind].key

    def observed(self, kind: ResourceKind) -> ObservedResource:
        return self.known[self.key(kind)]

    async def prepare(self, kind: ResourceKind) -> DesiredResource:
        """Make everything that the kind's resource refers to; returns what is wanted of it."""
        if kind is API_MAPPING:
            self.make_domain()
        for resource in list(self.resources.values()):
            if resource.key.kind is kind:
                break
            if resource.key not in self.known and resource.key.kind in REFERRED[kind]:
                await self.make(resource)
        return self.resources[kind]

    def make_domain(self, name: str = DOMAIN) -> None:
        """A custom domain, as a platform team makes it."""
        client = self.clients.apigateway
        with suppress(client.exceptions.ConflictException):
            client.create_domain_name(
                DomainName=name,
                DomainNameConfigurations=[{"CertificateArn": CERTIFICATE, "EndpointType": "REGIONAL"}],
            )

    async def make(self, resource: DesiredResource) -> ObservedResource:
        """Apply until it is there as wanted and at rest."""
        component = self.components[resource.key.kind]
        observed = self.known.get(resource.key)
        while observed is None or not observed.matches(resource):
            observed = self.known[resource.key] = await component.apply(self.calls, resource, observed, self.known)
        return await self.rest(resource.key)

    async def rest(self, key: Key) -> ObservedResource:
        """Wait until the resource is not changing by itself; returns it."""

        async def rests() -> bool:
            found = await self.components[key.kind].describe(self.calls, key, self.known)
            assert found is not None
            self.known[key] = found
            return found.phase not in (Phase.BUSY, Phase.DELETING)

        await eventually(rests, f"{key} is at rest")
        return self.known[key]

    async def fault_has_struck(self) -> None:
        """Wait until the first fault in force has chosen a call."""

        async def has() -> bool:
            return (await asyncio.to_thread(self.aws.control.faults))[0].fired > 0

        await eventually(has, "the fault strikes")

    async def listed(self, kind: ResourceKind) -> dict[Key, ObservedResource]:
        """What a list shows now, to one who knows nothing of the kind."""
        found = await self.components[kind].list_all(self.calls, self.others(kind))
        assert len({observed.key for observed in found}) == len(found), "two resources share a key"
        return {observed.key: observed for observed in found}

    def others(self, kind: ResourceKind) -> dict[Key, ObservedResource]:
        """What is known of other kinds."""
        return {key: observed for key, observed in self.known.items() if key.kind is not kind}

    async def remove(self, kind: ResourceKind) -> None:
        """Delete the kind's resource and wait until it is gone."""
        observed, component = self.known.pop(self.key(kind)), self.components[kind]
        await component.delete(self.calls, observed, self.known)

        async def gone() -> bool:
            return await component.describe(self.calls, observed.key, self.known) is None

        await eventually(gone, f"{observed.key} is gone")

    def _wants(self) -> list[DesiredResource]:
        names, tags = self.names, self.tags
        model, config = (self.before + names.immutable("m" * 6, each * 26) for each in "mc")
        api = Key(HTTP_API, api_name(self.scope.cluster_id, "default", "class-uid"))
        function, integration = Key(FUNCTION, names.base), Key(INTEGRATION, names.base)
        endpoint = Key(ENDPOINT, self.before + names.base)
        route = Key(ROUTE, route_key_name(api, "ANY /pr-42"))
        specs: list[tuple[Key, Spec]] = [
            (Key(LOG_GROUP, names.forwarder_logs), LogGroupSpec(7, tags)),
            (Key(MODEL, model), ModelSpec(IMAGE, "s3://bucket/model.tar.gz", (("A", "b"),), ROLE, tags)),
            (
                Key(ENDPOINT_CONFIG, config),
                EndpointConfigSpec(
                    (VariantSpec(VARIANT, model, InstanceSpec(INSTANCE_TYPE, 1)),), tags=tags, volume_key_arn=VOLUME_KEY
                ),
            ),
            (endpoint, EndpointSpec(config, tags=tags)),
            (Key(SCALABLE_TARGET, scalable_target_name(endpoint.name, VARIANT)), self.scaling(endpoint)),
            (function, self.function_spec(None)),
            (Key(FUNCTION_CONCURRENCY, names.base), FunctionConcurrencySpec(function, 5)),
            (api, HttpApiSpec(staged=True, throttle=ThrottleSpec(100, 200), tags=tags)),
            (mapping_key(DOMAIN, "models"), ApiMappingSpec(api, DOMAIN, "models")),
            (integration, IntegrationSpec(api, function, ROLE)),
            (authorizer_key(api), AuthorizerSpec(api, running_issuer().url, (AUDIENCE,))),
            (route, RouteSpec(api, "ANY /pr-42", integration)),
            (Key(ROUTE_THROTTLE, route.name), RouteThrottleSpec(api, "ANY /pr-42", route, ThrottleSpec(5, 10))),
            (Key(ALARM, names.alarm("latency")), self._alarm()),
            (Key(FEEDBACK_TABLE, names.base), FeedbackTableSpec(tags)),
            (Key(PARAMETER, f"/previews/nlp/pr-42/{names.base}"), self.parameter_spec("{}")),
            (
                Key(DELIVERY_STREAM, capture_name(self.scope.cluster_id, "default", "class-uid")),
                DeliveryStreamSpec(
                    bucket="captures",
                    prefix="a/!{partitionKeyFromQuery:name}/!{timestamp:yyyy/MM/dd/HH}/",
                    error_prefix="errors/!{firehose:error-output-type}/",
                    role_arn=ROLE,
                    query="{name:.ephemeralEndpoint.name}",
                    extension=".jsonl",
                    buffer_seconds=60,
                    buffer_megabytes=64,
                    tags=tags,
                ),
            ),
            (Key(EVENT_RULE, names.base), EventRuleSpec("rate(15 minutes)", names.base, tags=tags)),
            (
                Key(REPOSITORY, f"previews/{Names(self.scope.cluster_id, 'default', 'class-uid').base}"),
                RepositorySpec(
                    immutable=True,
                    mutable_prefix="cache-",
                    scan_on_push=True,
                    lifecycle_policy=lifecycle_policy(timedelta(days=14)),
                    tags=tags,
                ),
            ),
        ]
        return [DesiredResource(key, spec) for key, spec in specs]

    def scaling(self, endpoint: Key, **changes: Any) -> ScalableTargetSpec:  # noqa: ANN401 - members of any type
        """Scaling by a metric; ``changes`` are of the specification."""
        spec = ScalableTargetSpec(
            endpoint=endpoint,
            variant=VARIANT,
            instance_type=INSTANCE_TYPE,
            fixed_bounds=(1, 2),
            tracking=TargetTracking(ScalingMetric.INVOCATIONS, 100, 300, 60),
            bounds=(1, 2),
            tags=self.tags,
        )
        return replace(spec, **changes)

    def forwarder_config(self, token_sha256: str | None) -> ForwarderConfig:
        """The configuration of a forwarder."""
        return ForwarderConfig(
            (Variant(VARIANT, self.names.base, 1),),
            token_sha256,
            1024,
            self.scope.region,
            About("nlp", "pr-42", "0" * 40, "acme/wine"),
            "/pr-42",
        )

    def function_spec(self, token_sha256: str | None) -> FunctionSpec:
        """A forwarder; another token makes another bundle."""
        config = self.forwarder_config(token_sha256)
        return FunctionSpec(
            code_sha256=bundle.build(config).sha256_base64,
            role_arn=ROLE,
            runtime=bundle.RUNTIME,
            handler=bundle.HANDLER,
            memory_mb=bundle.MEMORY_MB,
            timeout_seconds=bundle.TIMEOUT_SECONDS,
            forwarder=config,
            tags=self.tags,
        )

    def parameter_spec(self, value: str) -> ParameterSpec:
        """A parameter with that value."""
        return ParameterSpec(digest_of(value), value=value, tags=self.tags)

    def _alarm(self) -> AlarmSpec:
        return AlarmSpec(
            namespace="AWS/SageMaker",
            metric="ModelLatency",
            dimensions=(("EndpointName", self.names.base), ("VariantName", VARIANT)),
            threshold=5_000_000.0,
            period_seconds=60,
            evaluation_periods=3,
            description="The model is slow",
            actions=(TOPIC,),
            tags=self.tags,
        )


_API_SIDE = frozenset({FUNCTION, HTTP_API})
REFERRED: dict[ResourceKind, frozenset[ResourceKind]] = {
    LOG_GROUP: frozenset(),
    MODEL: frozenset(),
    ENDPOINT_CONFIG: frozenset({MODEL}),
    ENDPOINT: frozenset({MODEL, ENDPOINT_CONFIG}),
    SCALABLE_TARGET: frozenset({MODEL, ENDPOINT_CONFIG, ENDPOINT}),
    FUNCTION: frozenset(),
    FUNCTION_CONCURRENCY: frozenset({FUNCTION}),
    HTTP_API: frozenset(),
    API_MAPPING: frozenset({HTTP_API}),
    INTEGRATION: _API_SIDE,
    AUTHORIZER: frozenset({HTTP_API}),
    ROUTE: _API_SIDE | {INTEGRATION},
    ROUTE_THROTTLE: _API_SIDE | {INTEGRATION, ROUTE},
    ALARM: frozenset(),
    REPOSITORY: frozenset(),
    FEEDBACK_TABLE: frozenset(),
    DELIVERY_STREAM: frozenset(),
    EVENT_RULE: frozenset({FUNCTION}),
    PARAMETER: frozenset(),
}

OF_CLASSES = frozenset({API_MAPPING, AUTHORIZER, DELIVERY_STREAM, EVENT_RULE, HTTP_API, REPOSITORY})
"""Kinds of what the objects of a class share."""
