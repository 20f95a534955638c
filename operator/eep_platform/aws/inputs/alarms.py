"""What PutMetricAlarm takes, by https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from eep_platform.aws.inputs.rules import InputRule, Parameters, Rejection
from eep_platform.aws.ministack import REGION

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_SHORT_PERIODS: Final = frozenset({10, 20, 30})
_PERCENT: Final = r"(\d{1,2}(\.\d{0,10})?|100)"
_EXTENDED: Final = re.compile(rf"p{_PERCENT}|iqm|(tm|tc|ts|wm){_PERCENT}|(TM|TC|TS|WM|PR)\([^()]*:[^()]*\)", re.ASCII)
_ARN: Final = re.compile(r"arn:[^:]+:(?P<service>[^:]+):(?P<region>[^:]*):[^:]*:.+")
_ACTIONS: Final = ("OKActions", "AlarmActions", "InsufficientDataActions")


def _put_metric_alarm(given: Parameters) -> Rejection | None:
    message = next(_faults(given), None)
    return Rejection("ValidationError", message) if message else None


def _faults(given: Parameters) -> Iterator[str]:
    if "MetricName" in given:
        yield from _metric_faults(given)
    elif not given.get("Metrics") and "EvaluationCriteria" not in given:
        yield "The parameters MetricName and Metrics are mutually exclusive and you must specify one."
    periods = given.get("EvaluationPeriods", 1)
    if given.get("DatapointsToAlarm", periods) > periods:
        yield "DatapointsToAlarm must be less than or equal to EvaluationPeriods"
    for arn in (arn for member in _ACTIONS for arn in given.get(member, ())):
        found = _ARN.fullmatch(arn)
        if found is None:
            yield f"Invalid arn syntax: {arn}"
        elif found["service"] == "sns" and found["region"] != REGION:
            yield f"Invalid region {found['region']} specified. Only {REGION} is supported."


def _metric_faults(given: Mapping[str, Any]) -> Iterator[str]:
    for member in ("Namespace", "Period", "EvaluationPeriods", "Threshold"):
        if member not in given:
            yield f"The parameter {member} must be specified for an alarm on a metric."
    if ("Statistic" in given) == ("ExtendedStatistic" in given):
        yield "The parameters Statistic and ExtendedStatistic are mutually exclusive and you must specify one."
    if not _EXTENDED.fullmatch(given.get("ExtendedStatistic", "p50")):
        yield f"The value {given['ExtendedStatistic']} for parameter ExtendedStatistic is not supported."
    period = given.get("Period", _MINUTE)
    if period % _MINUTE and period not in _SHORT_PERIODS:
        yield "Period must be 10, 20, 30 or a multiple of 60"
    limit, words = (_DAY, "a day") if period < _HOUR else (7 * _DAY, "seven days")
    if period * given.get("EvaluationPeriods", 1) > limit:
        yield f"Metrics cannot be checked across more than {words} (EvaluationPeriods * Period must be <= {limit})."
    names = [each.get("Name") for each in given.get("Dimensions", ())]
    if len(set(names)) < len(names):
        yield "No more than one value for the same dimension name is allowed."


RULES: Final[Mapping[tuple[str, str], InputRule]] = {("cloudwatch", "PutMetricAlarm"): _put_metric_alarm}
