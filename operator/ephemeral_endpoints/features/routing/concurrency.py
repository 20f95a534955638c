"""The reserved concurrency of forwarder functions in Lambda."""

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope, expect, if_there
from ephemeral_endpoints.engine.errors import Denied, QuotaExceeded
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.routing.iam import CONCURRENCY
from ephemeral_endpoints.features.routing.specs import FUNCTION, FUNCTION_CONCURRENCY, FunctionConcurrencySpec
from ephemeral_endpoints.iam.statement import granted

COMPLETE_LISTS: Final = 12
"""One of so many lists reads every function, and sees what leaves the account's sum as it was."""

_REMEDY: Final = (
    "the endpoint is served without reserved concurrency; lower spec.routing.reservedConcurrency of the class, delete "
    "endpoints, or have the quota of concurrent executions of Lambda raised; the operator tries again within a minute"
)


class FunctionConcurrencyComponent(Component):
    """Reserved concurrency, which goes with its function.

    No list of Lambda shows it, and reading it takes a call for each function. The account's sum takes one call, and
    while it is the one that is known, every function has what is known of it.
    """

    kind: ClassVar = FUNCTION_CONCURRENCY
    actions: ClassVar = granted(CONCURRENCY)
    statements: ClassVar = CONCURRENCY

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._client = clients.lambda_
        self._of_others: int | None = None
        self._lists = count()

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        functions = [observed for observed in known.values() if observed.key.kind is FUNCTION]
        if not functions:
            self._of_others = None
            return []
        try:
            return await self._listed(calls, functions, known)
        except Denied:
            # Policies of an earlier version lack the permission. Objects that need it report that it is missing.
            return _of_functions(functions, known)

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        found = await if_there(calls(self._client.get_function_concurrency, FunctionName=key.name))
        reserved = found.get("ReservedConcurrentExecutions") if found else None
        return None if reserved is None else self._observed(key.name, reserved)

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> None:
        return None

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        return

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec, name = expect(resource, FunctionConcurrencySpec), resource.key.name
        try:
            await calls(
                self._client.put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=spec.reserved
            )
        except QuotaExceeded as error:
            raise QuotaExceeded(f"{error.message}: {_REMEDY}", operation=error.operation) from error
        return self._observed(name, spec.reserved)

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        await if_there(calls(self._client.delete_function_concurrency, FunctionName=observed.key.name))

    async def _listed(
        self, calls: Calls, functions: list[ObservedResource], known: ObservedResources
    ) -> list[ObservedResource]:
        limits = (await calls(self._client.get_account_settings))["AccountLimit"]
        reserved = limits["ConcurrentExecutions"] - limits["UnreservedConcurrentExecutions"]
        found = _of_functions(functions, known)
        is_complete = next(self._lists) % COMPLETE_LISTS == 0
        if reserved and (is_complete or reserved - _sum(found) != self._of_others):
            keys = (Key(self.kind, each.key.name) for each in functions)
            described = await asyncio.gather(*(self.describe(calls, key, known) for key in keys))
            found = [each for each in described if each]
        elif not reserved:
            found = []
        self._of_others = reserved - _sum(found)
        return found

    def _observed(self, name: str, reserved: int) -> ObservedResource:
        function = Key(FUNCTION, name)
        return ObservedResource(
            Key(self.kind, name),
            Phase.READY,
            spec=FunctionConcurrencySpec(function, reserved),
            arn=self._scope.arn("lambda", f"function:{name}"),
            owner=self._owner_of(name),
            uses=frozenset({function}),
        )


def _of_functions(functions: list[ObservedResource], known: Mapping[Key, ObservedResource]) -> list[ObservedResource]:
    keys = (Key(FUNCTION_CONCURRENCY, each.key.name) for each in functions)
    return [known[key] for key in keys if key in known]


def _sum(found: list[ObservedResource]) -> int:
    return sum(each.spec.reserved for each in found if isinstance(each.spec, FunctionConcurrencySpec))
