"""Repositories in ECR, one for every class that makes images."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Scope, expect, expect_spec, pages, tag_list, tag_map
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.names import owner_of
from ephemeral_endpoints.core.repositories import canonical_policy
from ephemeral_endpoints.core.resources import Have, Haves, Key, Kind, Phase, RepositorySpec, Want
from ephemeral_endpoints.core.tags import Tags

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

PAGE: Final = 1000
_NO_POLICY: Final = ""
_UNKNOWN: Final = RepositorySpec(immutable=False, mutable_prefix="", scan_on_push=False, lifecycle_policy=_NO_POLICY)

# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
_MUTABLE: Final = "MUTABLE"
_IMMUTABLE: Final = "IMMUTABLE"
_IMMUTABLE_BUT: Final = "IMMUTABLE_WITH_EXCLUSION"
_ANY: Final = "*"


class RepositoryComponent:
    """Repositories; a list tells of none what expires in it, which is asked for one by one."""

    kind: ClassVar = Kind.REPOSITORY
    actions: ClassVar = frozenset(
        {
            "ecr:CreateRepository",
            "ecr:DeleteRepository",
            "ecr:DescribeRepositories",
            "ecr:GetLifecyclePolicy",
            "ecr:ListTagsForResource",
            "ecr:PutImageScanningConfiguration",
            "ecr:PutImageTagMutability",
            "ecr:PutLifecyclePolicy",
            "ecr:TagResource",
        }
    )

    def __init__(self, client: "ECRClient", scope: Scope) -> None:
        self._client = client
        self._scope = scope

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``. ECR cannot be asked for a part of a name: the list is of all repositories."""
        listing = pages(calls, self._client.describe_repositories, asks="nextToken", maxResults=PAGE)
        ours = [
            item async for page in listing for item in page["repositories"] if self._is_ours(item["repositoryName"])
        ]
        return list(await asyncio.gather(*(self._found(calls, item) for item in ours)))

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``."""
        try:
            answer = await calls(self._client.describe_repositories, repositoryNames=[key.name])
        except errors.NotFound:
            return None
        return await self._found(calls, answer["repositories"][0])

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str]:
        """See ``Component``."""
        answer = await calls(self._client.list_tags_for_resource, resourceArn=have.arn)
        return tag_map(list(answer["tags"]))

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``."""
        await calls(self._client.tag_resource, resourceArn=have.arn, tags=tag_list(marks))

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``. A repository is made first and what expires in it is set by a second step."""
        spec = expect(want, RepositorySpec)
        if have is None:
            return await self._create(calls, want.key, spec)
        there = expect_spec(have.spec, RepositorySpec) or _UNKNOWN
        return replace(have, spec=await self._nearer(calls, want.key.name, there, spec))

    async def delete(self, calls: Calls, have: Have, known: Haves) -> None:
        """See ``Component``. The images in it go too: they were made for the class's objects."""
        try:
            await calls(self._client.delete_repository, repositoryName=have.key.name, force=True)
        except errors.NotFound:
            return

    async def _create(self, calls: Calls, key: Key, spec: RepositorySpec) -> Have:
        made = await calls(
            self._client.create_repository,
            repositoryName=key.name,
            tags=tag_list(spec.tags),
            imageScanningConfiguration=_scanning(spec),
            encryptionConfiguration=_encryption(spec),
            **_mutability(spec),
        )
        return self._have(key.name, made["repository"], replace(spec, lifecycle_policy=_NO_POLICY))

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

    async def _found(self, calls: Calls, item: Any) -> Have:
        name = item["repositoryName"]
        try:
            answer = await calls(self._client.get_lifecycle_policy, repositoryName=name)
            policy = canonical_policy(answer["lifecyclePolicyText"])
        except errors.NotFound:
            policy = _NO_POLICY
        immutable, mutable_prefix = _seen_mutability(item)
        spec = RepositorySpec(
            immutable=immutable,
            mutable_prefix=mutable_prefix,
            scan_on_push=item.get("imageScanningConfiguration", {}).get("scanOnPush", False),
            lifecycle_policy=policy,
            kms_key_arn=item.get("encryptionConfiguration", {}).get("kmsKey"),
        )
        return self._have(name, item, spec)

    def _is_ours(self, name: str) -> bool:
        return name.rpartition("/")[2].startswith(self._scope.prefix)

    def _have(self, name: str, item: Any, spec: RepositorySpec) -> Have:
        return Have(
            Key(self.kind, name),
            Phase.READY,
            spec=spec,
            # ECR gives no id that would tell a repository from one that was made anew under its name.
            id=str(item.get("createdAt", "")),
            arn=item["repositoryArn"],
            owner=owner_of(self._scope.cluster_id, name),
        )


def _mutability(spec: RepositorySpec) -> dict[str, Any]:
    if not spec.immutable:
        return {"imageTagMutability": _MUTABLE}
    if not spec.mutable_prefix:
        return {"imageTagMutability": _IMMUTABLE}
    exclusion = {"filterType": "WILDCARD", "filter": spec.mutable_prefix + _ANY}
    return {"imageTagMutability": _IMMUTABLE_BUT, "imageTagMutabilityExclusionFilters": [exclusion]}


def _seen_mutability(item: Any) -> tuple[bool, str]:
    """Whether tags are immutable, and which are not; what we would never set counts as mutable."""
    told = item.get("imageTagMutability", _MUTABLE)
    filters = [each["filter"] for each in item.get("imageTagMutabilityExclusionFilters", [])]
    if told == _IMMUTABLE:
        return True, ""
    if told == _IMMUTABLE_BUT and len(filters) == 1 and filters[0].endswith(_ANY):
        return True, filters[0].removesuffix(_ANY)
    return False, ""


def _scanning(spec: RepositorySpec) -> Any:
    return {"scanOnPush": spec.scan_on_push}


def _encryption(spec: RepositorySpec) -> Any:
    if spec.kms_key_arn is None:
        return {"encryptionType": "AES256"}
    return {"encryptionType": "KMS", "kmsKey": spec.kms_key_arn}
