"""What trainings leave beside packages, as components of a sweep: pipelines, and groups without versions.

Objects do not own them, so that no feature makes them by a plan. AWS itself refuses to delete a pipeline that runs, and
a group with a version in it.
"""

from abc import ABC
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope, if_there, items, tag_list
from ephemeral_endpoints.engine.errors import NotFound
from ephemeral_endpoints.engine.names import content_digest, owner_hash
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import CLUSTER, UID, Tags
from ephemeral_endpoints.features.packages import groups
from ephemeral_endpoints.features.packages.specs import PACKAGE_GROUP
from ephemeral_endpoints.features.training.desired import owner_of
from ephemeral_endpoints.features.training.specs import PIPELINE
from ephemeral_endpoints.iam.statement import actions

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sagemaker.type_defs import PipelineSummaryTypeDef


async def pipelines(client: "SageMakerClient", calls: Calls, scope_prefix: str) -> "list[PipelineSummaryTypeDef]":
    """The pipelines whose names begin with our prefix. Raises an ``AwsError``."""
    # SageMaker refuses a prefix that ends with a hyphen, as no name may.
    begins = scope_prefix.rstrip("-")
    found = await items(calls, client.list_pipelines, "PipelineSummaries", PipelineNamePrefix=begins)
    return [each for each in found if each["PipelineName"].startswith(scope_prefix)]


async def delete_pipeline(client: "SageMakerClient", calls: Calls, name: str) -> None:
    """Delete a pipeline; one that is gone is no error. Raises an ``AwsError``."""
    token = content_digest("delete", name)
    await if_there(calls(client.delete_pipeline, PipelineName=name, ClientRequestToken=token))


class _Leftovers(Component, ABC):
    """A kind of which only what was there ``before`` a time is seen: what is younger may be about to be used."""

    def __init__(self, clients: Clients, scope: Scope, before: datetime) -> None:
        super().__init__(clients, scope)
        self._client = clients.sagemaker
        self._before = before

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        return next((each for each in await self.list_all(calls, known) if each.key == key), None)

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        return await groups.tags_of(self._client, calls, observed.arn)

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        await calls(self._client.add_tags, ResourceArn=observed.arn, Tags=tag_list(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        raise TypeError(f"{resource.key} is made by a training, and by no plan")

    def _left(self, name: str, arn: str, owner: str) -> ObservedResource:
        return ObservedResource(Key(self.kind, name), Phase.READY, arn=arn, owner=owner)


class LeftPipelines(_Leftovers):
    """Pipelines, whose names tell the class that they are of."""

    kind: ClassVar = PIPELINE
    actions: ClassVar = actions("sagemaker", "AddTags", "DeletePipeline", "ListPipelines", "ListTags")

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        return [
            self._left(each["PipelineName"], each["PipelineArn"], owner_of(each["PipelineName"]))
            for each in await pipelines(self._client, calls, self._scope.prefix)
            if each["CreationTime"] < self._before
        ]

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        await delete_pipeline(self._client, calls, observed.key.name)


class LeftGroups(_Leftovers):
    """Groups without a version that trainings of this cluster made: people name them, so that only tags tell."""

    kind: ClassVar = PACKAGE_GROUP
    actions: ClassVar = groups.ACTIONS | actions("sagemaker", "AddTags")

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        empty = [each for each in await groups.empty_groups(self._client, calls) if each.created_at < self._before]
        found = [await self._ours(calls, each) for each in empty]
        return [each for each in found if each]

    async def _ours(self, calls: Calls, group: groups.Group) -> ObservedResource | None:
        try:
            tags = await groups.tags_of(self._client, calls, group.arn)
        except NotFound:
            return None
        if tags.get(CLUSTER) != self._scope.cluster_id or UID not in tags:
            return None
        return self._left(group.name, group.arn, owner_hash(tags[UID]))

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        await groups.delete_group(self._client, calls, observed.key.name)
