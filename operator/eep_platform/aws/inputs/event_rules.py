"""What EventBridge takes as rules and targets.

By https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html and the API reference of
PutRule and PutTargets.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from eep_platform.aws.inputs.rules import InputRule, Parameters, Rejection

_RATE: Final = re.compile(r"rate\((?P<value>\d+) (?P<unit>minute|hour|day)(?P<plural>s?)\)", re.ASCII)
_INPUTS: Final = ("Input", "InputPath", "InputTransformer")


def _refused(message: str) -> Rejection:
    return Rejection("ValidationException", message)


def _put_rule(given: Parameters) -> Rejection | None:
    if not given.get("EventPattern") and not given.get("ScheduleExpression"):
        return _refused("Parameter(s) EventPattern or ScheduleExpression must be specified.")
    schedule = given.get("ScheduleExpression", "")
    rate = _RATE.fullmatch(schedule)
    if schedule.startswith("rate(") and (rate is None or not _is_rate(int(rate["value"]), rate["plural"])):
        return _refused("Parameter ScheduleExpression is not valid.")
    return None


def _is_rate(value: int, plural: str) -> bool:
    return value == 1 if not plural else value > 1


def _put_targets(given: Parameters) -> Rejection | None:
    return next(filter(None, map(_target, given["Targets"])), None)


def _target(target: Mapping[str, Any]) -> Rejection | None:
    if sum(member in target for member in _INPUTS) > 1:
        return _refused(f"Only one of {', '.join(_INPUTS)} must be provided for target {target['Id']}.")
    try:
        json.loads(target.get("Input", "{}"))
    except ValueError as error:
        return _refused(f"JSON syntax error in input for target {target['Id']} : {error}.")
    return None


RULES: Final[Mapping[tuple[str, str], InputRule]] = {
    ("events", "PutRule"): _put_rule,
    ("events", "PutTargets"): _put_targets,
}
