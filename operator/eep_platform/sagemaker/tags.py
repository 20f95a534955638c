"""Tags: AddTags, ListTags, DeleteTags, and the tags in requests that create resources."""

from collections.abc import Mapping
from typing import Any

from eep_platform.emulation.errors import validation_exception
from eep_platform.emulation.paging import page
from eep_platform.emulation.tags import MOST_TAGS, refuse_reserved
from eep_platform.sagemaker.errors import could_not_find, invalid_token
from eep_platform.sagemaker.store import Record, Store


def tags_of(request: Mapping[str, Any]) -> dict[str, str]:
    """The tags in a request to create or to tag; raises the service's error for reserved keys."""
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}
    refuse_reserved(tags)
    return tags


class TagOperations:
    """The operations on tags."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add_tags(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """AddTags."""
        record = self._record(request["ResourceArn"])
        merged = record.tags | tags_of(request)
        if len(merged) > MOST_TAGS:
            raise validation_exception(f"A resource can have at most {MOST_TAGS} tags; this would be {len(merged)}.")
        record.tags = merged
        return {"Tags": _wire(record.tags)}

    async def list_tags(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListTags."""
        record = self._record(request["ResourceArn"])
        ordered = sorted(_wire(record.tags), key=lambda tag: tag["Key"])
        size = request.get("MaxResults", MOST_TAGS)
        tags, token = page(
            ordered, lambda tag: (tag["Key"], ""), request.get("NextToken"), size, invalid_token=invalid_token
        )
        return {"Tags": tags, "NextToken": token}

    async def delete_tags(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteTags."""
        record = self._record(request["ResourceArn"])
        record.tags = {key: value for key, value in record.tags.items() if key not in request["TagKeys"]}
        return {}

    def _record(self, arn: str) -> Record[Any]:
        kind, _, name = arn.rpartition(":")[2].partition("/")
        for collection in self._store.collections:
            if collection.kind == kind and collection.arn(name) == arn.lower():
                return collection.get(name)
        raise could_not_find(kind or "resource", arn)


def _wire(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
