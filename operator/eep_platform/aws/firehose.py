"""Firehose as strict as AWS's, over that of ministack, which is ready at once and writes each record by itself.

A stream takes a moment to be created and deleted. Records wait in it, and are written together, for each prefix that
their partition keys make, as the role of the stream may: what the bucket does not take is tried again, and the age of
the oldest record is a metric. Sources, in the developer guide: "Controlling access", "Dynamic partitioning",
"Buffering hints", and "Monitoring with CloudWatch metrics". AWS waits as long as the hints say; here it is a second.
"""

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Final

Answer = tuple[int, dict[str, str], bytes]
Handle = Callable[[dict[str, Any]], Answer]

SECONDS: Final = 0.3
"""How long a creation and a deletion take."""

BUFFER_SECONDS: Final = 1.0
MOST_RECORD_BYTES: Final = 1_024_000
LEAST_PARTITIONED_MB: Final = 64

_OK: Final = 200
_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_INVALID: Final = "InvalidArgumentException"
_CONFIGURATION: Final = "ExtendedS3DestinationConfiguration"
_UPDATE: Final = "ExtendedS3DestinationUpdate"
_PARTITIONING: Final = "DynamicPartitioningConfiguration"

Location = tuple[str, str]
"""A bucket, and the prefix of a key."""


@dataclass(slots=True)
class Buffer:
    """The records of one stream that are not delivered yet, each with the time of its arrival."""

    stream: dict[str, Any]
    destination: dict[str, Any]
    records: list[tuple[float, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class Firehose:
    """The streams of one account and region, which are ``streams`` of ministack.

    ``place`` gives where a record of a destination goes; it is where failed records go if the first is not known.
    ``write`` writes the content of one file as the role of the destination, and returns whether it could. ``measure``
    is told the age of the oldest record of a stream. ``refuse`` makes an error of its code and message.
    """

    streams: MutableMapping[str, dict[str, Any]]
    place: Callable[[dict[str, Any], bytes], tuple[Location, bytes]]
    write: Callable[[dict[str, Any], dict[str, Any], Location, bytes], bool]
    measure: Callable[[str, float], None]
    refuse: Callable[[str, str], Answer]
    clock: Callable[[], float]
    _since: dict[str, float] = field(default_factory=dict)
    _buffers: dict[str, Buffer] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)

    def over(self, operation: str, handle: Handle) -> Handle:
        """Handle the requests of an operation that ``handle`` of ministack takes."""

        def handle_strictly(data: dict[str, Any]) -> Answer:
            with self._lock:
                self._settle()
                if refusal := self._refusal(operation, data):
                    return refusal
                if operation == "DeleteDeliveryStream" and data["DeliveryStreamName"] in self.streams:
                    self._move(data["DeliveryStreamName"], "DELETING")
                    return _OK, {"Content-Type": "application/x-amz-json-1.1"}, b"{}"
                answer = handle(data)
                if operation == "CreateDeliveryStream" and answer[0] == _OK:
                    self._move(data["DeliveryStreamName"], "CREATING")
                return answer

        return handle_strictly

    def take(self, stream: dict[str, Any], destination: dict[str, Any], records: list[tuple[str, bytes]]) -> None:
        """Buffer records, in place of ministack's delivery."""
        with self._lock:
            buffer = self._buffers.setdefault(stream["name"], Buffer(stream, destination))
            buffer.records += [(self.clock(), data) for _, data in records]

    def before(self, reset: Callable[[], None]) -> Callable[[], None]:
        """Forget what waits, and let nothing be delivered or asked while ``reset`` forgets all else."""

        def reset_all() -> None:
            with self._lock:
                self._buffers.clear()
                self._since.clear()
                reset()

        return reset_all

    def deliver(self) -> None:
        """Write what has waited for long enough."""
        with self._lock:
            self._settle()
            for name, buffer in list(self._buffers.items()):
                self._deliver(name, buffer)
                if name not in self.streams:
                    del self._buffers[name]

    def _deliver(self, name: str, buffer: Buffer) -> None:
        now = self.clock()
        if not buffer.records or (now - buffer.records[0][0] < BUFFER_SECONDS and name in self.streams):
            return
        files: dict[Location, list[tuple[float, bytes, bytes]]] = {}
        for at, data in buffer.records:
            location, content = self.place(buffer.destination, data)
            files.setdefault(location, []).append((at, data, content))
        left: list[tuple[float, bytes]] = []
        for location, parts in files.items():
            content = b"".join(part for _, _, part in parts)
            if not self.write(buffer.stream, buffer.destination, location, content):
                left += [(at, data) for at, data, _ in parts]
        self.measure(name, now - min((at for at, _ in left), default=now))
        buffer.records = sorted(left)

    def _refusal(self, operation: str, data: Mapping[str, Any]) -> Answer | None:
        name = str(data.get("DeliveryStreamName", ""))
        stream = self.streams.get(name)
        status = stream["status"] if stream else None
        if operation == "CreateDeliveryStream":
            return self._malformed(data.get(_CONFIGURATION), name)
        if operation == "DeleteDeliveryStream" and status in {"CREATING", "DELETING"}:
            return self.refuse("ResourceInUseException", f"Firehose {name} is not in the ACTIVE state.")
        if operation == "UpdateDestination":
            if status not in {None, "ACTIVE"}:
                return self.refuse("ResourceInUseException", f"Firehose {name} is not in the ACTIVE state.")
            return self._changed_partitioning(stream, data.get(_UPDATE, {})) if stream else None
        if operation == "PutRecord" and status not in {None, "ACTIVE"}:
            message = f"Firehose {name} under account not found."
            return self.refuse("ResourceNotFoundException", message)
        return None

    def _malformed(self, configuration: Mapping[str, Any] | None, name: str) -> Answer | None:
        if not _NAME.fullmatch(name):
            return self.refuse(
                _INVALID, "DeliveryStreamName must match [a-zA-Z0-9_.-]+ and have 64 characters at most."
            )
        if configuration is None:
            return None
        partitioning = configuration.get(_PARTITIONING, {}).get("Enabled", False)
        hints, prefix = configuration.get("BufferingHints", {}), configuration.get("Prefix", "")
        if partitioning and hints.get("SizeInMBs", LEAST_PARTITIONED_MB) < LEAST_PARTITIONED_MB:
            message = "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled."
            return self.refuse(_INVALID, message)
        if partitioning != ("!{partitionKeyFrom" in prefix):
            message = "Prefix must contain partition keys if, and only if, Dynamic Partitioning is enabled."
            return self.refuse(_INVALID, message)
        if "!{" in prefix and not configuration.get("ErrorOutputPrefix"):
            message = "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions."
            return self.refuse(_INVALID, message)
        return None

    def _changed_partitioning(self, stream: Mapping[str, Any], update: Mapping[str, Any]) -> Answer | None:
        before = stream["destinations"][0]["config"].get(_PARTITIONING, {}).get("Enabled", False)
        if update.get(_PARTITIONING, {}).get("Enabled", before) == before:
            return None
        return self.refuse(_INVALID, "Dynamic Partitioning cannot be changed on an existing Firehose stream.")

    def _move(self, name: str, status: str) -> None:
        self.streams[name]["status"] = status
        self._since[name] = self.clock()

    def _settle(self) -> None:
        for name in list(self._since):
            if self.clock() - self._since[name] < SECONDS:
                continue
            del self._since[name]
            if name not in self.streams:
                continue
            if self.streams[name]["status"] == "DELETING":
                del self.streams[name]
            else:
                self.streams[name]["status"] = "ACTIVE"


def showing_extension(shape: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Show the extension of files with a destination, which ministack keeps to itself."""

    def shown(destination: dict[str, Any]) -> dict[str, Any]:
        found = shape(destination)
        if extension := destination["config"].get("FileExtension"):
            found["ExtendedS3DestinationDescription"]["FileExtension"] = extension
        return found

    return shown


def embedded_metrics(text: str) -> list[dict[str, Any]]:
    """The data of PutMetricData that lines of a log have in CloudWatch's embedded metric format, by namespace.

    See "Specification: Embedded metric format" in the user guide of CloudWatch; a line that breaks it has no metrics.
    """
    found = []
    for line in text.splitlines():
        if '"_aws"' not in line:
            continue
        try:
            document = json.loads(line)
            found += [
                {"Namespace": each["Namespace"], "MetricData": _data(document, each, dimensions)}
                for each in document["_aws"]["CloudWatchMetrics"]
                for dimensions in each["Dimensions"]
            ]
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _data(document: Mapping[str, Any], directive: Mapping[str, Any], dimensions: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "MetricName": each["Name"],
            "Dimensions": [{"Name": name, "Value": str(document[name])} for name in dimensions],
            "Timestamp": document["_aws"]["Timestamp"] / 1000,
            "Value": float(document[each["Name"]]),
            "Unit": each.get("Unit", "None"),
        }
        for each in directive["Metrics"]
    ]
