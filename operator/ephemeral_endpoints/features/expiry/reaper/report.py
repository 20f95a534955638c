"""What a run of the reaper did, for people, for alarms and for the next run."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

NAMESPACE_OF_METRICS: Final = "EphemeralEndpoints/Reaper"
RUNS: Final = "Runs"
"""Counts the runs that read everything: its absence tells that nothing is watched."""

FAILURES: Final = "Failures"
"""Counts the kinds of resources that a run could not read or delete."""

HELD: Final = "Held"
"""Counts the objects that are due and held by the breaker."""

_MOST_NAMED: Final = 50
_TEXT: Final = 300


@dataclass(slots=True)
class Report:
    """What was deleted, what was left and why, and what failed, by kind."""

    cluster_id: str
    class_name: str
    now: str = ""
    deleted: list[dict[str, str]] = field(default_factory=list)
    left: list[dict[str, str]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    held: int = 0
    waiting: int = 0
    calls: int = 0
    is_complete: bool = False

    def failed(self, kind: str, error: Exception) -> None:
        """Record the first failure of a kind."""
        self.failures.setdefault(kind, f"{type(error).__name__}: {error}"[:_TEXT])

    def leave(self, kind: str, name: str, why: str) -> None:
        """Record a resource that stays."""
        self.left.append({"kind": kind, "name": name, "why": why})

    @property
    def tells_something(self) -> bool:
        """Whether a person should read it."""
        return bool(self.deleted or self.failures or self.held)

    def json(self) -> str:
        """One line of a log. Long lists are cut, and counted."""
        return json.dumps(
            {
                "message": "reaper",
                "cluster": self.cluster_id,
                "class": self.class_name,
                "time": self.now,
                "complete": self.is_complete,
                "deleted_by_kind": Counter(each["kind"] for each in self.deleted),
                "deleted": self.deleted[:_MOST_NAMED],
                "left_count": len(self.left),
                "left": self.left[:_MOST_NAMED],
                "held": self.held,
                "waiting": self.waiting,
                "failures": self.failures,
                "calls": self.calls,
            }
        )

    def metrics(self) -> list[dict[str, Any]]:
        """The figures as CloudWatch takes them."""
        counts: Mapping[str, int] = {
            RUNS: int(self.is_complete),
            FAILURES: len(self.failures),
            HELD: self.held,
            "Deleted": len(self.deleted),
        }
        dimensions = [{"Name": "Cluster", "Value": self.cluster_id}, {"Name": "Class", "Value": self.class_name}]
        return [
            {"MetricName": name, "Dimensions": dimensions, "Value": count, "Unit": "Count"}
            for name, count in counts.items()
        ]
