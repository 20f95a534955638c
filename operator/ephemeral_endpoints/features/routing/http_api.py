"""The HTTP APIs that objects share or have for themselves, and each object's integration and routes in them.

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
    AUTHORIZER,
    AUTHORIZER_NAME,
    BY_JWT,
    FUNCTION,
    HTTP_API,
    INTEGRATION,
    OPEN,
    ROUTE,
    AuthorizerSpec,
    HttpApiSpec,
    IntegrationSpec,
    RouteSpec,
    integration_key,
    route_key_name,
)
from ephemeral_endpoints.features.routing.stage_settings import (
    EVERY_ROUTE,
    PAGE,
    STAGE,
    StageSettings,
    stage_of,
    throttle_of,
)

TIMEOUT_MILLIS: Final = 30_000
_JWT: Final = "JWT"
_ACTIONS: Final = frozenset({"apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST"})


class _GatewayComponent(Component, ABC):
    """The base of the kinds of API Gateway: none can be read by its name."""

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._client = clients.apigateway

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        return next((observed for observed in await self.list_all(calls, known) if observed.key == key), None)


class InApiComponent(_GatewayComponent, ABC):
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

    async def _delete_in_api(
        self,
        calls: Calls,
        observed: ObservedResource,
        known: ObservedResources,
        method: Callable[..., Any],
        id_: str,
    ) -> None:
        """Delete a part of an API; it is gone with its API."""
        if api := known.get(observed.part_of) if observed.part_of else None:
            await if_there(calls(method, ApiId=api.id, **{id_: observed.id}))


class HttpApiComponent(_GatewayComponent):
    """HTTP APIs, each with one stage that deploys by itself."""

    kind: ClassVar = HTTP_API
    actions: ClassVar = _ACTIONS | {"apigateway:TagResource"}
    statements: ClassVar = APIS

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._settings = StageSettings.of(self._client)

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        listed = await items(calls, self._client.get_apis, "Items", MaxResults=PAGE)
        ours = [item for item in listed if item["Name"].startswith(self._scope.prefix)]
        ours.sort(key=lambda item: (item["CreatedDate"], item["ApiId"]))
        found: dict[Key, ObservedResource] = {}
        for item in ours:
            key = _unless_taken(Key(self.kind, item["Name"]), item["ApiId"], found)
            found[key] = self._observed(key, item, await stage_of(calls, self._client, item["ApiId"]))
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
        await self._settings.put(calls, observed.id, EVERY_ROUTE, spec.throttle)
        return replace(observed, spec=spec)

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        # Deleting an API takes its stage, routes and integrations with it.
        await if_there(calls(self._client.delete_api, ApiId=observed.id))

    def _observed(self, key: Key, item: Any, stage: Any) -> ObservedResource:
        return ObservedResource(
            key,
            Phase.READY,
            spec=HttpApiSpec(
                staged=stage is not None, throttle=throttle_of((stage or {}).get("DefaultRouteSettings", {}))
            ),
            id=item["ApiId"],
            arn=f"arn:{self._scope.partition}:apigateway:{self._scope.region}::/apis/{item['ApiId']}",
            owner=self._owner_of(item["Name"]),
            url=item["ApiEndpoint"],
        )


class AuthorizerComponent(InApiComponent):
    """Authorizers that check JWTs: one an API, as the objects of one class share it."""

    kind: ClassVar = AUTHORIZER
    actions: ClassVar = _ACTIONS

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        found: dict[Key, ObservedResource] = {}
        async for api, item in self._in_apis(calls, known, self._client.get_authorizers, "AuthorizerId"):
            name = f"{api.key.name} {item['Name']}"
            if item["AuthorizerType"] != _JWT:
                # It can become none of ours, whatever it is named.
                name = f"{name}#{item['AuthorizerId']}"
            key = _unless_taken(Key(self.kind, name), item["AuthorizerId"], found)
            found[key] = self._observed(key, api, item)
        return list(found.values())

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec = expect(resource, AuthorizerSpec)
        api = known_resource(spec.api, known)
        settings: dict[str, Any] = {
            "AuthorizerType": _JWT,
            "IdentitySource": list(spec.source),
            "JwtConfiguration": {"Audience": list(spec.audiences), "Issuer": spec.issuer},
            "Name": AUTHORIZER_NAME,
        }
        if observed is None:
            made: Any = await calls(self._client.create_authorizer, ApiId=api.id, **settings)
        else:
            made = await calls(self._client.update_authorizer, ApiId=api.id, AuthorizerId=observed.id, **settings)
        return self._observed(resource.key, api, made)

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        await self._delete_in_api(calls, observed, known, self._client.delete_authorizer, "AuthorizerId")

    def _observed(self, key: Key, api: ObservedResource, item: Any) -> ObservedResource:
        checked = item.get("JwtConfiguration", {})
        audiences = tuple(sorted(checked.get("Audience", ())))
        return ObservedResource(
            key,
            Phase.READY,
            spec=AuthorizerSpec(api.key, checked.get("Issuer", ""), audiences, tuple(item.get("IdentitySource", ()))),
            id=item["AuthorizerId"],
            arn=f"{api.arn}/authorizers/{item['AuthorizerId']}",
            owner=api.owner,
            uses=frozenset({api.key}),
        )


class IntegrationComponent(InApiComponent):
    """Integrations: one an object, from the API to its forwarder function."""

    kind: ClassVar = INTEGRATION
    actions: ClassVar = _ACTIONS | {"iam:PassRole"}

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        found: dict[Key, ObservedResource] = {}
        async for api, item in self._in_apis(calls, known, self._client.get_integrations, "IntegrationId"):
            key = _unless_taken(integration_key(api.key, _function_name(item)), item["IntegrationId"], found)
            found[key] = self._observed(key, api, item)
        return list(found.values())

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec = expect(resource, IntegrationSpec)
        api = known_resource(spec.api, known)
        settings: dict[str, Any] = {
            "CredentialsArn": spec.role_arn,
            "Description": _description(spec.role_arn),
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": known_resource(spec.function, known).arn,
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
        await self._delete_in_api(calls, observed, known, self._client.delete_integration, "IntegrationId")

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


class RouteComponent(InApiComponent):
    """Routes: several an object, from its path to its integration."""

    kind: ClassVar = ROUTE
    actions: ClassVar = _ACTIONS

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        integrations, authorizers = _by_target(known.values()), _by_id(known.values())
        found: dict[Key, ObservedResource] = {}
        async for api, item in self._in_apis(calls, known, self._client.get_routes, "RouteId"):
            key = _unless_taken(Key(self.kind, route_key_name(api.key, item["RouteKey"])), item["RouteId"], found)
            found[key] = self._observed(key, api, item, integrations, authorizers)
        return list(found.values())

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec = expect(resource, RouteSpec)
        if spec.integration is None:
            raise TypeError(f"{resource.key} leads nowhere")
        api = known_resource(spec.api, known)
        integration = known_resource(spec.integration, known)
        authorizer = known_resource(spec.authorizer, known) if spec.authorizer else None
        # The type is always sent: what is left out stays, and NONE takes the authorizer off.
        settings: dict[str, Any] = {
            "AuthorizationType": spec.authorization,
            "RouteKey": spec.route_key,
            "Target": f"integrations/{integration.id}",
            **({"AuthorizerId": authorizer.id} if authorizer else {}),
        }
        if observed is None:
            made: Any = await calls(self._client.create_route, ApiId=api.id, **settings)
        else:
            made = await calls(self._client.update_route, ApiId=api.id, RouteId=observed.id, **settings)
        return self._observed(
            resource.key, api, made, _by_target([integration]), _by_id([authorizer] if authorizer else [])
        )

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        await self._delete_in_api(calls, observed, known, self._client.delete_route, "RouteId")

    def _observed(
        self,
        key: Key,
        api: ObservedResource,
        item: Any,
        integrations: Mapping[str, ObservedResource],
        authorizers: Mapping[str, Key],
    ) -> ObservedResource:
        integration = integrations.get(f"{api.key.name} {item.get('Target', '')}")
        authorization, id_ = item.get("AuthorizationType", OPEN), item.get("AuthorizerId", "")
        # One that is not known, such as another's, is none that is ever desired.
        authorizer = authorizers.get(f"{api.key.name} {id_}", Key(AUTHORIZER, f"{api.key.name}#{id_}"))
        authorizer_used = authorizer if authorization == BY_JWT else None
        return ObservedResource(
            key,
            Phase.READY,
            spec=RouteSpec(
                api.key, item["RouteKey"], integration.key if integration else None, authorization, authorizer_used
            ),
            id=item["RouteId"],
            arn=f"{api.arn}/routes/{item['RouteId']}",
            owner=integration.owner if integration else None,
            uses=frozenset(
                {api.key, *([integration.key] if integration else []), *([authorizer_used] if authorizer_used else [])}
            ),
        )


def known_resource(key: Key, known: ObservedResources) -> ObservedResource:
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


def _by_id(resources: Iterable[ObservedResource]) -> dict[str, Key]:
    """The authorizers among these, by the API and the id that its routes have."""
    return {
        f"{observed.spec.api.name} {observed.id}": observed.key
        for observed in resources
        if isinstance(observed.spec, AuthorizerSpec)
    }


def _function_name(integration: Any) -> str:
    # Integrations made by hand may lead to other services, by a URI or by none.
    return str(integration.get("IntegrationUri", "")).rpartition(":")[2]


def _unless_taken(key: Key, unique: str, taken: Iterable[Key]) -> Key:
    return Key(key.kind, f"{key.name}#{unique}") if key in taken else key


def _description(role_arn: str) -> str:
    return f"Invoked as {role_arn}"
