"""The settings of single routes in the stages of HTTP APIs."""

from typing import ClassVar

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Scope, expect
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.features.routing.http_api import InApiComponent, known_resource
from ephemeral_endpoints.features.routing.iam import ROUTE_SETTINGS
from ephemeral_endpoints.features.routing.specs import (
    HTTP_API,
    ROUTE,
    ROUTE_THROTTLE,
    RouteThrottleSpec,
    ThrottleSpec,
    integration_key,
    route_key_name,
)
from ephemeral_endpoints.features.routing.stage_settings import StageSettings, stage_of, throttle_of


class RouteThrottleComponent(InApiComponent):
    """Throttles of routes: a route has its settings only while it exists, so that they never block its stage."""

    kind: ClassVar = ROUTE_THROTTLE
    actions: ClassVar = frozenset({"apigateway:DELETE", "apigateway:GET", "apigateway:PATCH"})
    statements: ClassVar = ROUTE_SETTINGS

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._settings = StageSettings.of(self._client)

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        # The settings of an API of an object's own are those of its stage.
        keys = sorted(key for key in known if key.kind is HTTP_API and integration_key(key, key.name) not in known)
        # Others delete APIs meanwhile.
        apis = [known[key] for key in keys]
        return [each for api in apis for each in await self._in(calls, api, known)]

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        api = known.get(Key(HTTP_API, key.name.partition(" ")[0]))
        found = await self._in(calls, api, known) if api else []
        return next((each for each in found if each.key == key), None)

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec = expect(resource, RouteThrottleSpec)
        if spec.throttle is None or spec.route is None:
            raise TypeError(f"{resource.key} would have no throttle, or no route")
        api = known_resource(spec.api, known)
        known_resource(spec.route, known)
        await self._settings.put(calls, api.id, spec.route_key, spec.throttle)
        return self._observed(api, spec.route_key, spec.throttle, known)

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        api = known.get(observed.spec.api) if isinstance(observed.spec, RouteThrottleSpec) else None
        if api is None or not isinstance(observed.spec, RouteThrottleSpec):
            return
        await self._settings.remove(calls, api.id, observed.spec.route_key)

    async def _in(self, calls: Calls, api: ObservedResource, known: ObservedResources) -> list[ObservedResource]:
        stage = await stage_of(calls, self._client, api.id)
        settings = (stage or {}).get("RouteSettings", {})
        # With metrics that cost extra they are not as desired.
        return [
            self._observed(api, key, None if each.get("DetailedMetricsEnabled") else throttle_of(each), known)
            for key, each in sorted(settings.items())
        ]

    def _observed(
        self, api: ObservedResource, route_key: str, throttle: ThrottleSpec | None, known: ObservedResources
    ) -> ObservedResource:
        name = route_key_name(api.key, route_key)
        route = known.get(Key(ROUTE, name))
        return ObservedResource(
            Key(self.kind, name),
            Phase.READY,
            spec=RouteThrottleSpec(api.key, route_key, route.key if route else None, throttle),
            arn=f"{api.arn}/stages/$default/routesettings/{route_key}",
            owner=route.owner if route else None,
            uses=frozenset({api.key, *([route.key] if route else [])}),
        )
