"""Delivery of a service's events to EventBridge, which hands them on by the rules that exist."""

from typing import Any

from botocore.exceptions import ClientError

from eep_platform.emulation.aws import Aws

_MOST_ENTRIES = 10


async def deliver_events(aws: Aws, entries: list[dict[str, Any]]) -> None:
    """Send entries to the default bus, in order; raises botocore's errors, and `ClientError` for rejected entries."""
    for start in range(0, len(entries), _MOST_ENTRIES):
        answer = await aws.call("events", "put_events", Entries=entries[start : start + _MOST_ENTRIES])
        for result in answer["Entries"]:
            if "ErrorCode" in result:
                code, message = result["ErrorCode"], result.get("ErrorMessage", "")
                raise ClientError({"Error": {"Code": code, "Message": message}}, "PutEvents")
