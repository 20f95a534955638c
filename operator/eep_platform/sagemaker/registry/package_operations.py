"""Model packages: the operations to register, describe, list, update and delete versions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import ServiceError, validation_exception
from eep_platform.emulation.outbox import Outbox
from eep_platform.sagemaker.artifacts import refuse_absent
from eep_platform.sagemaker.images import image_name, resolved_image
from eep_platform.sagemaker.listing import RESOURCE_FIELDS, listed
from eep_platform.sagemaker.models import data_of
from eep_platform.sagemaker.registry.events import package_change
from eep_platform.sagemaker.registry.package import (
    described,
    listed_for,
    refuse_unregistrable,
    registered,
    registered_container,
    summary,
    updated,
)
from eep_platform.sagemaker.store import Store

# The numbers of versions have at most nine digits.
_FIELDS = replace(
    RESOURCE_FIELDS,
    name=lambda record: f"{record.value['ModelPackageGroupName']}/{record.value['ModelPackageVersion']:09}",
    sort_keys={**RESOURCE_FIELDS.sort_keys, "Name": lambda record: str(record.value["ModelPackageGroupName"])},
)


class PackageOperations:
    """The operations on model packages."""

    def __init__(self, store: Store, aws: Aws, events: Outbox[dict[str, Any]]) -> None:
        self._store = store
        self._aws = aws
        self._events = events

    async def create_model_package(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateModelPackage: the next version of its group."""
        refuse_unregistrable(request)
        digest = await self._digest(request)
        group = self._store.groups.named(request["ModelPackageGroupName"])
        token = request.get("ClientToken", "")
        if token in group.value.registered:
            return {"ModelPackageArn": group.value.registered[token]}
        group.value.latest += 1
        body = registered(request, group.name, group.value.latest, digest)
        record = self._store.packages.add(f"{group.name}/{group.value.latest}", body, {})
        if token:
            group.value.registered[token] = record.arn
        self._events.put(package_change(record))
        return {"ModelPackageArn": record.arn}

    async def describe_model_package(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeModelPackage."""
        return described(self._store.packages.named(request["ModelPackageName"]))

    async def batch_describe_model_package(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """BatchDescribeModelPackage: what cannot be found is an error of its own."""
        found: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for arn in request["ModelPackageArnList"]:
            try:
                record = self._store.packages.named(arn)
            except ServiceError as error:
                errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
            else:
                found[arn] = described(record)
        return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors}

    async def list_model_packages(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListModelPackages."""
        given = request.get("ModelPackageGroupName")
        group = self._store.groups.named(given).name if given else None
        found = filter(listed_for(request, group), self._store.packages.visible())
        records, token = listed(found, {"SortOrder": "Ascending", **request}, _FIELDS)
        return {"ModelPackageSummaryList": [summary(record) for record in records], "NextToken": token}

    async def update_model_package(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateModelPackage."""
        record = self._store.packages.named(request["ModelPackageArn"])
        record.value, changed = updated(record.value, request, self._store.clock())
        if changed:
            self._events.put(package_change(record, changed))
        return {"ModelPackageArn": record.arn}

    async def delete_model_package(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteModelPackage: models that were made from it keep what they need of it."""
        record = self._store.packages.named(request["ModelPackageName"])
        self._store.packages.remove(record.name)
        self._store.groups.get(record.value["ModelPackageGroupName"]).value.last_deletion = self._store.clock()
        return {}

    async def _digest(self, request: Mapping[str, Any]) -> str:
        """The digest of the image to register; raises the service's errors for what cannot be found."""
        container = registered_container(request)
        image = image_name(container["Image"], self._store.account.region)
        data = data_of(container)
        found = await resolved_image(image, self._aws)
        if found is None:
            raise validation_exception(f"Requested image {image.uri} not found.")
        if self._store.settings.now.create_model_checks:
            await refuse_absent(data, self._aws)
        return found.digest
