"""The rules of EventBridge that run reapers, each with its target and the permission to run it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope, expect, expect_spec, if_there, items, tag_list, tag_map
from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.reaping.iam import RULES
from ephemeral_endpoints.features.reaping.specs import EVENT_RULE, EventRuleSpec
from ephemeral_endpoints.features.routing.specs import FUNCTION
from ephemeral_endpoints.iam.statement import granted

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient

PAGE: Final = 100
_TARGET: Final = "reaper"
_PRINCIPAL: Final = "events.amazonaws.com"


class EventRuleComponent(Component):
    """Rules, of which a class has one at most. Lists have no targets and no permissions: two calls for each of ours."""

    kind: ClassVar = EVENT_RULE
    actions: ClassVar = granted(RULES)
    statements: ClassVar = RULES

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._lambda = clients.lambda_

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        client = await self._client(calls)
        paging: Any = {"NamePrefix": self._scope.prefix, "Limit": PAGE}
        try:
            found = await items(calls, client.list_rules, "Rules", **paging)
        except Denied:
            # Policies of an earlier version lack the permission.
            return [observed for key, observed in known.items() if key.kind is self.kind]
        ours = [each for each in found if self._owner_of(each["Name"])]
        return await asyncio.gather(*(self._read(calls, each) for each in ours))

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        client = await self._client(calls)
        found = await if_there(calls(client.describe_rule, Name=key.name))
        return await self._read(calls, found) if found else None

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        client = await self._client(calls)
        return tag_map(list((await calls(client.list_tags_for_resource, ResourceARN=observed.arn))["Tags"]))

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        client = await self._client(calls)
        await calls(client.tag_resource, ResourceARN=observed.arn, Tags=tag_list(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        client, spec, name = await self._client(calls), expect(resource, EventRuleSpec), resource.key.name
        found = expect_spec(observed.spec, EventRuleSpec) if observed else None
        if observed is None or found is None or found.schedule != spec.schedule:
            # EventBridge creates and replaces by the same call, which takes tags at the creation only.
            made: dict[str, Any] = {} if observed else {"Tags": tag_list(spec.tags)}
            await calls(
                client.put_rule,
                Name=name,
                Description="Runs the reaper",
                ScheduleExpression=spec.schedule,
                State="ENABLED",
                **made,
            )
            found = replace(found or replace(spec, function="", is_permitted=False), schedule=spec.schedule)
        elif found.function != spec.function:
            target: Any = {"Id": _TARGET, "Arn": self._function(spec.function)}
            if others := await self._other_targets(calls, name):
                await calls(client.remove_targets, Rule=name, Ids=others)
            await calls(client.put_targets, Rule=name, Targets=[target])
            found = replace(found, function=spec.function)
        else:
            await calls(
                self._lambda.add_permission,
                FunctionName=spec.function,
                StatementId=name,
                Action="lambda:InvokeFunction",
                Principal=_PRINCIPAL,
                SourceArn=self._arn(name),
            )
            found = replace(found, is_permitted=True)
        return self._observed(name, replace(found, tags=()))

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        # EventBridge deletes no rule that has targets. The permission goes with the function.
        client, name = await self._client(calls), observed.key.name
        targets = await if_there(calls(client.list_targets_by_rule, Rule=name))
        if targets and (ids := [each["Id"] for each in targets["Targets"]]):
            await if_there(calls(client.remove_targets, Rule=name, Ids=ids))
        await if_there(calls(client.delete_rule, Name=name))

    async def _client(self, calls: Calls) -> "EventBridgeClient":
        return await asyncio.get_running_loop().run_in_executor(calls.pool, self._clients.events)

    async def _other_targets(self, calls: Calls, name: str) -> list[str]:
        client = await self._client(calls)
        found = await if_there(calls(client.list_targets_by_rule, Rule=name))
        return [each["Id"] for each in found["Targets"] if each["Id"] != _TARGET] if found else []

    async def _read(self, calls: Calls, found: Any) -> ObservedResource:
        client, name = await self._client(calls), found["Name"]
        targets = await if_there(calls(client.list_targets_by_rule, Rule=name))
        arns = [each["Arn"] for each in targets["Targets"]] if targets else []
        function = arns[0].rpartition(":")[2] if arns == [self._function(name)] else ""
        policy = await if_there(calls(self._lambda.get_policy, FunctionName=name))
        is_permitted = policy is not None and _permits(policy["Policy"], self._arn(name))
        return self._observed(name, EventRuleSpec(_schedule(found), function, is_permitted))

    def _observed(self, name: str, spec: EventRuleSpec) -> ObservedResource:
        key = Key(self.kind, name)
        return ObservedResource(
            key,
            Phase.READY,
            spec=spec,
            arn=self._arn(name),
            owner=self._owner_of(name),
            uses=frozenset({Key(FUNCTION, name)}),
        )

    def _arn(self, name: str) -> str:
        return self._scope.arn("events", f"rule/{name}")

    def _function(self, name: str) -> str:
        return self._scope.arn("lambda", f"function:{name}")


def _schedule(rule: Any) -> str:
    return str(rule.get("ScheduleExpression", "")) if rule.get("State") == "ENABLED" else ""


def _permits(policy: str, rule: str) -> bool:
    """Whether the policy of a function lets a rule run it."""
    return any(
        each.get("Principal") == {"Service": _PRINCIPAL}
        and each.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn") == rule
        for each in json.loads(policy)["Statement"]
    )
