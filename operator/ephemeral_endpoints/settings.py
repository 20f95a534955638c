"""Settings of the operator, read from the environment, validated and frozen."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from math import inf
from typing import Self

from ephemeral_endpoints.engine.names import CLUSTER_ID_PATTERN
from ephemeral_endpoints.engine.sharding import WHOLE, Shard

MOST_SHARDS = 64
"""The maximum: each shard holds every object in memory and lists every account."""

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class SettingsError(ValueError):
    """A variable has an invalid value; the message names the variable and says what is expected."""


class SweepMode(StrEnum):
    """How the sweep handles orphans in AWS."""

    OFF = "off"
    DRY_RUN = "dry-run"
    ON = "on"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings; times are in seconds."""

    cluster_id: str | None
    """Part of every name in AWS. None: derived from the UID of the kube-system namespace."""

    namespaces: tuple[str, ...]
    """The namespaces to watch; empty: all."""

    shard: Shard
    """The part of the namespaces that this operator handles."""

    poll_seconds: float
    """Interval between lists of endpoints while one of them is changing."""

    snapshot_seconds: float
    """Interval between complete snapshots of AWS, which is how soon drift is noticed."""

    sweep: SweepMode
    """Whether the sweep deletes orphans, only logs them, or does not run."""

    sweep_min_age_seconds: float
    """Minimum time for which a resource must have been an orphan."""

    sweep_most_owners: int
    """If more objects of a namespace than this are gone at once, or objects of more namespaces, their resources stay
    until they expire."""

    sweep_most_share: float
    """If more than this share of all objects is gone at once, and more than five, their resources stay likewise."""

    expiry_most_share: float
    """The share of all objects that may expire within a quarter of an hour; 1: all."""

    aws_connections: int
    """Concurrent AWS calls per account, region and role."""

    http_port: int
    """Port of /healthz, /readyz and /metrics; 0 chooses a free one."""

    http_host: str
    """The address to listen on."""

    webhook_port: int | None
    """Port for the webhooks of forges; 0 chooses a free one. None: webhooks are not taken."""

    pod_ip: str | None
    """Address at which other replicas reach this one, to hand over webhooks. None: unknown, they are refused."""

    leader_election: bool
    """Whether one of several replicas leads and the others wait."""

    own_namespace: str | None
    """Namespace of the Lease, and of the Secrets that classes name. None: the pod's, ``default`` outside a cluster."""

    image: str | None
    """The operator's own image, with which Jobs put load on endpoints. None: unknown, and no load check is run."""

    metrics_per_object: bool
    """Whether a metric shows for each object whether it is ready."""

    log_level: str
    """DEBUG, INFO, WARNING or ERROR."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the EEP_* variables. An empty or missing one means its default. Raises SettingsError.

        Leader election is on by default in a cluster (if KUBERNETES_SERVICE_HOST is set) and off elsewhere: a process
        on a developer's machine should neither need the right to a Lease nor exit when the API server restarts.
        """
        return cls(
            cluster_id=_cluster_id(environment.get("EEP_CLUSTER_ID", "")),
            namespaces=_namespaces(environment.get("EEP_NAMESPACES", "")),
            shard=_shard(environment.get("EEP_SHARD", "")),
            poll_seconds=_number(environment, "EEP_POLL_SECONDS", 1.0, least=0.05),
            snapshot_seconds=_number(environment, "EEP_SNAPSHOT_SECONDS", 270.0, least=1.0),
            sweep=_sweep(environment.get("EEP_SWEEP") or SweepMode.ON),
            sweep_min_age_seconds=_number(environment, "EEP_SWEEP_MIN_AGE_SECONDS", 600.0, least=1.0),
            sweep_most_owners=_integer(environment, "EEP_SWEEP_MOST_OWNERS", 3, least=1, most=100_000),
            sweep_most_share=_number(environment, "EEP_SWEEP_MOST_SHARE", 0.2, least=0.01),
            expiry_most_share=_number(environment, "EEP_EXPIRY_MOST_SHARE", 0.25, least=0.01),
            aws_connections=_integer(environment, "EEP_AWS_CONNECTIONS", 32, least=1, most=1024),
            http_port=_integer(environment, "EEP_HTTP_PORT", 8080, least=0, most=65535),
            webhook_port=(
                _integer(environment, "EEP_WEBHOOK_PORT", 0, least=0, most=65535)
                if environment.get("EEP_WEBHOOK_PORT")
                else None
            ),
            http_host=environment.get("EEP_HTTP_HOST") or "127.0.0.1",
            leader_election=_switch(
                environment, "EEP_LEADER_ELECTION", default="KUBERNETES_SERVICE_HOST" in environment
            ),
            pod_ip=_address(environment.get("EEP_POD_IP", "")),
            own_namespace=_namespace(environment.get("EEP_OWN_NAMESPACE", "")),
            image=environment.get("EEP_IMAGE") or None,
            metrics_per_object=_switch(environment, "EEP_METRICS_PER_OBJECT", default=False),
            log_level=_level(environment.get("EEP_LOG_LEVEL") or "INFO"),
        )


def _cluster_id(text: str) -> str | None:
    if text and not CLUSTER_ID_PATTERN.fullmatch(text):
        raise SettingsError(f"EEP_CLUSTER_ID={text!r}: must be 1 to 8 characters of a-z and 0-9")
    return text or None


def _namespaces(text: str) -> tuple[str, ...]:
    names = tuple(sorted({name.strip() for name in text.split(",") if name.strip()}))
    for name in names:
        if not _NAMESPACE.fullmatch(name):
            raise SettingsError(f"EEP_NAMESPACES: {name!r} is not a valid name of a namespace")
    return names


def _shard(text: str) -> Shard:
    if not text:
        return WHOLE
    found = re.fullmatch("([0-9]{1,2})/([0-9]{1,2})", text)
    if not found or not int(found[1]) < int(found[2]) <= MOST_SHARDS:
        raise SettingsError(
            f"EEP_SHARD={text!r}: must be INDEX/COUNT, such as 0/4, with an index from 0 to COUNT-1"
            f" and a COUNT of at most {MOST_SHARDS}"
        )
    return Shard(int(found[1]), int(found[2]))


def _namespace(text: str) -> str | None:
    if text and not _NAMESPACE.fullmatch(text):
        raise SettingsError(f"EEP_OWN_NAMESPACE={text!r}: must be the name of a namespace")
    return text or None


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text)) if text else None
    except ValueError:
        raise SettingsError(f"EEP_POD_IP={text!r}: must be an IP address") from None


def _switch(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name, "").lower()
    if text not in {"", "on", "off"}:
        raise SettingsError(f"{name}={text!r}: must be on or off")
    return text == "on" if text else default


def _number(environment: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise SettingsError(f"{name}={text!r}: must be a number") from None
    if not least <= value < inf:
        raise SettingsError(f"{name}={text!r}: must be at least {least:g}")
    return value


def _integer(environment: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise SettingsError(f"{name}={text!r}: must be an integer between {least} and {most}")
    return int(text)


def _sweep(text: str) -> SweepMode:
    try:
        return SweepMode(text)
    except ValueError:
        raise SettingsError(f"EEP_SWEEP={text!r}: must be one of {', '.join(SweepMode)}") from None


def _level(text: str) -> str:
    level = text.upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise SettingsError(f"EEP_LOG_LEVEL={text!r}: must be DEBUG, INFO, WARNING or ERROR")
    return level
