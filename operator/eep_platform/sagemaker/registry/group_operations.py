"""Groups of model packages: the operations to create, describe, list and delete them, and on their policies."""

import json
from collections.abc import Mapping
from typing import Any

from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.errors import conflict
from eep_platform.sagemaker.listing import RESOURCE_FIELDS, listed
from eep_platform.sagemaker.registry.group import ModelPackageGroup
from eep_platform.sagemaker.store import Record, Store
from eep_platform.sagemaker.tags import tags_of


class GroupOperations:
    """The operations on groups."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create_model_package_group(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateModelPackageGroup."""
        if request.get("ManagedConfiguration"):
            raise validation_exception("ManagedConfiguration is not served here.")
        group = ModelPackageGroup(request.get("ModelPackageGroupDescription"))
        record = self._store.groups.add(request["ModelPackageGroupName"], group, tags_of(request))
        return {"ModelPackageGroupArn": record.arn}

    async def describe_model_package_group(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeModelPackageGroup."""
        return {**_summary(self._store.groups.named(request["ModelPackageGroupName"])), "CreatedBy": {}}

    async def list_model_package_groups(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListModelPackageGroups: those of this account, because no other one shares any with it."""
        others = request.get("CrossAccountFilterOption") == "CrossAccount"
        found = [] if others else self._store.groups.visible()
        records, token = listed(found, {"SortOrder": "Ascending", **request}, RESOURCE_FIELDS)
        return {"ModelPackageGroupSummaryList": [_summary(record) for record in records], "NextToken": token}

    async def delete_model_package_group(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteModelPackageGroup: only an empty group can go, and it may not be empty at once."""
        record = self._store.groups.named(request["ModelPackageGroupName"])
        deleted = record.value.last_deletion
        has_versions = any(each.value["ModelPackageGroupName"] == record.name for each in self._store.packages)
        if has_versions or (deleted is not None and not self._store.groups.is_settled(deleted)):
            raise conflict(
                f"Model Package Group {record.arn} cannot be deleted because it still contains Model Packages"
            )
        self._store.groups.remove(record.name)
        return {}

    async def put_model_package_group_policy(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """PutModelPackageGroupPolicy."""
        record = self._of_policy(request)
        try:
            json.loads(request["ResourcePolicy"])
        except ValueError as error:
            raise validation_exception("ResourcePolicy is not a valid policy: it is not JSON.") from error
        record.value.policy = request["ResourcePolicy"]
        return {"ModelPackageGroupArn": record.arn}

    async def get_model_package_group_policy(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """GetModelPackageGroupPolicy."""
        return {"ResourcePolicy": self._with_policy(request).value.policy}

    async def delete_model_package_group_policy(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteModelPackageGroupPolicy."""
        self._with_policy(request).value.policy = None
        return {}

    def _of_policy(self, request: Mapping[str, Any]) -> Record[ModelPackageGroup]:
        name = request["ModelPackageGroupName"]
        record = self._store.groups.find(name)
        if record is None:
            raise validation_exception(f"Cannot find Model Package Group: {self._store.groups.arn(name)}")
        return record

    def _with_policy(self, request: Mapping[str, Any]) -> Record[ModelPackageGroup]:
        record = self._of_policy(request)
        if record.value.policy is None:
            raise validation_exception(f"Cannot find resource policy for: {record.arn}")
        return record


def _summary(record: Record[ModelPackageGroup]) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": record.name,
        "ModelPackageGroupArn": record.arn,
        "ModelPackageGroupDescription": record.value.description,
        "CreationTime": record.created,
        "ModelPackageGroupStatus": "Completed",
    }
