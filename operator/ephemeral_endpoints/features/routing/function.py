"""The functions in Lambda: forwarders, and the reapers of classes."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope, expect, if_there, items
from ephemeral_endpoints.engine.names import LAMBDA_LOG_PREFIX
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.routing.forwarder import bundle
from ephemeral_endpoints.features.routing.iam import FUNCTIONS
from ephemeral_endpoints.features.routing.specs import FUNCTION, FunctionSpec
from ephemeral_endpoints.iam.statement import granted

PAGE: Final = 50


class FunctionComponent(Component):
    """Functions: the zip holds code and configuration, so that one update changes both at once."""

    kind: ClassVar = FUNCTION
    actions: ClassVar = granted(FUNCTIONS)
    statements: ClassVar = FUNCTIONS

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._client = clients.lambda_

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        # Lambda cannot list by prefix: foreign functions are read and dropped.
        paging: Any = {"request_cursor": "Marker", "answer_cursor": "NextMarker", "MaxItems": PAGE}
        found = await items(calls, self._client.list_functions, "Functions", **paging)
        return [self._observed(item) for item in found if item["FunctionName"].startswith(self._scope.prefix)]

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        found = await if_there(calls(self._client.get_function_configuration, FunctionName=key.name))
        return self._observed(found) if found else None

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        return (await calls(self._client.list_tags, Resource=observed.arn))["Tags"]

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        await calls(self._client.tag_resource, Resource=observed.arn, Tags=dict(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        # Code and settings are two calls, the second once the first has settled.
        spec = expect(resource, FunctionSpec)
        if observed is None:
            return self._observed(await self._create(calls, resource.key, spec))
        if not isinstance(observed.spec, FunctionSpec) or observed.spec.code_sha256 != spec.code_sha256:
            code = _code(resource.key, spec)
            return self._observed(
                await calls(self._client.update_function_code, FunctionName=resource.key.name, ZipFile=code)
            )
        return self._observed(
            await calls(
                self._client.update_function_configuration,
                FunctionName=resource.key.name,
                Role=spec.role_arn,
                Runtime=spec.runtime,  # type: ignore[arg-type]  # a literal in the stubs
                Handler=spec.handler,
                MemorySize=spec.memory_mb,
                Timeout=spec.timeout_seconds,
            )
        )

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        await if_there(calls(self._client.delete_function, FunctionName=observed.key.name))

    async def _create(self, calls: Calls, key: Key, spec: FunctionSpec) -> Any:
        def arguments() -> dict[str, Any]:
            # Made only now: in a burst hundreds wait for their turn, and so would their bundles.
            return {
                "FunctionName": key.name,
                "Description": spec.description,
                "Role": spec.role_arn,
                "Runtime": spec.runtime,
                "Handler": spec.handler,
                "MemorySize": spec.memory_mb,
                "Timeout": spec.timeout_seconds,
                "Code": {"ZipFile": _code(key, spec)},
                "Tags": dict(spec.tags),
            }

        return await calls.deferred(self._client.create_function, arguments)

    def _observed(self, item: Any) -> ObservedResource:
        name = item["FunctionName"]
        return ObservedResource(
            Key(self.kind, name),
            Phase.READY,
            spec=FunctionSpec(
                code_sha256=item["CodeSha256"],
                role_arn=item["Role"],
                runtime=item.get("Runtime", ""),
                handler=item.get("Handler", ""),
                memory_mb=item["MemorySize"],
                timeout_seconds=item["Timeout"],
            ),
            arn=item["FunctionArn"],
            owner=self._owner_of(name),
            uses=frozenset({Key(LOG_GROUP, LAMBDA_LOG_PREFIX + name)}),
        )


def _code(key: Key, spec: FunctionSpec) -> bytes:
    if spec.package is not None:
        return spec.package
    if spec.forwarder is None:
        raise TypeError(f"{key} would have no code")
    return bundle.build(spec.forwarder).zip
