"""The Lease that replicas compete for: its content, the rules for taking it, and how it is written.

Each replica measures by its own monotonic clock how long the Lease has stood unchanged; the times in it are for people
only. Every write is guarded by the resource version. The rules are those of client-go's leader election.
"""

import hashlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.kube.errors import Gone
from ephemeral_endpoints.kube.rest import MERGE_PATCH, Rest

_API_VERSION: Final = "coordination.k8s.io/v1"
_NAME: Final = "ephemeral-endpoints"
_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A crash is taken over from after ``lease`` and at most ``retry`` more; ``lease`` is a whole number."""

    lease: int = 10
    renew_deadline: float = 7.0
    retry: float = 2.0

    @property
    def request(self) -> float:
        """How long one attempt may take: two of them, the first ``retry`` after a renewal, fit into its deadline."""
        return (self.renew_deadline - self.retry) / 2


@dataclass(frozen=True, slots=True)
class Record:
    """The ``spec`` of a Lease. ``holder`` is empty if there is none; the times are text: nothing depends on them."""

    holder: str
    seconds: int
    acquired: str | None = None
    renewed: str | None = None
    transitions: int = 0


@dataclass(frozen=True, slots=True)
class Sighting:
    """A record of the Lease, and since when it is unchanged by the local monotonic clock."""

    record: Record
    since: float


def sight(before: Sighting | None, record: Record | None, now: float) -> Sighting | None:
    """The sighting after a read. Even if the Lease does not exist (any more), its last holder is waited for."""
    if record is None or (before is not None and before.record == record):
        return before
    return Sighting(record, now)


def free_in(sighting: Sighting | None, identity: str, now: float) -> float:
    """In how many seconds ``identity`` may try to take the Lease; 0 means now."""
    if sighting is None or sighting.record.holder in {"", identity}:
        return 0.0
    return max(0.0, sighting.since + sighting.record.seconds - now)


def claimed(record: Record | None, identity: str, seconds: int, moment: datetime) -> Record:
    """The record that ``identity`` acquires or renews the Lease with."""
    text = _micro_time(moment)
    if record is None:
        return Record(identity, seconds, text, text)
    if record.holder == identity:
        return replace(record, seconds=seconds, renewed=text)
    return Record(identity, seconds, text, text, record.transitions + 1)


def resigned(record: Record, moment: datetime) -> Record:
    """The record that frees the Lease."""
    return replace(record, holder="", seconds=1, renewed=_micro_time(moment))


def lease_name(namespaces: Collection[str], shard: Shard = WHOLE) -> str:
    """The Lease of the replicas that watch these namespaces, all if there are none, and take the same shard of them.

    Replicas that watch others, or take another shard, do not block each other.
    """
    name = _NAME if shard.is_whole else f"{_NAME}-shard-{shard.index}"
    if not namespaces:
        return name
    return f"{name}-{hashlib.sha256(','.join(sorted(namespaces)).encode()).hexdigest()[:8]}"


def own_namespace(file: Path = _NAMESPACE_FILE) -> str:
    """The namespace of the pod that this process runs in, ``default`` outside of a cluster."""
    with suppress(OSError):
        return file.read_text().strip() or "default"
    return "default"


class Lease:
    """One Lease on the API server. Methods raise what ``Rest`` raises."""

    def __init__(self, api: ApiClient, namespace: str, name: str) -> None:
        self._rest = Rest(api)
        self._folder = f"/apis/{_API_VERSION}/namespaces/{namespace}/leases"
        self._name = name

    async def read(self) -> tuple[Record | None, str | None]:
        """Its record and its resource version; None if there is no such Lease."""
        try:
            found = await self._rest("GET", f"{self._folder}/{self._name}")
        except Gone:
            return None, None
        return _parsed(found.get("spec", {})), found["metadata"]["resourceVersion"]

    async def write(self, record: Record, version: str | None) -> str:
        """Change exactly that version, or with None make the Lease; returns the new version.

        Raises Conflict or Gone if that version is not the present one, which includes that there is one already.
        """
        body: dict[str, Any] = {"metadata": {"name": self._name}, "spec": _spec(record)}
        if version is None:
            written = await self._rest("POST", self._folder, {"apiVersion": _API_VERSION, "kind": "Lease", **body})
        else:
            body["metadata"]["resourceVersion"] = version
            written = await self._rest("PATCH", f"{self._folder}/{self._name}", body, content_type=MERGE_PATCH)
        return str(written["metadata"]["resourceVersion"])


def _parsed(spec: Mapping[str, Any]) -> Record:
    return Record(
        holder=spec.get("holderIdentity") or "",
        seconds=spec.get("leaseDurationSeconds") or Timing().lease,
        acquired=spec.get("acquireTime"),
        renewed=spec.get("renewTime"),
        transitions=spec.get("leaseTransitions") or 0,
    )


def _spec(record: Record) -> dict[str, Any]:
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.seconds,
        "acquireTime": record.acquired,
        "renewTime": record.renewed,
        "leaseTransitions": record.transitions,
    }


def _micro_time(moment: datetime) -> str:
    """As the API server parses it: always six digits, which ``isoformat`` leaves out where they are zero."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
