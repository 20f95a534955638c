"""The CloudWatch alarms that guard a deployment."""

import logging
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import validation_exception

_log = logging.getLogger(__name__)
_KINDS = ["MetricAlarm", "CompositeAlarm"]


async def refuse_missing(aws: Aws, names: Sequence[str]) -> None:
    """Raise `ValidationException` if an alarm does not exist or CloudWatch does not answer."""
    if not names:
        return
    try:
        known = await _states(aws, names)
    except (BotoCoreError, ClientError) as error:
        raise validation_exception(f"Cannot describe the alarms: {error}") from error
    missing = [name for name in names if name not in known]
    if missing:
        raise validation_exception(f"Could not find CloudWatch alarms: {', '.join(missing)}.")


async def ringing(aws: Aws, names: Sequence[str]) -> list[str]:
    """The alarms that are in ALARM state now; none if CloudWatch does not answer."""
    if not names:
        return []
    try:
        states = await _states(aws, names)
    except (BotoCoreError, ClientError) as error:
        _log.warning("cannot describe alarms: %s", error)
        return []
    return [name for name in names if states.get(name) == "ALARM"]


async def _states(aws: Aws, names: Sequence[str]) -> dict[str, str]:
    answer = await aws.call("cloudwatch", "describe_alarms", AlarmNames=list(names), AlarmTypes=_KINDS)
    alarms = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
    return {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}
