"""SageMaker models, endpoint configurations and endpoints."""

import asyncio
from abc import ABC
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope, expect, expect_spec, if_there, items, tag_list, tag_map
from ephemeral_endpoints.engine.names import endpoint_logs, models_of_config
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.serving import deployment
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    EndpointConfigSpec,
    EndpointSpec,
    ModelSpec,
)
from ephemeral_endpoints.iam.statement import actions

PAGE: Final = 100
OVERLAP_SECONDS: Final = 10
"""A list of changes begins so long before the latest known one: AWS may show changes in another order."""

_TAGGING: Final = actions("sagemaker", "AddTags", "ListTags")


# Only a failed endpoint can do nothing but go, and UpdateRollbackFailed is mended by another update:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
# https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-rolling.html
PHASES: Final = {
    "Creating": Phase.BUSY,
    "Updating": Phase.BUSY,
    "SystemUpdating": Phase.BUSY,
    "RollingBack": Phase.BUSY,
    "InService": Phase.READY,
    "OutOfService": Phase.IMPAIRED,
    "UpdateRollbackFailed": Phase.IMPAIRED,
    "Failed": Phase.FAILED,
    "Deleting": Phase.DELETING,
}


_ROLLING_BACK: Final = "RollingBack"


class _SageMakerComponent(Component, ABC):
    """The base of the kinds of SageMaker."""

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._client = clients.sagemaker

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        return tag_map(await items(calls, self._client.list_tags, "Tags", ResourceArn=observed.arn))

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        await calls(self._client.add_tags, ResourceArn=observed.arn, Tags=tag_list(tags))

    async def _ours(
        self, calls: Calls, method: Callable[..., Any], member: str, name: str, **filters: datetime
    ) -> list[Any]:
        """Our resources in a list; SageMaker finds the prefix anywhere in a name."""
        found = await items(calls, method, member, NameContains=self._scope.prefix, MaxResults=PAGE, **filters)
        return [item for item in found if item[name].startswith(self._scope.prefix)]


class ModelComponent(_SageMakerComponent):
    """Models: immutable, named by their content."""

    kind: ClassVar = MODEL
    actions: ClassVar = (
        _TAGGING | actions("sagemaker", "CreateModel", "DeleteModel", "DescribeModel", "ListModels") | {"iam:PassRole"}
    )

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        found = await self._ours(calls, self._client.list_models, "Models", "ModelName")
        return [self._observed(item["ModelName"], item["ModelArn"]) for item in found]

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        answer = await if_there(calls(self._client.describe_model, ModelName=key.name))
        return self._observed(answer["ModelName"], answer["ModelArn"]) if answer else None

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec = expect(resource, ModelSpec)
        answer = await calls(
            self._client.create_model,
            ModelName=resource.key.name,
            **deployment.model(spec),
            Tags=tag_list(spec.tags),
        )
        return self._observed(resource.key.name, answer["ModelArn"])

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        await if_there(calls(self._client.delete_model, ModelName=observed.key.name))

    def _observed(self, name: str, arn: str) -> ObservedResource:
        return ObservedResource(Key(self.kind, name), Phase.READY, arn=arn, owner=self._owner_of(name))


class EndpointConfigComponent(_SageMakerComponent):
    """Endpoint configurations: immutable, named by their content, which includes the model's."""

    kind: ClassVar = ENDPOINT_CONFIG
    actions: ClassVar = _TAGGING | actions(
        "sagemaker", "CreateEndpointConfig", "DeleteEndpointConfig", "DescribeEndpointConfig", "ListEndpointConfigs"
    )

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        found = await self._ours(calls, self._client.list_endpoint_configs, "EndpointConfigs", "EndpointConfigName")
        models = _models_by_owner(known)
        return [self._found(item, models[self._owner_of(item["EndpointConfigName"])]) for item in found]

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        answer = await if_there(calls(self._client.describe_endpoint_config, EndpointConfigName=key.name))
        return self._found(answer, _models_by_owner(known)[self._owner_of(key.name)]) if answer else None

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec = expect(resource, EndpointConfigSpec)
        answer = await calls(
            self._client.create_endpoint_config,
            EndpointConfigName=resource.key.name,
            **deployment.config(spec),
            Tags=tag_list(spec.tags),
        )
        return self._observed(resource.key.name, answer["EndpointConfigArn"], [each.model for each in spec.variants])

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        await if_there(calls(self._client.delete_endpoint_config, EndpointConfigName=observed.key.name))

    def _found(self, item: Any, models: Iterable[str]) -> ObservedResource:
        observed = self._observed(item["EndpointConfigName"], item["EndpointConfigArn"], models)
        return replace(observed, since=item["CreationTime"].astimezone(UTC))

    def _observed(self, name: str, arn: str, models: Iterable[str]) -> ObservedResource:
        return ObservedResource(
            Key(self.kind, name),
            Phase.READY,
            arn=arn,
            owner=self._owner_of(name),
            uses=frozenset(Key(MODEL, model) for model in models_of_config(name, models)),
        )


class EndpointComponent(_SageMakerComponent):
    """Endpoints: one fixed name that serves one configuration after another."""

    kind: ClassVar = ENDPOINT
    actions: ClassVar = (
        _TAGGING
        | actions(
            "sagemaker", "CreateEndpoint", "DeleteEndpoint", "DescribeEndpoint", "ListEndpoints", "UpdateEndpoint"
        )
        | {"sagemaker:DescribeEndpointConfig", "kms:CreateGrant"}
    )

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        # Lists do not show the configuration that an endpoint is on. It is described when it changed and came to rest,
        # unless there is only one configuration that it can be on: the only one of its owner, since the old one is
        # deleted when the new one serves and not before.
        ours = await self._ours(calls, self._client.list_endpoints, "Endpoints", "EndpointName")
        only_configs = _only_configs(known)
        found = await asyncio.gather(*(self._listed(calls, item, known, only_configs) for item in ours))
        return [observed for observed in found if observed is not None]

    @override
    async def list_changes(
        self, calls: Calls, known: ObservedResources
    ) -> Mapping[Key, ObservedResource | None] | None:
        # Every change of the status is a modification; of deletions the end is none, so they are described.
        endpoints = [observed for observed in known.values() if observed.key.kind is ENDPOINT]
        latest = max((observed.since for observed in endpoints if observed.since), default=None)
        leaving = [observed.key for observed in endpoints if observed.phase is Phase.DELETING]
        if latest is None or 1 + len(leaving) >= len(endpoints) / PAGE:
            return None
        after = latest - timedelta(seconds=OVERLAP_SECONDS)
        modified = await self._ours(
            calls, self._client.list_endpoints, "Endpoints", "EndpointName", LastModifiedTimeAfter=after
        )
        only_configs = _only_configs(known)
        listed = await asyncio.gather(*(self._listed(calls, item, known, only_configs) for item in modified))
        left = await asyncio.gather(*(self.describe(calls, key, known) for key in leaving))
        return {
            **{Key(self.kind, item["EndpointName"]): each for item, each in zip(modified, listed, strict=True)},
            **dict(zip(leaving, left, strict=True)),
        }

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        answer = await if_there(calls(self._client.describe_endpoint, EndpointName=key.name))
        if answer is None:
            return None
        configs = {answer["EndpointConfigName"]}
        if pending := answer.get("PendingDeploymentSummary"):
            configs.add(pending["EndpointConfigName"])
        if answer["EndpointStatus"] == "UpdateRollbackFailed":
            # It serves a mix of two configurations and names one of them.
            configs |= _configs_of(self._owner_of(key.name), known)
        return self._observed(answer, EndpointSpec(answer["EndpointConfigName"]), configs)

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec = expect(resource, EndpointSpec)
        if observed is None:
            created = await calls(
                self._client.create_endpoint,
                EndpointName=resource.key.name,
                EndpointConfigName=spec.config,
                Tags=tag_list(spec.tags),
            )
            return self._busy("Creating", resource.key.name, created["EndpointArn"], spec, {spec.config})
        before = expect_spec(observed.spec, EndpointSpec)
        if before and spec.rollout and await self._is_serverless(calls, before.config):
            # A serverless endpoint supports no guardrails, nor does its update to instances.
            spec = replace(spec, rollout=None)
        updated = await calls(
            self._client.update_endpoint,
            EndpointName=resource.key.name,
            EndpointConfigName=spec.config,
            **deployment.update(spec),
        )
        configs = {spec.config, *([before.config] if before else [])}
        return self._busy("Updating", resource.key.name, updated["EndpointArn"], spec, configs)

    @override
    async def delete(
        self, calls: Calls, observed: ObservedResource, known: ObservedResources
    ) -> ObservedResource | None:
        if await if_there(calls(self._client.delete_endpoint, EndpointName=observed.key.name)) is None:
            return None
        return ObservedResource(
            observed.key, Phase.DELETING, arn=observed.arn, owner=observed.owner, uses=observed.uses
        )

    async def running_instances(self, calls: Calls, name: str) -> Mapping[str, int]:
        """How many instances of each type an endpoint runs now; empty if it is gone. Raises an ``AwsError``."""
        answer = await if_there(calls(self._client.describe_endpoint, EndpointName=name))
        if answer is None:
            return {}
        config = await if_there(
            calls(self._client.describe_endpoint_config, EndpointConfigName=answer["EndpointConfigName"])
        )
        variants: list[Any] = [*config["ProductionVariants"]] if config else []
        types = {each["VariantName"]: each["InstanceType"] for each in variants if "InstanceType" in each}
        running: Counter[str] = Counter()
        for variant in answer.get("ProductionVariants", []):
            if type_ := types.get(variant["VariantName"]):
                running[type_] += variant.get("CurrentInstanceCount", 0)
        return running

    async def _is_serverless(self, calls: Calls, config: str) -> bool:
        answer = await if_there(calls(self._client.describe_endpoint_config, EndpointConfigName=config))
        return answer is not None and any("ServerlessConfig" in variant for variant in answer["ProductionVariants"])

    async def _listed(
        self, calls: Calls, item: Any, known: ObservedResources, only_configs: Mapping[str, str]
    ) -> ObservedResource | None:
        key = Key(self.kind, item["EndpointName"])
        phase = PHASES[item["EndpointStatus"]]
        before = known.get(key)
        if before and phase is Phase.DELETING:
            return ObservedResource(
                key, phase, arn=before.arn, owner=before.owner, uses=before.uses, version=_version(item)
            )
        turns_back = before is not None and item["EndpointStatus"] == _ROLLING_BACK != before.status
        if before and phase is before.phase is Phase.BUSY and not turns_back:
            return before if before.since else replace(before, since=_since(item))
        if before and before.version == _version(item):
            return before
        if before and before.status == "Creating" and phase is Phase.READY:
            # A creation has no other configuration to settle on.
            status = item["EndpointStatus"]
            return replace(before, phase=phase, status=status, version=_version(item), since=_since(item))
        config = only_configs.get(self._owner_of(key.name) or "")
        if before is None and phase is Phase.READY and config:
            return self._observed(item, EndpointSpec(config), {config})
        return await self._described(calls, key, before, known)

    async def _described(
        self, calls: Calls, key: Key, before: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource | None:
        """The endpoint as it is described, with the reason of a failed update, which SageMaker may drop."""
        found = await self.describe(calls, key, known)
        if found is None or before is None:
            return found
        if found.status == _ROLLING_BACK:
            return replace(found, uses=found.uses | before.uses)
        return replace(found, detail=found.detail or before.detail) if before.status == _ROLLING_BACK else found

    def _observed(self, item: Any, spec: EndpointSpec, configs: set[str]) -> ObservedResource:
        name = item["EndpointName"]
        return ObservedResource(
            Key(self.kind, name),
            PHASES[item["EndpointStatus"]],
            spec=spec,
            arn=item["EndpointArn"],
            owner=self._owner_of(name),
            uses=self._uses(name, configs),
            status=item["EndpointStatus"],
            detail=item.get("FailureReason", ""),
            version=_version(item),
            since=_since(item),
        )

    def _busy(self, status: str, name: str, arn: str, spec: EndpointSpec, configs: set[str]) -> ObservedResource:
        return ObservedResource(
            Key(self.kind, name),
            Phase.BUSY,
            spec=spec,
            arn=arn,
            owner=self._owner_of(name),
            uses=self._uses(name, configs),
            status=status,
        )

    def _uses(self, name: str, configs: set[str]) -> frozenset[Key]:
        return frozenset(
            {
                Key(LOG_GROUP, endpoint_logs(name)),
                *(Key(ENDPOINT_CONFIG, config) for config in configs),
            }
        )


def _models_by_owner(known: ObservedResources) -> defaultdict[str | None, list[str]]:
    models: defaultdict[str | None, list[str]] = defaultdict(list)
    for observed in known.values():
        if observed.key.kind is MODEL:
            models[observed.owner].append(observed.key.name)
    return models


def _only_configs(known: ObservedResources) -> dict[str, str]:
    """The name of the endpoint configuration of each owner that has exactly one."""
    configs = [observed for observed in known.values() if observed.key.kind is ENDPOINT_CONFIG and observed.owner]
    counts = Counter(observed.owner for observed in configs)
    return {str(observed.owner): observed.key.name for observed in configs if counts[observed.owner] == 1}


def _configs_of(owner: str | None, known: ObservedResources) -> set[str]:
    return {key.name for key, observed in known.items() if key.kind is ENDPOINT_CONFIG and observed.owner == owner}


def _since(item: Any) -> datetime:
    """When the endpoint entered the state that it is in."""
    moment: datetime = item["LastModifiedTime"]
    return moment.astimezone(UTC)


def _version(item: Any) -> str:
    return f"{item['EndpointStatus']} {item['LastModifiedTime'].isoformat()}"
