"""An embedded account with the things of one object in it, and what is known of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

import pytest
from tests.fixtures.platform import Aws

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope
from ephemeral_endpoints.aws.components import components
from ephemeral_endpoints.core.names import Names, api_name
from ephemeral_endpoints.core.repositories import lifecycle_policy
from ephemeral_endpoints.core.resources import (
    AlarmSpec,
    EndpointConfigSpec,
    EndpointSpec,
    FunctionSpec,
    Have,
    HttpApiSpec,
    InstanceSpec,
    IntegrationSpec,
    Key,
    Kind,
    LogGroupSpec,
    ModelSpec,
    Phase,
    RepositorySpec,
    RouteSpec,
    ScalableTargetSpec,
    ScalingMetric,
    Spec,
    TargetTracking,
    VariantSpec,
    Want,
    route_key_name,
    scalable_target_name,
)
from ephemeral_endpoints.core.tags import CLUSTER, UID
from ephemeral_endpoints.forwarder import bundle
from ephemeral_endpoints.forwarder.config import ForwarderConfig, Variant

DEADLINE_SECONDS = 20
VARIANT = "main"
INSTANCE_TYPE = "ml.m5.large"
ROLE = "arn:aws:iam::000000000000:role/any"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/models@sha256:" + "0" * 64


async def eventually(check: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await check():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {DEADLINE_SECONDS} s: {what}")
        await asyncio.sleep(0.02)


@dataclass
class World:
    """`known` is what the inventory would hold: the results of what was applied here."""

    aws: Aws
    clients: Clients
    calls: Calls
    scope: Scope
    uid: str = "uid-1"
    before: str = ""
    known: dict[Key, Have] = field(default_factory=dict)

    @cached_property
    def components(self) -> dict[Kind, Component]:
        return {each.kind: each for each in components(self.clients, self.scope)}

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        return ((CLUSTER, self.scope.cluster_id), (UID, self.uid))

    @property
    def names(self) -> Names:
        return Names(self.scope.cluster_id, "pr-42", self.uid)

    @cached_property
    def wants(self) -> dict[Kind, Want]:
        """One resource of every kind, in the order of their needs."""
        return {want.key.kind: want for want in self._wants()}

    def of_cluster(self, cluster_id: str) -> "World":
        """The same account as another operator sees it."""
        return World(self.aws, self.clients, self.calls, replace(self.scope, cluster_id=cluster_id))

    def named(self, before: str) -> "World":
        """The same account with things in SageMaker whose names hold ours, after ``before``."""
        return World(self.aws, self.clients, self.calls, self.scope, before=before)

    def key(self, kind: Kind) -> Key:
        return self.wants[kind].key

    def have(self, kind: Kind) -> Have:
        return self.known[self.key(kind)]

    async def prepare(self, kind: Kind) -> Want:
        """Make everything that the kind's resource refers to; returns what is wanted of it."""
        for want in list(self.wants.values()):
            if want.key.kind is kind:
                break
            if want.key not in self.known and want.key.kind in _REFERRED[kind]:
                await self.make(want)
        return self.wants[kind]

    async def make(self, want: Want) -> Have:
        """Apply until it is there as wanted and at rest."""
        component = self.components[want.key.kind]
        have = self.known.get(want.key)
        while have is None or not have.matches(want):
            have = self.known[want.key] = await component.apply(self.calls, want, have, self.known)
        return await self.rest(want.key)

    async def rest(self, key: Key) -> Have:
        """Wait until the resource is not changing by itself; returns it."""

        async def rests() -> bool:
            found = await self.components[key.kind].look(self.calls, key, self.known)
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

    async def observed(self, kind: Kind) -> dict[Key, Have]:
        """What a list shows now, to one who knows nothing of the kind."""
        found = await self.components[kind].observe(self.calls, self.others(kind))
        assert len({have.key for have in found}) == len(found), "two resources share a key"
        return {have.key: have for have in found}

    def others(self, kind: Kind) -> dict[Key, Have]:
        """What is known of other kinds."""
        return {key: have for key, have in self.known.items() if key.kind is not kind}

    async def remove(self, kind: Kind) -> None:
        """Delete the kind's resource and wait until it is gone."""
        have, component = self.known.pop(self.key(kind)), self.components[kind]
        await component.delete(self.calls, have, self.known)

        async def gone() -> bool:
            return await component.look(self.calls, have.key, self.known) is None

        await eventually(gone, f"{have.key} is gone")

    def _wants(self) -> list[Want]:
        names, tags = self.names, self.tags
        model, config = self.before + names.model("0" * 8), self.before + names.endpoint_config("0" * 8, "1" * 8)
        api = Key(Kind.HTTP_API, api_name(self.scope.cluster_id, "default", "class-uid"))
        function, integration = Key(Kind.FUNCTION, names.base), Key(Kind.INTEGRATION, names.base)
        endpoint = Key(Kind.ENDPOINT, self.before + names.base)
        specs: list[tuple[Key, Spec]] = [
            (Key(Kind.LOG_GROUP, names.forwarder_logs), LogGroupSpec(7, tags)),
            (Key(Kind.MODEL, model), ModelSpec(IMAGE, "s3://bucket/model.tar.gz", (("A", "b"),), ROLE, tags)),
            (
                Key(Kind.ENDPOINT_CONFIG, config),
                EndpointConfigSpec((VariantSpec(VARIANT, model, InstanceSpec(INSTANCE_TYPE, 1)),), tags=tags),
            ),
            (endpoint, EndpointSpec(config, tags=tags)),
            (Key(Kind.SCALABLE_TARGET, scalable_target_name(endpoint.name, VARIANT)), self.scaling(endpoint)),
            (function, self.function_spec(None)),
            (api, HttpApiSpec(staged=True, tags=tags)),
            (integration, IntegrationSpec(api, function, ROLE)),
            (Key(Kind.ROUTE, route_key_name(api, "ANY /pr-42")), RouteSpec(api, "ANY /pr-42", integration)),
            (Key(Kind.ALARM, names.alarm("latency")), self._alarm()),
            (
                Key(Kind.REPOSITORY, f"previews/{Names(self.scope.cluster_id, 'default', 'class-uid').base}"),
                RepositorySpec(
                    immutable=True,
                    mutable_prefix="cache-",
                    scan_on_push=True,
                    lifecycle_policy=lifecycle_policy(timedelta(days=14)),
                    tags=tags,
                ),
            ),
        ]
        return [Want(key, spec) for key, spec in specs]

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
        """What a forwarder is told."""
        return ForwarderConfig((Variant(VARIANT, self.names.base, 1),), token_sha256, 1024, self.scope.region)

    def function_spec(self, token_sha256: str | None) -> FunctionSpec:
        """A forwarder; another token makes another bundle."""
        config = self.forwarder_config(token_sha256)
        return FunctionSpec(
            code_sha256=bundle.code_sha256(config),
            role_arn=ROLE,
            runtime=bundle.RUNTIME,
            handler=bundle.HANDLER,
            memory_mb=bundle.MEMORY_MB,
            timeout_seconds=bundle.TIMEOUT_SECONDS,
            forwarder=config,
            tags=self.tags,
        )

    def _alarm(self) -> AlarmSpec:
        return AlarmSpec(
            namespace="AWS/SageMaker",
            metric="ModelLatency",
            dimensions=(("EndpointName", self.names.base), ("VariantName", VARIANT)),
            threshold=5_000_000.0,
            period_seconds=60,
            evaluation_periods=3,
            description="The model is slow",
            tags=self.tags,
        )


_API_SIDE = frozenset({Kind.FUNCTION, Kind.HTTP_API})
_REFERRED: dict[Kind, frozenset[Kind]] = {
    Kind.LOG_GROUP: frozenset(),
    Kind.MODEL: frozenset(),
    Kind.ENDPOINT_CONFIG: frozenset({Kind.MODEL}),
    Kind.ENDPOINT: frozenset({Kind.MODEL, Kind.ENDPOINT_CONFIG}),
    Kind.SCALABLE_TARGET: frozenset({Kind.MODEL, Kind.ENDPOINT_CONFIG, Kind.ENDPOINT}),
    Kind.FUNCTION: frozenset(),
    Kind.HTTP_API: frozenset(),
    Kind.INTEGRATION: _API_SIDE,
    Kind.ROUTE: _API_SIDE | {Kind.INTEGRATION},
    Kind.ALARM: frozenset(),
    Kind.REPOSITORY: frozenset(),
}

OF_CLASSES = frozenset({Kind.HTTP_API, Kind.REPOSITORY})
"""Kinds of what the objects of a class share."""
