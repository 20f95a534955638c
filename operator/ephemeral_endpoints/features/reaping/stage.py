"""Whether the reaper of a class runs."""

from ephemeral_endpoints.api.v1alpha1.reaper import ReaperPolicy
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.resources import Key, ObservedResources, Phase
from ephemeral_endpoints.features.monitoring.specs import IN_ALARM
from ephemeral_endpoints.features.reaping.alarms import ERRORS, FAILS, HOLDS, MINUTES, SILENT, ReaperAlarm
from ephemeral_endpoints.features.reaping.desired import alarm_key
from ephemeral_endpoints.features.reaping.reasons import (
    REAPER_ACTIVE,
    REAPER_CHANGING,
    REAPER_FAILED,
    REAPER_FAILING,
    REAPER_HOLDING,
    REAPER_RUNNING,
    REAPER_SILENT,
)
from ephemeral_endpoints.features.reaping.specs import EVENT_RULE, EventRuleSpec


def reaping(
    policy: ReaperPolicy | None, function: Key, observed: ObservedResources, error: ReconcileError | None
) -> ConditionUpdate | None:
    """Whether the reaper with that function runs; None if the class asks for none.

    ``error`` is why a part of it could not be made, changed or removed.
    """
    if policy is None and error is None:
        return None
    problem = _failure(error) or _of_parts(function, observed) or _of_alarms(function, observed)
    if problem:
        return ConditionUpdate.of(REAPER_ACTIVE, ConditionStatus.FALSE, problem)
    message = f"the function {function.name} deletes what expired every {MINUTES} minutes, also without the operator"
    return ConditionUpdate.of(REAPER_ACTIVE, ConditionStatus.TRUE, Cause(REAPER_RUNNING, message))


def _failure(error: ReconcileError | None) -> Cause | None:
    if error is None:
        return None
    message = f"{error.described}; the operator tries again, and deletes what expires as long as it runs"
    return Cause(REAPER_FAILED, message)


def _of_parts(function: Key, observed: ObservedResources) -> Cause | None:
    found, rule = observed.get(function), observed.get(Key(EVENT_RULE, function.name))
    runs = rule and isinstance(rule.spec, EventRuleSpec) and rule.spec.function and rule.spec.is_permitted
    if runs and found and found.phase is Phase.READY:
        return None
    message = "the operator is creating or changing the reaper of the class; nothing needs to be done"
    return Cause(REAPER_CHANGING, message)


def _of_alarms(function: Key, observed: ObservedResources) -> Cause | None:
    def is_off(*alarms: ReaperAlarm) -> bool:
        found = (observed.get(alarm_key(function, each)) for each in alarms)
        return any(each and each.status == IN_ALARM for each in found)

    if is_off(SILENT):
        message = (
            f"no run of the function {function.name} has ended well for two hours, or yet: a new one runs within "
            f"{MINUTES} minutes, otherwise a platform engineer must read its log group"
        )
        return Cause(REAPER_SILENT, message)
    if is_off(FAILS, ERRORS):
        message = (
            f"runs of the function {function.name} cannot read or delete everything: a platform engineer must read the "
            "last report in its log group, which names the kinds and the errors"
        )
        return Cause(REAPER_FAILING, message)
    if is_off(HOLDS):
        message = (
            "more objects are due at once than spec.reaper.maxSharePercent, and the reaper holds them for another "
            "grace: a platform engineer must see why the operator has not deleted them"
        )
        return Cause(REAPER_HOLDING, message)
    return None
