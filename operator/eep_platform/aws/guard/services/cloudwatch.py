"""The operations of CloudWatch."""

from typing import Final

from eep_platform.aws.guard.rules import (
    Operations,
    Rule,
    any_resource,
    at,
    creating,
    fixed,
    named,
    named_by,
    tagging,
)

_ALARM: Final = at("cloudwatch", "alarm:", "AlarmName")
RULES: Final[Operations] = {
    **named("cloudwatch", fixed("cloudwatch", "alarm:*"), "DescribeAlarms"),
    ("cloudwatch", "PutMetricData"): (
        Rule(
            "cloudwatch:PutMetricData",
            any_resource,
            lambda parameters: {"cloudwatch:namespace": str(parameters.get("Namespace", ""))},
        ),
    ),
    **named("cloudwatch", at("cloudwatch", "alarm:", "AlarmNames"), "DeleteAlarms"),
    **named("cloudwatch", named_by("ResourceARN"), "ListTagsForResource", "TagResource", keys=tagging),
    **creating("cloudwatch", "PutMetricAlarm", _ALARM),
}
