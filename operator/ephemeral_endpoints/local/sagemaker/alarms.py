"""The CloudWatch alarms that guard a deployment."""

import logging
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.errors import validation_exception

_log = logging.getLogger(__name__)
_KINDS = ["MetricAlarm", "CompositeAlarm"]


async def refuse_missing(aws: Aws, names: Sequence[str]) -> None:
    """Raise `ValidationException` if CloudWatch does not know all of the alarms, or cannot be asked."""
    if not names:
        return
    try:
        known = await _states(aws, names)
    except (BotoCoreError, ClientError) as error:
        raise validation_exception(f"The alarms cannot be described: {error}") from error
    missing = [name for name in names if name not in known]
    if missing:
        raise validation_exception(f"Could not find CloudWatch alarms: {', '.join(missing)}.")


async def ringing(aws: Aws, names: Sequence[str]) -> list[str]:
    """Those of the alarms that are in ALARM state now; none where CloudWatch cannot be asked."""
    if not names:
        return []
    try:
        states = await _states(aws, names)
    except (BotoCoreError, ClientError) as error:
        _log.warning("alarms cannot be watched: %s", error)
        return []
    return [name for name in names if states.get(name) == "ALARM"]


async def _states(aws: Aws, names: Sequence[str]) -> dict[str, str]:
    answer = await aws.call("cloudwatch", "describe_alarms", AlarmNames=list(names), AlarmTypes=_KINDS)
    alarms = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
    return {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}
