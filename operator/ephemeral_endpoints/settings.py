"""Settings of the operator: the environment, read once, checked, and frozen."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Self

from ephemeral_endpoints.core.names import CLUSTER_ID_PATTERN

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class SettingsError(ValueError):
    """A variable has a value that cannot be used; the message names it and says what is expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set, in seconds where it is a time."""

    cluster_id: str | None
    """Part of every name in AWS. None: derived from the UID of the kube-system namespace."""

    namespaces: tuple[str, ...]
    """The namespaces to watch; empty: all."""

    poll_seconds: float
    """Between two lists of endpoints while any of them is changing."""

    snapshot_seconds: float
    """Between two full snapshots of AWS, which is how soon drift is noticed."""

    aws_connections: int
    """How many AWS calls may be under way at once."""

    http_port: int
    """For /healthz, /readyz and /metrics; 0 chooses a free one."""

    http_host: str
    """The address that the port is opened on."""

    log_level: str
    """DEBUG, INFO, WARNING or ERROR."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read EEP_* variables; every one has a default, which an empty one means too. Raises SettingsError."""
        return cls(
            cluster_id=_cluster_id(environment.get("EEP_CLUSTER_ID", "")),
            namespaces=_namespaces(environment.get("EEP_NAMESPACES", "")),
            poll_seconds=_number(environment, "EEP_POLL_SECONDS", 1.0, least=0.05),
            snapshot_seconds=_number(environment, "EEP_SNAPSHOT_SECONDS", 270.0, least=1.0),
            aws_connections=_integer(environment, "EEP_AWS_CONNECTIONS", 32, least=1, most=1024),
            http_port=_integer(environment, "EEP_HTTP_PORT", 8080, least=0, most=65535),
            http_host=environment.get("EEP_HTTP_HOST") or "127.0.0.1",
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


def _level(text: str) -> str:
    level = text.upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise SettingsError(f"EEP_LOG_LEVEL={text!r}: DEBUG, INFO, WARNING or ERROR is expected")
    return level
