"""The paths of custom domains that lead to our HTTP APIs. The domains themselves are never made or changed."""

from itertools import count
from typing import Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Scope, expect, if_there, items
from ephemeral_endpoints.engine.errors import Denied, NotFound
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.features.routing.http_api import InApiComponent, known_resource
from ephemeral_endpoints.features.routing.iam import API_MAPPINGS
from ephemeral_endpoints.features.routing.specs import API_MAPPING, HTTP_API, ApiMappingSpec, mapping_key
from ephemeral_endpoints.features.routing.stage_settings import PAGE, STAGE

COMPLETE_LISTS: Final = 12
"""One of so many lists looks into a domain that had nothing of ours: most are of other teams."""


class ApiMappingComponent(InApiComponent):
    """API mappings. A domain with any of ours is listed as a whole: those of others decide where requests go, too."""

    kind: ClassVar = API_MAPPING
    actions: ClassVar = frozenset({"apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST"})
    statements: ClassVar = API_MAPPINGS

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._lists = count()
        self._of_others: dict[str, int] = {}
        self._asked: set[str] = set()

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        try:
            listed = await items(calls, self._client.get_domain_names, "Items", MaxResults=PAGE)
        except Denied:
            # Policies of an earlier version lack the permission. A class that names a domain reports it.
            return []
        number, found = next(self._lists), list[ObservedResource]()
        for domain in sorted(each["DomainName"] for each in listed):
            if domain not in self._asked and number - self._of_others.get(domain, -COMPLETE_LISTS) < COMPLETE_LISTS:
                continue
            there = await self._in(calls, domain, known)
            if domain in self._asked or any(each.owner for each in there):
                self._of_others.pop(domain, None)
                found += there
            else:
                self._of_others[domain] = number
        return found

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        there = await self._in(calls, key.name.partition("/")[0], known)
        return next((each for each in there if each.key == key), None)

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec = expect(resource, ApiMappingSpec)
        if spec.api is None:
            raise TypeError(f"{resource.key} leads nowhere")
        api = known_resource(spec.api, known)
        self._asked.add(spec.domain)
        target: dict[str, Any] = {"DomainName": spec.domain, "ApiId": api.id, "Stage": STAGE}
        if observed is None:
            made: Any = await calls(self._client.create_api_mapping, ApiMappingKey=spec.path, **target)
        else:
            made = await calls(self._client.update_api_mapping, ApiMappingId=observed.id, **target)
        return self._observed(spec.domain, made, {api.id: api})

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        if isinstance(observed.spec, ApiMappingSpec):
            domain = observed.spec.domain
            await if_there(calls(self._client.delete_api_mapping, DomainName=domain, ApiMappingId=observed.id))

    async def _in(self, calls: Calls, domain: str, known: ObservedResources) -> list[ObservedResource]:
        apis = {each.id: each for each in known.values() if each.key.kind is HTTP_API}
        try:
            listed = await items(calls, self._client.get_api_mappings, "Items", DomainName=domain, MaxResults=PAGE)
        except NotFound:
            self._asked.discard(domain)
            return []
        return [self._observed(domain, each, apis) for each in listed]

    def _observed(self, domain: str, item: Any, apis: dict[str, ObservedResource]) -> ObservedResource:
        api, path = apis.get(item["ApiId"]), item.get("ApiMappingKey", "")
        region, partition = self._scope.region, self._scope.partition
        return ObservedResource(
            mapping_key(domain, path),
            Phase.READY,
            spec=ApiMappingSpec(api.key if api else None, domain, path),
            id=item["ApiMappingId"],
            arn=f"arn:{partition}:apigateway:{region}::/domainnames/{domain}/apimappings/{item['ApiMappingId']}",
            owner=api.owner if api else None,
            uses=frozenset({api.key} if api else ()),
        )
