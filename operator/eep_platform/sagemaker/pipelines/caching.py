"""Which earlier run of a step may stand in for a new one; pure.

Source: "Caching pipeline steps" and "Default cache key attributes by pipeline step type" in the SageMaker developer
guide. The key has the names of data in S3 and not its contents.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from eep_platform.sagemaker.pipelines.errors import unparsable

_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": (
        "AlgorithmSpecification",
        "CheckpointConfig",
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "Environment",
        "HyperParameters",
        "InputDataConfig",
    ),
}
CACHED_TYPES: Final = frozenset(_ATTRIBUTES)
"""The types of steps that can be cached."""

_DURATION: Final = re.compile(
    r"P?(?:(?P<years>\d+)y)?(?:(?P<months>\d+)m)?(?:(?P<weeks>\d+)w)?(?:(?P<days>\d+)d)?"
    r"(?:t(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?)?",
    re.IGNORECASE,
)
_DAYS: Final = {"years": 365, "months": 30, "weeks": 7, "days": 1}


@dataclass(frozen=True, slots=True)
class CachedRun:
    """A successful run of a step: the execution that ran it, and what it left."""

    execution_arn: str
    ended: datetime
    metadata: Mapping[str, Any]
    result: Any


class Cache:
    """The successful runs of one pipeline's steps, the latest of each key."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], CachedRun] = {}

    def keep(self, step: str, key: str, run: CachedRun) -> None:
        """Remember a run."""
        self._runs[step, key] = run

    def find(self, step: str, key: str, not_before: datetime) -> CachedRun | None:
        """The latest run of the key that ended at a time or after it."""
        run = self._runs.get((step, key))
        return run if run is not None and run.ended >= not_before else None


def cache_key(step_type: str, arguments: Mapping[str, Any]) -> str:
    """What decides whether a run with these arguments, all resolved, was the same."""
    relevant = {name: arguments[name] for name in _ATTRIBUTES[step_type] if name in arguments}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def expiry(config: object, step_type: str) -> timedelta | None:
    """How old a run may be by a step's `CacheConfig`; None if it is off. Raises the service's error."""
    if config is None:
        return None
    if step_type not in CACHED_TYPES:
        raise unparsable(f"A step of type {step_type} cannot be cached.")
    if not isinstance(config, Mapping) or not set(config) <= {"Enabled", "ExpireAfter"}:
        raise unparsable("CacheConfig has Enabled and ExpireAfter.")
    if not isinstance(config.get("Enabled"), bool):
        raise unparsable("Enabled of CacheConfig must be true or false.")
    if not config["Enabled"]:
        return None
    return _duration(config.get("ExpireAfter"))


def _duration(text: object) -> timedelta:
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    units = {name: int(number) for name, number in found.groupdict().items() if number} if found else {}
    if not units:
        raise unparsable(f"ExpireAfter '{text}' is not a duration in ISO 8601, such as P30D.")
    days = sum(units.get(name, 0) * length for name, length in _DAYS.items())
    return timedelta(days=days, hours=units.get("hours", 0), minutes=units.get("minutes", 0))
