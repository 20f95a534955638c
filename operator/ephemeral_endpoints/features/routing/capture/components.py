"""The delivery streams of classes in Firehose."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import NameListedComponent, expect, if_there, tag_list, tag_map
from ephemeral_endpoints.engine.resources import (
    CREATING,
    DesiredResource,
    Key,
    ObservedResource,
    ObservedResources,
    Phase,
)
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.routing.capture.iam import CAPTURE
from ephemeral_endpoints.features.routing.capture.specs import DELIVERY_STREAM, DeliveryStreamSpec
from ephemeral_endpoints.iam.statement import granted

PAGE: Final = 10_000
_TAGS_PAGE: Final = 50
_QUERY: Final = "MetadataExtractionQuery"
_PHASES: Final[Mapping[str, Phase]] = {
    "CREATING": Phase.BUSY,
    "ACTIVE": Phase.READY,
    "DELETING": Phase.DELETING,
    "CREATING_FAILED": Phase.FAILED,
}


class DeliveryStreamComponent(NameListedComponent):
    """Delivery streams, of which a class has one at most."""

    kind: ClassVar = DELIVERY_STREAM
    actions: ClassVar = granted(CAPTURE)
    statements: ClassVar = CAPTURE

    @override
    async def _names(self, calls: Calls) -> list[str]:
        client, names, more = await self._client(calls), list[str](), True
        while more:
            start = {"ExclusiveStartDeliveryStreamName": names[-1]} if names else {}
            page = await calls(client.list_delivery_streams, Limit=PAGE, **start)
            names += page["DeliveryStreamNames"]
            more = page["HasMoreDeliveryStreams"] and bool(page["DeliveryStreamNames"])
        return names

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        client = await self._client(calls)
        answer = await if_there(calls(client.describe_delivery_stream, DeliveryStreamName=key.name))
        return self._observed(answer["DeliveryStreamDescription"]) if answer else None

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        client, found, more = await self._client(calls), dict[str, str](), True
        while more:
            start = {"ExclusiveStartTagKey": [*found][-1]} if found else {}
            page = await calls(
                client.list_tags_for_delivery_stream, DeliveryStreamName=observed.key.name, Limit=_TAGS_PAGE, **start
            )
            found |= tag_map(page["Tags"])
            more = page["HasMoreTags"]
        return found

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        client = await self._client(calls)
        await calls(client.tag_delivery_stream, DeliveryStreamName=observed.key.name, Tags=tag_list(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        client, spec, name = await self._client(calls), expect(resource, DeliveryStreamSpec), resource.key.name
        destination = self._destination(spec)
        if observed:
            answer = await calls(client.describe_delivery_stream, DeliveryStreamName=name)
            current = answer["DeliveryStreamDescription"]
            await calls(
                client.update_destination,
                DeliveryStreamName=name,
                CurrentDeliveryStreamVersionId=current["VersionId"],
                DestinationId=current["Destinations"][0]["DestinationId"],
                ExtendedS3DestinationUpdate=destination,
            )
            return replace(observed, spec=spec)
        made = await calls(
            client.create_delivery_stream,
            DeliveryStreamName=name,
            DeliveryStreamType="DirectPut",
            DeliveryStreamEncryptionConfigurationInput={"KeyType": "AWS_OWNED_CMK"},
            ExtendedS3DestinationConfiguration={
                **destination,
                "DynamicPartitioningConfiguration": {"Enabled": True, "RetryOptions": {"DurationInSeconds": 300}},
            },
            Tags=tag_list(spec.tags),
        )
        return ObservedResource(
            resource.key,
            Phase.BUSY,
            spec=spec,
            arn=made["DeliveryStreamARN"],
            status=CREATING,
            owner=self._owner_of(name),
        )

    @override
    async def delete(
        self, calls: Calls, observed: ObservedResource, known: ObservedResources
    ) -> ObservedResource | None:
        client = await self._client(calls)
        # Records that it still holds are delivered before.
        await if_there(calls(client.delete_delivery_stream, DeliveryStreamName=observed.key.name))
        return await self.describe(calls, observed.key, known)

    async def _client(self, calls: Calls) -> Any:
        return await asyncio.get_running_loop().run_in_executor(calls.pool, self._clients.firehose)

    def _destination(self, spec: DeliveryStreamSpec) -> dict[str, Any]:
        parameters = [
            {"ParameterName": _QUERY, "ParameterValue": spec.query},
            {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
        ]
        return {
            "RoleARN": spec.role_arn,
            "BucketARN": f"arn:{self._scope.partition}:s3:::{spec.bucket}",
            "Prefix": spec.prefix,
            "ErrorOutputPrefix": spec.error_prefix,
            "FileExtension": spec.extension,
            "CompressionFormat": spec.compression,
            "BufferingHints": {"SizeInMBs": spec.buffer_megabytes, "IntervalInSeconds": spec.buffer_seconds},
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [{"Type": "MetadataExtraction", "Parameters": parameters}],
            },
        }

    def _observed(self, stream: Any) -> ObservedResource:
        name, status = stream["DeliveryStreamName"], stream["DeliveryStreamStatus"]
        destination: Any = next(iter(stream["Destinations"]), {})
        return ObservedResource(
            Key(self.kind, name),
            _PHASES.get(status, Phase.IMPAIRED),
            spec=_spec(destination.get("ExtendedS3DestinationDescription", {})),
            arn=stream["DeliveryStreamARN"],
            status=CREATING if status == "CREATING" else status,
            detail=stream.get("FailureDescription", {}).get("Details", ""),
            owner=self._owner_of(name),
        )


def _spec(found: Any) -> DeliveryStreamSpec:
    hints, processing = found.get("BufferingHints", {}), found.get("ProcessingConfiguration", {})
    queries = [
        parameter["ParameterValue"]
        for processor in (processing.get("Processors", ()) if processing.get("Enabled") else ())
        for parameter in processor.get("Parameters", ())
        if parameter["ParameterName"] == _QUERY
    ]
    return DeliveryStreamSpec(
        bucket=found.get("BucketARN", "").rpartition(":")[2],
        prefix=found.get("Prefix", ""),
        error_prefix=found.get("ErrorOutputPrefix", ""),
        role_arn=found.get("RoleARN", ""),
        query=queries[0] if queries else "",
        extension=found.get("FileExtension", ""),
        buffer_seconds=hints.get("IntervalInSeconds", 0),
        buffer_megabytes=hints.get("SizeInMBs", 0),
        compression=found.get("CompressionFormat", ""),
        is_partitioned=found.get("DynamicPartitioningConfiguration", {}).get("Enabled", False),
    )
