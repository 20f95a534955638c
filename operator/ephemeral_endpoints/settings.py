"""Settings of the operator: the environment, read once, checked, and frozen."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Self

from ephemeral_endpoints.core.names import CLUSTER_ID_PATTERN
from ephemeral_endpoints.core.sharding import WHOLE, Shard

MOST_SHARDS = 64
"""Each shard holds every object in memory and lists every account."""

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class SettingsError(ValueError):
    """A variable has a value that cannot be used; the message names it and says what is expected."""


class SweepMode(StrEnum):
    """What is done about orphans in AWS."""

    OFF = "off"
    DRY_RUN = "dry-run"
    ON = "on"


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set, in seconds where it is a time."""

    cluster_id: str | None
    """Part of every name in AWS. None: derived from the UID of the kube-system namespace."""

    namespaces: tuple[str, ...]
    """The namespaces to watch; empty: all."""

    shard: Shard
    """Which part of them is this operator's work."""

    poll_seconds: float
    """Between two lists of endpoints while any of them is changing."""

    snapshot_seconds: float
    """Between two full snapshots of AWS, which is how soon drift is noticed."""

    sweep: SweepMode
    """Whether orphans in AWS are deleted, only told of, or not looked for."""

    sweep_min_age_seconds: float
    """For how long something must have been an orphan before it counts as one."""

    sweep_most_deletions: int
    """With more orphans than that at once none is deleted."""

    aws_connections: int
    """How many AWS calls may be under way at once in each account and region, and by each role there."""

    http_port: int
    """For /healthz, /readyz and /metrics; 0 chooses a free one."""

    http_host: str
    """The address that the port is opened on."""

    leader_election: bool
    """Whether one of several replicas acts and the others stand by."""

    lease_namespace: str | None
    """Where the replicas compete for a Lease. None: the namespace of the pod."""

    log_level: str
    """DEBUG, INFO, WARNING or ERROR."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read EEP_* variables; every one has a default, which an empty one means too. Raises SettingsError.

        Leader election is on by default in a cluster, which KUBERNETES_SERVICE_HOST tells, and off elsewhere: a single
        process on a developer's machine should neither need the right to a Lease nor end when the API server restarts.
        """
        return cls(
            cluster_id=_cluster_id(environment.get("EEP_CLUSTER_ID", "")),
            namespaces=_namespaces(environment.get("EEP_NAMESPACES", "")),
            shard=_shard(environment.get("EEP_SHARD", "")),
            poll_seconds=_number(environment, "EEP_POLL_SECONDS", 1.0, least=0.05),
            snapshot_seconds=_number(environment, "EEP_SNAPSHOT_SECONDS", 270.0, least=1.0),
            sweep=_sweep(environment.get("EEP_SWEEP") or SweepMode.ON),
            sweep_min_age_seconds=_number(environment, "EEP_SWEEP_MIN_AGE_SECONDS", 600.0, least=1.0),
            sweep_most_deletions=_integer(environment, "EEP_SWEEP_MOST_DELETIONS", 50, least=1, most=100_000),
            aws_connections=_integer(environment, "EEP_AWS_CONNECTIONS", 32, least=1, most=1024),
            http_port=_integer(environment, "EEP_HTTP_PORT", 8080, least=0, most=65535),
            http_host=environment.get("EEP_HTTP_HOST") or "127.0.0.1",
            leader_election=_switch(
                environment, "EEP_LEADER_ELECTION", default="KUBERNETES_SERVICE_HOST" in environment
            ),
            lease_namespace=_namespace(environment.get("EEP_LEASE_NAMESPACE", "")),
            log_level=_level(environment.get("EEP_LOG_LEVEL") or "INFO"),
        )


def _cluster_id(text: str) -> str | None:
    if text and not CLUSTER_ID_PATTERN.fullmatch(text):
        raise SettingsError(f"EEP_CLUSTER_ID={text!r}: 1 to 8 characters of a-z and 0-9 are expected")
    return text or None


def _namespaces(text: str) -> tuple[str, ...]:
    names = tuple(sorted({name.strip() for name in text.split(",") if name.strip()}))
    for name in names:
        if not _NAMESPACE.fullmatch(name):
            raise SettingsError(f"EEP_NAMESPACES: {name!r} is not the name of a namespace")
    return names


def _shard(text: str) -> Shard:
    if not text:
        return WHOLE
    found = re.fullmatch("([0-9]{1,2})/([0-9]{1,2})", text)
    if not found or not int(found[1]) < int(found[2]) <= MOST_SHARDS:
        raise SettingsError(
            f"EEP_SHARD={text!r}: INDEX/COUNT is expected, such as 0/4, with an index from 0 to below the count,"
            f" which is at most {MOST_SHARDS}"
        )
    return Shard(int(found[1]), int(found[2]))


def _namespace(text: str) -> str | None:
    if text and not _NAMESPACE.fullmatch(text):
        raise SettingsError(f"EEP_LEASE_NAMESPACE={text!r}: the name of a namespace is expected")
    return text or None


def _switch(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name, "").lower()
    if text not in {"", "on", "off"}:
        raise SettingsError(f"{name}={text!r}: on or off is expected")
    return text == "on" if text else default


def _number(environment: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise SettingsError(f"{name}={text!r}: a number is expected") from None
    if not least <= value < inf:
        raise SettingsError(f"{name}={text!r}: at least {least:g} is expected")
    return value


def _integer(environment: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise SettingsError(f"{name}={text!r}: a whole number from {least} to {most} is expected")
    return int(text)


def _sweep(text: str) -> SweepMode:
    try:
        return SweepMode(text)
    except ValueError:
        raise SettingsError(f"EEP_SWEEP={text!r}: {', '.join(SweepMode)} are possible") from None


def _level(text: str) -> str:
    level = text.upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise SettingsError(f"EEP_LOG_LEVEL={text!r}: DEBUG, INFO, WARNING or ERROR is expected")
    return level
