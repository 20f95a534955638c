"""The operations of EventBridge."""

from typing import Final

from eep_platform.aws.guard.rules import Operations, at, creating, fixed, named, named_by, tagging

_RULE: Final = at("events", "rule/", "Name")
_RULE_OF_TARGETS: Final = at("events", "rule/", "Rule")
RULES: Final[Operations] = {
    **named("events", fixed("events", "rule/*"), "ListRules"),
    **named("events", _RULE, "DeleteRule", "DescribeRule"),
    **named("events", _RULE_OF_TARGETS, "ListTargetsByRule", "RemoveTargets"),
    **named(
        "events",
        _RULE_OF_TARGETS,
        "PutTargets",
        keys=lambda parameters: {"events:TargetArn": [each["Arn"] for each in parameters.get("Targets", ())]},
    ),
    **named("events", named_by("ResourceARN"), "ListTagsForResource", "TagResource", keys=tagging),
    **creating("events", "PutRule", _RULE),
}
