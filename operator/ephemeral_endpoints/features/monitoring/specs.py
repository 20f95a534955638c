"""The specs of log groups and alarms."""

from dataclasses import dataclass, field
from typing import Final

from ephemeral_endpoints.engine.resources import ResourceKind, Spec
from ephemeral_endpoints.engine.tags import Tags

MONITORED: Final = "Monitored"
"""The type of the condition of the stage."""

LOG_GROUP: Final = ResourceKind("LogGroup", MONITORED, remade_by_services=True)
ALARM: Final = ResourceKind("Alarm", MONITORED)

IN_ALARM: Final = "ALARM"
"""The status of an alarm that has gone off."""


@dataclass(frozen=True, slots=True)
class LogGroupSpec(Spec):
    """A log group; ``retention_days`` None means that nothing is ever deleted."""

    retention_days: int | None
    tags: Tags = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class AlarmSpec(Spec):
    """An alarm on the average of one endpoint metric over minutes."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    threshold: float
    period_seconds: int
    evaluation_periods: int
    description: str
    actions: tuple[str, ...] = ()
    """The topics that are notified when it goes off and when it ends, sorted."""

    is_low: bool = False
    """Whether it goes off at or below the threshold, and where nothing is measured, in place of above."""

    tags: Tags = field(compare=False, default=())
