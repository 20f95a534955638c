"""The condition ``Monitored``."""

from typing import Final

from ephemeral_endpoints.engine.conditions import Cause, Progress, Stage, of_resources
from ephemeral_endpoints.engine.reasons import ReasonGroup
from ephemeral_endpoints.features.monitoring.specs import ALARM, MONITORED

REASONS: Final = ReasonGroup(MONITORED)

WATCHING: Final = REASONS.normal("Watching", meaning="Log groups exist, and alarms unless they are turned off.")


def monitored(progress: Progress) -> Stage:
    """Whether log groups and alarms exist."""
    has_alarms = any(resource.key.kind is ALARM for resource in progress.desired.resources)
    done = Cause(WATCHING, "log groups and alarms exist" if has_alarms else "log groups exist; alarms are turned off")
    return Stage(of_resources(MONITORED, progress, done=done))
