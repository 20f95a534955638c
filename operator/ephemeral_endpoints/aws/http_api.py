"""The HTTP APIs that objects share, and each object's integration and route in them.

API Gateway gives ids instead of names, and neither creating an API nor an integration is idempotent. What a lost
answer left behind is found by what it refers to: an API by its name, an integration by its function. Of twin APIs the
oldest serves, of twin integrations, whose age AWS does not tell, the one with the lowest id; the others carry a key of
their own that nobody wants, so that the planner deletes them.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Scope, expect, pages
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.names import owner_of
from ephemeral_endpoints.core.resources import (
    Have,
    Haves,
    HttpApiSpec,
    IntegrationSpec,
    Key,
    Kind,
    Phase,
    RouteSpec,
    Want,
    route_key_name,
)
from ephemeral_endpoints.core.tags import Tags

if TYPE_CHECKING:
    from types_boto3_apigatewayv2 import ApiGatewayV2Client

PAGE: Final = "500"
STAGE: Final = "$default"
TIMEOUT_MILLIS: Final = 30_000
_ACTIONS: Final = frozenset({"apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST"})


class HttpApiComponent:
    """HTTP APIs, each with one stage that deploys by itself."""

    kind: ClassVar = Kind.HTTP_API
    actions: ClassVar = _ACTIONS - {"apigateway:PATCH"} | {"apigateway:TagResource"}

    def __init__(self, client: "ApiGatewayV2Client", scope: Scope) -> None:
        self._client = client
        self._scope = scope

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``."""
        listing = pages(calls, self._client.get_apis, MaxResults=PAGE)
        ours = [item async for page in listing for item in page["Items"] if item["Name"].startswith(self._scope.prefix)]
        ours.sort(key=lambda item: (item["CreatedDate"], item["ApiId"]))
        found: dict[Key, Have] = {}
        for item in ours:
            key = _unless_taken(Key(self.kind, item["Name"]), item["ApiId"], found)
            found[key] = self._have(key, item, staged=await self._is_staged(calls, item["ApiId"]))
        return list(found.values())

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``."""
        return next((have for have in await self.observe(calls, known) if have.key == key), None)

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str]:
        """See ``Component``."""
        return (await calls(self._client.get_api, ApiId=have.id)).get("Tags", {})

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``."""
        await calls(self._client.tag_resource, ResourceArn=have.arn, Tags=dict(marks))

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``. The API is made first and its stage by a second step."""
        spec = expect(want, HttpApiSpec)
        if have is None:
            created = await calls(
                self._client.create_api, Name=want.key.name, ProtocolType="HTTP", Tags=dict(spec.tags)
            )
            return self._have(want.key, created, staged=False)
        await calls(self._client.create_stage, ApiId=have.id, StageName=STAGE, AutoDeploy=True, Tags=dict(spec.tags))
        return Have(have.key, Phase.READY, spec=spec, id=have.id, arn=have.arn, owner=have.owner, url=have.url)

    async def delete(self, calls: Calls, have: Have, known: Haves) -> None:
        """See ``Component``. Deleting an API takes its stage, routes and integrations with it."""
        try:
            await calls(self._client.delete_api, ApiId=have.id)
        except errors.NotFound:
            return

    async def _is_staged(self, calls: Calls, api_id: str) -> bool:
        stages = await calls(self._client.get_stages, ApiId=api_id)
        return any(stage["StageName"] == STAGE for stage in stages["Items"])

    def _have(self, key: Key, item: Any, *, staged: bool) -> Have:
        return Have(
            key,
            Phase.READY,
            spec=HttpApiSpec(staged=staged),
            id=item["ApiId"],
            arn=f"arn:{self._scope.partition}:apigateway:{self._scope.region}::/apis/{item['ApiId']}",
            owner=owner_of(self._scope.cluster_id, item["Name"]),
            url=item["ApiEndpoint"],
        )


class IntegrationComponent:
    """Integrations: one an object, from the API to its forwarder function."""

    kind: ClassVar = Kind.INTEGRATION
    actions: ClassVar = _ACTIONS | {"iam:PassRole"}

    def __init__(self, client: "ApiGatewayV2Client", scope: Scope) -> None:
        self._client = client
        self._scope = scope

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``."""
        found: dict[Key, Have] = {}
        for api in _apis(known):
            async for page in pages(calls, self._client.get_integrations, ApiId=api.id, MaxResults=PAGE):
                for item in sorted(page["Items"], key=lambda item: item["IntegrationId"]):
                    key = _unless_taken(Key(self.kind, _function_name(item)), item["IntegrationId"], found)
                    found[key] = self._have(key, api, item)
        return list(found.values())

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``."""
        return next((have for have in await self.observe(calls, known) if have.key == key), None)

    async def tags(self, calls: Calls, have: Have) -> None:
        """See ``Component``. Integrations have no tags; that they lead to our function says whose they are."""

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``. Integrations have no tags."""

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``."""
        spec = expect(want, IntegrationSpec)
        api = _known(spec.api, known)
        settings: dict[str, Any] = {
            "CredentialsArn": spec.role_arn,
            "Description": _description(spec.role_arn),
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": _known(spec.function, known).arn,
            "PayloadFormatVersion": "2.0",
            "TimeoutInMillis": TIMEOUT_MILLIS,
        }
        if have is None:
            made: Any = await calls(self._client.create_integration, ApiId=api.id, **settings)
        else:
            made = await calls(self._client.update_integration, ApiId=api.id, IntegrationId=have.id, **settings)
        return self._have(want.key, api, made)

    async def delete(self, calls: Calls, have: Have, known: Haves) -> None:
        """See ``Component``."""
        spec = have.spec
        api = known.get(spec.api) if isinstance(spec, IntegrationSpec) else None
        if api is None:
            return
        try:
            await calls(self._client.delete_integration, ApiId=api.id, IntegrationId=have.id)
        except errors.NotFound:
            return

    def _have(self, key: Key, api: Have, item: Any) -> Have:
        function = Key(Kind.FUNCTION, _function_name(item))
        return Have(
            key,
            Phase.READY,
            spec=IntegrationSpec(api.key, function, item.get("Description", "").rpartition(" ")[2]),
            id=item["IntegrationId"],
            arn=f"{api.arn}/integrations/{item['IntegrationId']}",
            owner=owner_of(self._scope.cluster_id, function.name),
            uses=frozenset({api.key, function}),
        )


class RouteComponent:
    """Routes: one an object, from its path to its integration."""

    kind: ClassVar = Kind.ROUTE
    actions: ClassVar = _ACTIONS

    def __init__(self, client: "ApiGatewayV2Client", scope: Scope) -> None:
        self._client = client
        self._scope = scope

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``."""
        integrations = _integrations(known)
        found: dict[Key, Have] = {}
        for api in _apis(known):
            async for page in pages(calls, self._client.get_routes, ApiId=api.id, MaxResults=PAGE):
                for item in sorted(page["Items"], key=lambda item: item["RouteId"]):
                    key = _unless_taken(
                        Key(self.kind, route_key_name(api.key, item["RouteKey"])), item["RouteId"], found
                    )
                    found[key] = self._have(key, api, item, integrations)
        return list(found.values())

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``."""
        return next((have for have in await self.observe(calls, known) if have.key == key), None)

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str] | None:
        """See ``Component``. Routes have no tags; the integration that they lead to says whose they are."""

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``. Routes have no tags."""

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``."""
        spec = expect(want, RouteSpec)
        if spec.integration is None:
            raise TypeError(f"{want.key} leads nowhere")
        api = _known(spec.api, known)
        target = f"integrations/{_known(spec.integration, known).id}"
        if have is None:
            made: Any = await calls(self._client.create_route, ApiId=api.id, RouteKey=spec.route_key, Target=target)
        else:
            made = await calls(
                self._client.update_route, ApiId=api.id, RouteId=have.id, RouteKey=spec.route_key, Target=target
            )
        return self._have(want.key, api, made, _integrations(known))

    async def delete(self, calls: Calls, have: Have, known: Haves) -> None:
        """See ``Component``."""
        api = known.get(have.spec.api) if isinstance(have.spec, RouteSpec) else None
        if api is None:
            return
        try:
            await calls(self._client.delete_route, ApiId=api.id, RouteId=have.id)
        except errors.NotFound:
            return

    def _have(self, key: Key, api: Have, item: Any, integrations: Mapping[str, Have]) -> Have:
        integration = integrations.get(f"{api.key.name} {item.get('Target', '')}")
        return Have(
            key,
            Phase.READY,
            spec=RouteSpec(api.key, item["RouteKey"], integration.key if integration else None),
            id=item["RouteId"],
            arn=f"{api.arn}/routes/{item['RouteId']}",
            owner=integration.owner if integration else None,
            uses=frozenset({api.key, *([integration.key] if integration else [])}),
        )


def _known(key: Key, known: Haves) -> Have:
    """What a step refers to; it may have gone since the step was planned."""
    have = known.get(key)
    if have is None:
        raise errors.NotFound(f"{key} is gone")
    return have


def _apis(known: Haves) -> list[Have]:
    """The APIs, each before its twins."""
    return sorted((have for have in known.values() if have.key.kind is Kind.HTTP_API), key=lambda have: have.key)


def _integrations(known: Haves) -> dict[str, Have]:
    return {
        f"{have.spec.api.name} integrations/{have.id}": have
        for have in known.values()
        if isinstance(have.spec, IntegrationSpec)
    }


def _function_name(integration: Any) -> str:
    # Integrations made by hand may lead to other services, by a URI or by none.
    return str(integration.get("IntegrationUri", "")).rpartition(":")[2]


def _unless_taken(key: Key, unique: str, taken: Iterable[Key]) -> Key:
    return Key(key.kind, f"{key.name}#{unique}") if key in taken else key


def _description(role_arn: str) -> str:
    return f"Invoked as {role_arn}"
