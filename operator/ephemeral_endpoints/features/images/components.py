"""Repositories in ECR, one for every class that makes images."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope, expect, expect_spec, if_there, items, tag_list, tag_map
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.images.desired import canonical_policy
from ephemeral_endpoints.features.images.registry import Images
from ephemeral_endpoints.features.images.specs import REPOSITORY, RepositorySpec
from ephemeral_endpoints.iam.statement import actions

PAGE: Final = 1000
_NO_POLICY: Final = ""
_UNKNOWN: Final = RepositorySpec(immutable=False, mutable_prefix="", scan_on_push=False, lifecycle_policy=_NO_POLICY)

# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
_MUTABLE: Final = "MUTABLE"
_IMMUTABLE: Final = "IMMUTABLE"
_IMMUTABLE_BUT: Final = "IMMUTABLE_WITH_EXCLUSION"
_ANY: Final = "*"


class RepositoryComponent(Component):
    """Repositories; lists do not contain lifecycle policies, which are read one by one."""

    kind: ClassVar = REPOSITORY
    actions: ClassVar = actions(
        "ecr",
        *("CreateRepository", "DeleteRepository", "DescribeRepositories"),
        *("GetLifecyclePolicy", "PutImageScanningConfiguration", "PutImageTagMutability", "PutLifecyclePolicy"),
        *("ListTagsForResource", "TagResource"),
    )

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._client = clients.ecr
        self.images = Images(clients.ecr)

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        # ECR cannot filter by a part of a name: the list is of all repositories.
        paging: Any = {"request_cursor": "nextToken", "maxResults": PAGE}
        found = await items(calls, self._client.describe_repositories, "repositories", **paging)
        ours = (item for item in found if self._is_ours(item["repositoryName"]))
        return list(await asyncio.gather(*(self._found(calls, item) for item in ours)))

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        answer = await if_there(calls(self._client.describe_repositories, repositoryNames=[key.name]))
        return await self._found(calls, answer["repositories"][0]) if answer else None

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        answer = await calls(self._client.list_tags_for_resource, resourceArn=observed.arn)
        return tag_map(list(answer["tags"]))

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        await calls(self._client.tag_resource, resourceArn=observed.arn, tags=tag_list(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        # A repository is created first; its lifecycle policy is set by a second step.
        spec = expect(resource, RepositorySpec)
        if observed is None:
            return await self._create(calls, resource.key, spec)
        there = expect_spec(observed.spec, RepositorySpec) or _UNKNOWN
        return replace(observed, spec=await self._nearer(calls, resource.key.name, there, spec))

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        # The images in it go too: they were made for the class's objects.
        await if_there(calls(self._client.delete_repository, repositoryName=observed.key.name, force=True))

    async def _create(self, calls: Calls, key: Key, spec: RepositorySpec) -> ObservedResource:
        made = await calls(
            self._client.create_repository,
            repositoryName=key.name,
            tags=tag_list(spec.tags),
            imageScanningConfiguration=_scanning(spec),
            encryptionConfiguration=_encryption(spec),
            **_mutability(spec),
        )
        return self._observed(key.name, made["repository"], replace(spec, lifecycle_policy=_NO_POLICY))

    async def _nearer(self, calls: Calls, name: str, there: RepositorySpec, spec: RepositorySpec) -> RepositorySpec:
        client = self._client
        if _mutability(there) != _mutability(spec):
            await calls(client.put_image_tag_mutability, repositoryName=name, **_mutability(spec))
            return replace(there, immutable=spec.immutable, mutable_prefix=spec.mutable_prefix)
        if there.scan_on_push != spec.scan_on_push:
            await calls(
                client.put_image_scanning_configuration,
                repositoryName=name,
                imageScanningConfiguration=_scanning(spec),
            )
            return replace(there, scan_on_push=spec.scan_on_push)
        await calls(client.put_lifecycle_policy, repositoryName=name, lifecyclePolicyText=spec.lifecycle_policy)
        return replace(there, lifecycle_policy=spec.lifecycle_policy)

    async def _found(self, calls: Calls, item: Any) -> ObservedResource:
        name = item["repositoryName"]
        answer = await if_there(calls(self._client.get_lifecycle_policy, repositoryName=name))
        immutable, mutable_prefix = _seen_mutability(item)
        spec = RepositorySpec(
            immutable=immutable,
            mutable_prefix=mutable_prefix,
            scan_on_push=item.get("imageScanningConfiguration", {}).get("scanOnPush", False),
            lifecycle_policy=canonical_policy(answer["lifecyclePolicyText"]) if answer else _NO_POLICY,
            kms_key_arn=item.get("encryptionConfiguration", {}).get("kmsKey"),
        )
        return self._observed(name, item, spec)

    def _is_ours(self, name: str) -> bool:
        return name.rpartition("/")[2].startswith(self._scope.prefix)

    def _observed(self, name: str, item: Any, spec: RepositorySpec) -> ObservedResource:
        return ObservedResource(
            Key(self.kind, name),
            Phase.READY,
            spec=spec,
            # ECR gives no id that would distinguish a repository from one that was recreated under its name.
            id=str(item.get("createdAt", "")),
            arn=item["repositoryArn"],
            owner=self._owner_of(name),
        )


def registry_of(account: Account) -> Images:
    """The images in an account's registry."""
    return account.component(RepositoryComponent).images


def _mutability(spec: RepositorySpec) -> dict[str, Any]:
    if not spec.immutable:
        return {"imageTagMutability": _MUTABLE}
    if not spec.mutable_prefix:
        return {"imageTagMutability": _IMMUTABLE}
    exclusion = {"filterType": "WILDCARD", "filter": spec.mutable_prefix + _ANY}
    return {"imageTagMutability": _IMMUTABLE_BUT, "imageTagMutabilityExclusionFilters": [exclusion]}


def _seen_mutability(item: Any) -> tuple[bool, str]:
    """Whether tags are immutable, and which are not; settings that we never make count as mutable."""
    mutability = item.get("imageTagMutability", _MUTABLE)
    filters = [each["filter"] for each in item.get("imageTagMutabilityExclusionFilters", [])]
    if mutability == _IMMUTABLE:
        return True, ""
    if mutability == _IMMUTABLE_BUT and len(filters) == 1 and filters[0].endswith(_ANY):
        return True, filters[0].removesuffix(_ANY)
    return False, ""


def _scanning(spec: RepositorySpec) -> Any:
    return {"scanOnPush": spec.scan_on_push}


def _encryption(spec: RepositorySpec) -> Any:
    if spec.kms_key_arn is None:
        return {"encryptionType": "AES256"}
    return {"encryptionType": "KMS", "kmsKey": spec.kms_key_arn}
