"""The HTTP APIs that objects share, and each object's integration and route in them.

API Gateway gives ids instead of names, and neither creating an API nor an integration is idempotent. Those
of a lost answer are found by their reference: an API by its name, an integration by its function. Of twin APIs the
oldest serves, of twin integrations, whose age AWS does not report, the one with the lowest id; the others carry a key
of their own that is never desired, so that the planner deletes them.
"""

from abc import ABC
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope, expect, if_there, items
from ephemeral_endpoints.aws.errors import gone
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.routing.iam import APIS
from ephemeral_endpoints.features.routing.specs import (
    FUNCTION,
    HTTP_API,
    INTEGRATION,
    ROUTE,
    HttpApiSpec,
    IntegrationSpec,
    RouteSpec,
    ThrottleSpec,
    route_key_name,
)

PAGE: Final = "500"
STAGE: Final = "$default"
TIMEOUT_MILLIS: Final = 30_000
_ACTIONS: Final = frozenset({"apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST"})


class _GatewayComponent(Component, ABC):
    """The base of the kinds of API Gateway: none can be read by its name."""

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._client = clients.apigateway

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        return next((observed for observed in await self.list_all(calls, known) if observed.key == key), None)


class _InApiComponent(_GatewayComponent, ABC):
    """The contents of an API: they have no tags, and the resource that they lead to identifies the owner."""

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> None:
        return None

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        return

    async def _in_apis(
        self, calls: Calls, known: ObservedResources, method: Callable[..., Any], id_: str
    ) -> AsyncIterator[tuple[ObservedResource, Any]]:
        """The contents of the APIs, those of an API before those of its twins, each with its API."""
        for api in sorted((each for each in known.values() if each.key.kind is HTTP_API), key=lambda each: each.key):
            found = await items(calls, method, "Items", ApiId=api.id, MaxResults=PAGE)
            for item in sorted(found, key=lambda item: item[id_]):
                yield api, item


class HttpApiComponent(_GatewayComponent):
    """HTTP APIs, each with one stage that deploys by itself."""

    kind: ClassVar = HTTP_API
    actions: ClassVar = _ACTIONS | {"apigateway:TagResource"}
    statements: ClassVar = APIS

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        listed = await items(calls, self._client.get_apis, "Items", MaxResults=PAGE)
        ours = [item for item in listed if item["Name"].startswith(self._scope.prefix)]
        ours.sort(key=lambda item: (item["CreatedDate"], item["ApiId"]))
        found: dict[Key, ObservedResource] = {}
        for item in ours:
            key = _unless_taken(Key(self.kind, item["Name"]), item["ApiId"], found)
            found[key] = self._observed(key, item, await self._stage(calls, item["ApiId"]))
        return list(found.values())

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        return (await calls(self._client.get_api, ApiId=observed.id)).get("Tags", {})

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        await calls(self._client.tag_resource, ResourceArn=observed.arn, Tags=dict(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        # The API is made first, its stage by a second step, and its throttle is set by a third one: AWS refuses limits
        # beyond those of the account, and settings by hand of a route that is gone block every update of the stage.
        # Neither must keep the objects of the class from being served.
        spec = expect(resource, HttpApiSpec)
        if observed is None:
            created = await calls(
                self._client.create_api, Name=resource.key.name, ProtocolType="HTTP", Tags=dict(spec.tags)
            )
            return self._observed(resource.key, created, None)
        if not (isinstance(observed.spec, HttpApiSpec) and observed.spec.staged):
            await calls(
                self._client.create_stage, ApiId=observed.id, StageName=STAGE, AutoDeploy=True, Tags=dict(spec.tags)
            )
            return replace(observed, spec=HttpApiSpec(staged=True))
        if spec.throttle is None:
            raise TypeError(f"{resource.key} would have no throttle")
        # A member that is left out falls back to AWS's default.
        settings: Any = {
            "DetailedMetricsEnabled": False,
            "ThrottlingBurstLimit": spec.throttle.burst,
            "ThrottlingRateLimit": spec.throttle.rate,
        }
        await calls(self._client.update_stage, ApiId=observed.id, StageName=STAGE, DefaultRouteSettings=settings)
        return replace(observed, spec=spec)

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        # Deleting an API takes its stage, routes and integrations with it.
        await if_there(calls(self._client.delete_api, ApiId=observed.id))

    async def _stage(self, calls: Calls, api_id: str) -> Any:
        stages = await calls(self._client.get_stages, ApiId=api_id)
        return next((stage for stage in stages["Items"] if stage["StageName"] == STAGE), None)

    def _observed(self, key: Key, item: Any, stage: Any) -> ObservedResource:
        return ObservedResource(
            key,
            Phase.READY,
            spec=HttpApiSpec(staged=stage is not None, throttle=_throttle(stage or {})),
            id=item["ApiId"],
            arn=f"arn:{self._scope.partition}:apigateway:{self._scope.region}::/apis/{item['ApiId']}",
            owner=self._owner_of(item["Name"]),
            url=item["ApiEndpoint"],
        )


class IntegrationComponent(_InApiComponent):
    """Integrations: one an object, from the API to its forwarder function."""

    kind: ClassVar = INTEGRATION
    actions: ClassVar = _ACTIONS | {"iam:PassRole"}

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        found: dict[Key, ObservedResource] = {}
        async for api, item in self._in_apis(calls, known, self._client.get_integrations, "IntegrationId"):
            key = _unless_taken(Key(self.kind, _function_name(item)), item["IntegrationId"], found)
            found[key] = self._observed(key, api, item)
        return list(found.values())

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec = expect(resource, IntegrationSpec)
        api = _known(spec.api, known)
        settings: dict[str, Any] = {
            "CredentialsArn": spec.role_arn,
            "Description": _description(spec.role_arn),
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": _known(spec.function, known).arn,
            "PayloadFormatVersion": "2.0",
            "TimeoutInMillis": TIMEOUT_MILLIS,
        }
        if observed is None:
            made: Any = await calls(self._client.create_integration, ApiId=api.id, **settings)
        else:
            made = await calls(self._client.update_integration, ApiId=api.id, IntegrationId=observed.id, **settings)
        return self._observed(resource.key, api, made)

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        spec = observed.spec
        api = known.get(spec.api) if isinstance(spec, IntegrationSpec) else None
        if api is None:
            return
        await if_there(calls(self._client.delete_integration, ApiId=api.id, IntegrationId=observed.id))

    def _observed(self, key: Key, api: ObservedResource, item: Any) -> ObservedResource:
        function = Key(FUNCTION, _function_name(item))
        return ObservedResource(
            key,
            Phase.READY,
            spec=IntegrationSpec(api.key, function, item.get("Description", "").rpartition(" ")[2]),
            id=item["IntegrationId"],
            arn=f"{api.arn}/integrations/{item['IntegrationId']}",
            owner=self._owner_of(function.name),
            uses=frozenset({api.key, function}),
        )


class RouteComponent(_InApiComponent):
    """Routes: one an object, from its path to its integration."""

    kind: ClassVar = ROUTE
    actions: ClassVar = _ACTIONS

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        integrations = _by_target(known.values())
        found: dict[Key, ObservedResource] = {}
        async for api, item in self._in_apis(calls, known, self._client.get_routes, "RouteId"):
            key = _unless_taken(Key(self.kind, route_key_name(api.key, item["RouteKey"])), item["RouteId"], found)
            found[key] = self._observed(key, api, item, integrations)
        return list(found.values())

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec = expect(resource, RouteSpec)
        if spec.integration is None:
            raise TypeError(f"{resource.key} leads nowhere")
        api = _known(spec.api, known)
        integration = _known(spec.integration, known)
        target = f"integrations/{integration.id}"
        if observed is None:
            made: Any = await calls(self._client.create_route, ApiId=api.id, RouteKey=spec.route_key, Target=target)
        else:
            made = await calls(
                self._client.update_route, ApiId=api.id, RouteId=observed.id, RouteKey=spec.route_key, Target=target
            )
        return self._observed(resource.key, api, made, _by_target([integration]))

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        api = known.get(observed.spec.api) if isinstance(observed.spec, RouteSpec) else None
        if api is None:
            return
        await if_there(calls(self._client.delete_route, ApiId=api.id, RouteId=observed.id))

    def _observed(
        self, key: Key, api: ObservedResource, item: Any, integrations: Mapping[str, ObservedResource]
    ) -> ObservedResource:
        integration = integrations.get(f"{api.key.name} {item.get('Target', '')}")
        return ObservedResource(
            key,
            Phase.READY,
            spec=RouteSpec(api.key, item["RouteKey"], integration.key if integration else None),
            id=item["RouteId"],
            arn=f"{api.arn}/routes/{item['RouteId']}",
            owner=integration.owner if integration else None,
            uses=frozenset({api.key, *([integration.key] if integration else [])}),
        )


def _throttle(stage: Any) -> ThrottleSpec | None:
    settings = stage.get("DefaultRouteSettings", {})
    rate, burst = settings.get("ThrottlingRateLimit"), settings.get("ThrottlingBurstLimit")
    return None if rate is None or burst is None else ThrottleSpec(rate, burst)


def _known(key: Key, known: ObservedResources) -> ObservedResource:
    """The resource that a step refers to; it may be gone since the step was planned."""
    observed = known.get(key)
    if observed is None:
        raise gone(key)
    return observed


def _by_target(resources: Iterable[ObservedResource]) -> dict[str, ObservedResource]:
    """The integrations among these, by the API and what a route to them has as its target."""
    return {
        f"{observed.spec.api.name} integrations/{observed.id}": observed
        for observed in resources
        if isinstance(observed.spec, IntegrationSpec)
    }


def _function_name(integration: Any) -> str:
    # Integrations made by hand may lead to other services, by a URI or by none.
    return str(integration.get("IntegrationUri", "")).rpartition(":")[2]


def _unless_taken(key: Key, unique: str, taken: Iterable[Key]) -> Key:
    return Key(key.kind, f"{key.name}#{unique}") if key in taken else key


def _description(role_arn: str) -> str:
    return f"Invoked as {role_arn}"
