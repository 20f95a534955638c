"""Where captured records and published results go: Amazon Data Firehose, Kinesis Data Streams, or an SNS topic."""

from __future__ import annotations

import base64
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ephemeral_endpoints.features.routing.forwarder.connection import Connection, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    import botocore.session

FIREHOSE = Operation("firehose", "Firehose_20150804.PutRecord", "1.1")
KINESIS = Operation("kinesis", "Kinesis_20131202.PutRecord", "1.1")
SNS = Operation("sns", "Publish", "2010-03-31", is_query=True)


class Message(NamedTuple):
    """What a sink takes: text in UTF-8.

    Attributes:
        body: its content; what streams take ends with a newline.
        key: what Kinesis chooses the shard by.
        attributes: what subscriptions of a topic filter by, none of it empty; streams have none.
    """

    body: bytes
    key: str
    attributes: Mapping[str, str | int] = MappingProxyType({})


class Sink:
    """Puts messages into one stream or topic. For one thread at a time."""

    def __init__(self, session: botocore.session.Session, region: str, operation: Operation, target: str) -> None:
        self._members = _MEMBERS[operation]
        self._connection = Connection(session, region, operation)
        self.target = target

    def connect(self) -> None:
        """Connect while the model works, so that only the request itself is left to wait for. Raises nothing."""
        self._connection.connect()

    def put(self, message: Message) -> None:
        """Put a message. Raises CallError."""
        self._connection.call(self._members(self.target, message))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _of_firehose(stream: str, message: Message) -> dict[str, object]:
    return {"DeliveryStreamName": stream, "Record": {"Data": base64.b64encode(message.body).decode()}}


def _of_kinesis(stream: str, message: Message) -> dict[str, object]:
    return {"StreamName": stream, "Data": base64.b64encode(message.body).decode(), "PartitionKey": message.key}


def _of_sns(topic: str, message: Message) -> dict[str, object]:
    members: dict[str, object] = {"TopicArn": topic, "Message": message.body.decode()}
    for number, (name, value) in enumerate(message.attributes.items(), 1):
        entry = f"MessageAttributes.entry.{number}"
        members |= {
            f"{entry}.Name": name,
            f"{entry}.Value.DataType": data_type(value),
            f"{entry}.Value.StringValue": value,
        }
    return members


def data_type(value: str | int) -> str:
    """The type of an attribute in SNS: filters compare numbers with ranges."""
    return "Number" if isinstance(value, int) else "String"


_MEMBERS = {FIREHOSE: _of_firehose, KINESIS: _of_kinesis, SNS: _of_sns}
