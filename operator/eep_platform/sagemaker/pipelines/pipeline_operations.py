"""Pipelines: the operations to create, update, describe, list and delete them and their versions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from botocore.exceptions import ClientError

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.errors import conflict, limit_exceeded
from eep_platform.sagemaker.listing import RESOURCE_FIELDS, Fields, listed
from eep_platform.sagemaker.pipelines.definition import Definition, parse
from eep_platform.sagemaker.pipelines.errors import version_missing
from eep_platform.sagemaker.pipelines.execution import RUNNING
from eep_platform.sagemaker.pipelines.pipeline import Pipeline, Version
from eep_platform.sagemaker.store import Record, Store
from eep_platform.sagemaker.tags import tags_of

_LIMIT: Final = "Maximum number of pipelines allowed per account"
_FIELDS: Final = replace(RESOURCE_FIELDS, times={"Created": lambda record: record.created})
_VERSION_FIELDS: Final[Fields[Version]] = Fields(
    name=lambda version: f"{version.number:09}",
    times={"Created": lambda version: version.created},
    sort_keys={"CreationTime": lambda version: version.number},
)


def version_of(record: Record[Pipeline], number: int | None) -> Version:
    """A version by its number, or the latest; raises the service's error."""
    if number is None:
        return record.value.versions[-1]
    found = [version for version in record.value.versions if version.number == number]
    if not found:
        raise version_missing(record.arn, number)
    return found[0]


class PipelineOperations:
    """The operations on pipelines."""

    def __init__(self, store: Store, aws: Aws) -> None:
        self._store = store
        self._aws = aws

    async def create_pipeline(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreatePipeline: with version 1; a repeated client token creates nothing."""
        name, pipelines = request["PipelineName"], self._store.pipelines
        definition = await self._definition(request)
        if definition is None:
            raise validation_exception(
                "Either Pipeline Definition or Pipeline Definition S3 location should be provided"
            )
        present = pipelines.find(name)
        if present is not None and present.value.token == request["ClientRequestToken"]:
            return {"PipelineArn": present.arn}
        pipelines.refuse_duplicate(name)
        allowed = self._store.settings.now.quotas.pipelines
        if allowed != "unlimited" and len(pipelines) >= allowed:
            raise limit_exceeded(_LIMIT, unit="Pipelines", allowed=allowed, used=len(pipelines), delta=1)
        now = self._store.clock()
        pipeline = Pipeline(
            display_name=request.get("PipelineDisplayName", name),
            description=request.get("PipelineDescription"),
            role_arn=request["RoleArn"],
            parallelism=request.get("ParallelismConfiguration"),
            modified=now,
            token=request["ClientRequestToken"],
            versions=[Version(1, definition, now)],
        )
        return {"PipelineArn": pipelines.add(name, pipeline, tags_of(request)).arn}

    async def update_pipeline(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdatePipeline: a definition makes a new version."""
        definition = await self._definition(request)
        record = self._store.pipelines.get(request["PipelineName"])
        pipeline, now = record.value, self._store.clock()
        if definition is not None:
            pipeline.versions.append(Version(pipeline.versions[-1].number + 1, definition, now))
        pipeline.display_name = request.get("PipelineDisplayName", pipeline.display_name)
        pipeline.description = request.get("PipelineDescription", pipeline.description)
        pipeline.role_arn = request.get("RoleArn", pipeline.role_arn)
        pipeline.parallelism = request.get("ParallelismConfiguration", pipeline.parallelism)
        pipeline.modified = now
        return {"PipelineArn": record.arn, "PipelineVersionId": pipeline.versions[-1].number}

    async def describe_pipeline(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribePipeline."""
        record = self._store.pipelines.named(request["PipelineName"])
        version = version_of(record, request.get("PipelineVersionId"))
        return {
            **_summary(record),
            "PipelineDefinition": version.definition.text,
            "PipelineStatus": "Active",
            "LastRunTime": record.value.last_run,
            "ParallelismConfiguration": record.value.parallelism,
            "CreatedBy": {},
            "LastModifiedBy": {},
        }

    async def list_pipelines(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListPipelines."""
        prefix = request.get("PipelineNamePrefix", "").lower()
        found = (each for each in self._store.pipelines.visible() if each.name.lower().startswith(prefix))
        records, token = listed(found, request, _FIELDS)
        return {"PipelineSummaries": [_summary(record) for record in records], "NextToken": token}

    async def list_pipeline_versions(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListPipelineVersions."""
        record = self._store.pipelines.named(request["PipelineName"])
        versions, token = listed(record.value.versions, request, _VERSION_FIELDS)
        shown = [
            {
                "PipelineArn": record.arn,
                "PipelineVersionId": version.number,
                "CreationTime": version.created,
                "LastExecutionPipelineExecutionArn": version.last_execution,
            }
            for version in versions
        ]
        return {"PipelineVersionSummaries": shown, "NextToken": token}

    async def delete_pipeline(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeletePipeline: with its executions, none of which may be running."""
        record = self._store.pipelines.get(request["PipelineName"])
        running = [each.arn for each in record.value.executions.values() if each.status in RUNNING]
        if running:
            raise conflict(f"Pipeline {record.arn} cannot be deleted while its execution {running[0]} is running.")
        self._store.pipelines.remove(record.name)
        return {"PipelineArn": record.arn}

    async def _definition(self, request: Mapping[str, Any]) -> Definition | None:
        text, location = request.get("PipelineDefinition"), request.get("PipelineDefinitionS3Location")
        if text and location:
            raise validation_exception(
                "Both Pipeline Definition and Pipeline Definition S3 Location shouldn't be present"
            )
        if location:
            text = await self._stored(location)
        return parse(text) if text else None

    async def _stored(self, location: Mapping[str, Any]) -> str:
        version = {"VersionId": location["VersionId"]} if "VersionId" in location else {}
        where = {"Bucket": location["Bucket"], "Key": location["ObjectKey"], **version}
        try:
            answer = await self._aws.call("s3", "get_object", **where)
        except ClientError as error:
            raise validation_exception(f"Could not read the pipeline definition from S3: {error}") from error
        body: bytes = await self._aws.thread(answer["Body"].read)
        return body.decode(errors="replace")


def _summary(record: Record[Pipeline]) -> dict[str, Any]:
    return {
        "PipelineArn": record.arn,
        "PipelineName": record.name,
        "PipelineDisplayName": record.value.display_name,
        "PipelineDescription": record.value.description,
        "RoleArn": record.value.role_arn,
        "CreationTime": record.created,
        "LastModifiedTime": record.value.modified,
        "LastExecutionTime": record.value.last_run,
    }
