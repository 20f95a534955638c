"""SageMaker models, endpoint configurations and endpoints."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ephemeral_endpoints.aws import deployment
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Scope, expect, expect_spec, pages, tag_list, tag_map
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.names import endpoint_logs, models_of_config, owner_of
from ephemeral_endpoints.core.resources import (
    EndpointConfigSpec,
    EndpointSpec,
    Have,
    Haves,
    Key,
    Kind,
    ModelSpec,
    Phase,
    Want,
)
from ephemeral_endpoints.core.tags import Tags

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

PAGE: Final = 100


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


async def _tags(calls: Calls, client: "SageMakerClient", arn: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    async for page in pages(calls, client.list_tags, ResourceArn=arn):
        found |= tag_map(page["Tags"])
    return found


class ModelComponent:
    """Models: immutable, named by their content."""

    kind: ClassVar = Kind.MODEL
    actions: ClassVar = frozenset(
        {
            "iam:PassRole",
            "sagemaker:AddTags",
            "sagemaker:CreateModel",
            "sagemaker:DeleteModel",
            "sagemaker:DescribeModel",
            "sagemaker:ListModels",
            "sagemaker:ListTags",
        }
    )

    def __init__(self, client: "SageMakerClient", scope: Scope) -> None:
        self._client = client
        self._scope = scope

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``."""
        listing = pages(calls, self._client.list_models, NameContains=self._scope.prefix, MaxResults=PAGE)
        return [
            self._have(item["ModelName"], item["ModelArn"])
            async for page in listing
            for item in page["Models"]
            if item["ModelName"].startswith(self._scope.prefix)
        ]

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``."""
        try:
            answer = await calls(self._client.describe_model, ModelName=key.name)
        except errors.NotFound:
            return None
        return self._have(answer["ModelName"], answer["ModelArn"])

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str]:
        """See ``Component``."""
        return await _tags(calls, self._client, have.arn)

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``."""
        await calls(self._client.add_tags, ResourceArn=have.arn, Tags=tag_list(marks))

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``."""
        spec = expect(want, ModelSpec)
        container: dict[str, Any] = {"Image": spec.image, "Environment": dict(spec.environment)}
        if spec.data_url:
            container["ModelDataUrl"] = spec.data_url
        answer = await calls(
            self._client.create_model,
            ModelName=want.key.name,
            PrimaryContainer=container,  # type: ignore[arg-type]  # built member by member
            ExecutionRoleArn=spec.role_arn,
            Tags=tag_list(spec.tags),
        )
        return self._have(want.key.name, answer["ModelArn"])

    async def delete(self, calls: Calls, have: Have, known: Haves) -> None:
        """See ``Component``."""
        try:
            await calls(self._client.delete_model, ModelName=have.key.name)
        except errors.NotFound:
            return

    def _have(self, name: str, arn: str) -> Have:
        return Have(Key(self.kind, name), Phase.READY, arn=arn, owner=owner_of(self._scope.cluster_id, name))


class EndpointConfigComponent:
    """Endpoint configurations: immutable, named by their content, which includes the model's."""

    kind: ClassVar = Kind.ENDPOINT_CONFIG
    actions: ClassVar = frozenset(
        {
            "sagemaker:AddTags",
            "sagemaker:CreateEndpointConfig",
            "sagemaker:DeleteEndpointConfig",
            "sagemaker:DescribeEndpointConfig",
            "sagemaker:ListEndpointConfigs",
            "sagemaker:ListTags",
        }
    )

    def __init__(self, client: "SageMakerClient", scope: Scope) -> None:
        self._client = client
        self._scope = scope

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``."""
        listing = pages(calls, self._client.list_endpoint_configs, NameContains=self._scope.prefix, MaxResults=PAGE)
        items = [
            item
            async for page in listing
            for item in page["EndpointConfigs"]
            if item["EndpointConfigName"].startswith(self._scope.prefix)
        ]
        models = _models_by_owner(known)
        return [
            self._found(item, models[owner_of(self._scope.cluster_id, item["EndpointConfigName"])]) for item in items
        ]

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``."""
        try:
            answer = await calls(self._client.describe_endpoint_config, EndpointConfigName=key.name)
        except errors.NotFound:
            return None
        models = _models_by_owner(known)[owner_of(self._scope.cluster_id, key.name)]
        return self._found(answer, models)

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str]:
        """See ``Component``."""
        return await _tags(calls, self._client, have.arn)

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``."""
        await calls(self._client.add_tags, ResourceArn=have.arn, Tags=tag_list(marks))

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``."""
        spec = expect(want, EndpointConfigSpec)
        answer = await calls(
            self._client.create_endpoint_config,
            EndpointConfigName=want.key.name,
            **deployment.config(spec),
            Tags=tag_list(spec.tags),
        )
        return self._have(want.key.name, answer["EndpointConfigArn"], [each.model for each in spec.variants])

    async def delete(self, calls: Calls, have: Have, known: Haves) -> None:
        """See ``Component``."""
        try:
            await calls(self._client.delete_endpoint_config, EndpointConfigName=have.key.name)
        except errors.NotFound:
            return

    def _found(self, item: Any, models: Iterable[str]) -> Have:
        have = self._have(item["EndpointConfigName"], item["EndpointConfigArn"], models)
        return replace(have, since=item["CreationTime"].astimezone(UTC))

    def _have(self, name: str, arn: str, models: Iterable[str]) -> Have:
        return Have(
            Key(self.kind, name),
            Phase.READY,
            arn=arn,
            owner=owner_of(self._scope.cluster_id, name),
            uses=frozenset(Key(Kind.MODEL, model) for model in models_of_config(name, models)),
        )


class EndpointComponent:
    """Endpoints: one fixed name that serves one configuration after another."""

    kind: ClassVar = Kind.ENDPOINT
    actions: ClassVar = frozenset(
        {
            "sagemaker:AddTags",
            "sagemaker:CreateEndpoint",
            "sagemaker:DeleteEndpoint",
            "sagemaker:DescribeEndpoint",
            "sagemaker:DescribeEndpointConfig",
            "sagemaker:ListEndpoints",
            "sagemaker:ListTags",
            "sagemaker:UpdateEndpoint",
        }
    )

    def __init__(self, client: "SageMakerClient", scope: Scope) -> None:
        self._client = client
        self._scope = scope

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``. Lists do not show the configuration that an endpoint is on.

        An endpoint is described when it changed and came to rest, unless there is only one configuration that it can
        be on: the only one of its owner, since the old one goes when the new one serves and not before.
        """
        listing = pages(calls, self._client.list_endpoints, NameContains=self._scope.prefix, MaxResults=PAGE)
        items = [item async for page in listing for item in page["Endpoints"]]
        ours = [item for item in items if item["EndpointName"].startswith(self._scope.prefix)]
        only_configs = _only_configs(known)
        found = await asyncio.gather(*(self._listed(calls, item, known, only_configs) for item in ours))
        return [have for have in found if have is not None]

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``."""
        try:
            answer = await calls(self._client.describe_endpoint, EndpointName=key.name)
        except errors.NotFound:
            return None
        configs = {answer["EndpointConfigName"]}
        if pending := answer.get("PendingDeploymentSummary"):
            configs.add(pending["EndpointConfigName"])
        if answer["EndpointStatus"] == "UpdateRollbackFailed":
            # It serves a mix of two configurations and names one of them.
            configs |= _configs_of(owner_of(self._scope.cluster_id, key.name), known)
        return self._have(answer, EndpointSpec(answer["EndpointConfigName"]), configs)

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str]:
        """See ``Component``."""
        return await _tags(calls, self._client, have.arn)

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``."""
        await calls(self._client.add_tags, ResourceArn=have.arn, Tags=tag_list(marks))

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``."""
        spec = expect(want, EndpointSpec)
        if have is None:
            created = await calls(
                self._client.create_endpoint,
                EndpointName=want.key.name,
                EndpointConfigName=spec.config,
                Tags=tag_list(spec.tags),
            )
            return self._busy("Creating", want.key.name, created["EndpointArn"], spec, {spec.config})
        before = expect_spec(have.spec, EndpointSpec)
        if before and spec.rollout and await self._is_serverless(calls, before.config):
            # What is serverless knows no guardrails, on its way to instances either.
            spec = replace(spec, rollout=None)
        updated = await calls(
            self._client.update_endpoint,
            EndpointName=want.key.name,
            EndpointConfigName=spec.config,
            **deployment.update(spec),
        )
        configs = {spec.config, *([before.config] if before else [])}
        return self._busy("Updating", want.key.name, updated["EndpointArn"], spec, configs)

    async def delete(self, calls: Calls, have: Have, known: Haves) -> Have | None:
        """See ``Component``."""
        try:
            await calls(self._client.delete_endpoint, EndpointName=have.key.name)
        except errors.NotFound:
            return None
        return Have(have.key, Phase.DELETING, arn=have.arn, owner=have.owner, uses=have.uses)

    async def _is_serverless(self, calls: Calls, config: str) -> bool:
        try:
            answer = await calls(self._client.describe_endpoint_config, EndpointConfigName=config)
        except errors.NotFound:
            return False
        return any("ServerlessConfig" in variant for variant in answer["ProductionVariants"])

    async def _listed(self, calls: Calls, item: Any, known: Haves, only_configs: Mapping[str, str]) -> Have | None:
        key = Key(self.kind, item["EndpointName"])
        phase = PHASES[item["EndpointStatus"]]
        before = known.get(key)
        if before and phase is Phase.DELETING:
            return Have(key, phase, arn=before.arn, owner=before.owner, uses=before.uses, version=_version(item))
        if before and phase is before.phase is Phase.BUSY:
            return before if before.since else replace(before, since=_since(item))
        if before and before.version == _version(item):
            return before
        if before and before.status == "Creating" and phase is Phase.READY:
            # A creation has no other configuration to come to rest on.
            status = item["EndpointStatus"]
            return replace(before, phase=phase, status=status, version=_version(item), since=_since(item))
        config = only_configs.get(owner_of(self._scope.cluster_id, key.name) or "")
        if before is None and phase is Phase.READY and config:
            return self._have(item, EndpointSpec(config), {config})
        return await self.look(calls, key, known)

    def _have(self, item: Any, spec: EndpointSpec, configs: set[str]) -> Have:
        name = item["EndpointName"]
        return Have(
            Key(self.kind, name),
            PHASES[item["EndpointStatus"]],
            spec=spec,
            arn=item["EndpointArn"],
            owner=owner_of(self._scope.cluster_id, name),
            uses=self._uses(name, configs),
            status=item["EndpointStatus"],
            detail=item.get("FailureReason", ""),
            version=_version(item),
            since=_since(item),
        )

    def _busy(self, status: str, name: str, arn: str, spec: EndpointSpec, configs: set[str]) -> Have:
        return Have(
            Key(self.kind, name),
            Phase.BUSY,
            spec=spec,
            arn=arn,
            owner=owner_of(self._scope.cluster_id, name),
            uses=self._uses(name, configs),
            status=status,
        )

    def _uses(self, name: str, configs: set[str]) -> frozenset[Key]:
        return frozenset(
            {
                Key(Kind.LOG_GROUP, endpoint_logs(name)),
                *(Key(Kind.ENDPOINT_CONFIG, config) for config in configs),
            }
        )


def _models_by_owner(known: Haves) -> defaultdict[str | None, list[str]]:
    models: defaultdict[str | None, list[str]] = defaultdict(list)
    for have in known.values():
        if have.key.kind is Kind.MODEL:
            models[have.owner].append(have.key.name)
    return models


def _only_configs(known: Haves) -> dict[str, str]:
    """The name of the endpoint configuration of each owner that has exactly one."""
    configs = [have for have in known.values() if have.key.kind is Kind.ENDPOINT_CONFIG and have.owner]
    counts = Counter(have.owner for have in configs)
    return {str(have.owner): have.key.name for have in configs if counts[have.owner] == 1}


def _configs_of(owner: str | None, known: Haves) -> set[str]:
    return {key.name for key, have in known.items() if key.kind is Kind.ENDPOINT_CONFIG and have.owner == owner}


def _since(item: Any) -> datetime:
    """When the endpoint entered the state that it is in."""
    moment: datetime = item["LastModifiedTime"]
    return moment.astimezone(UTC)


def _version(item: Any) -> str:
    return f"{item['EndpointStatus']} {item['LastModifiedTime'].isoformat()}"
