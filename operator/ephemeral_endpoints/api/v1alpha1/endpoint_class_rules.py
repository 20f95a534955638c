"""What must hold among the fields of a class's spec."""

import re
from collections.abc import Callable
from typing import Any, Final

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.lifecycle import TtlFrom
from ephemeral_endpoints.api.v1alpha1.prices import PriceSource
from ephemeral_endpoints.api.v1alpha1.sleep import WakeOn

_ACCOUNT: Final = "::[0-9]{12}:"
_PRICED_PARTITION: Final = "arn:aws:"
_ROLES: Final = ("executionRoleArn", "forwarderRoleArn", "invokeRoleArn")
_SERVICES: Final = "AWS services cannot assume roles of other accounts"


def account_of(arn: str) -> str:
    """The account in the ARN of a role; empty for another text."""
    found = re.search(_ACCOUNT, arn)
    return found[0].strip(":") if found else ""


def _role_of_the_account(
    path: str, *may_be_absent: str, role: Callable[[Any], str | None], why: str = _SERVICES
) -> Rule:
    """The role at a path below spec is of the account of the other roles."""
    same = f"self.{path}.find('{_ACCOUNT}') == self.{_ROLES[0]}.find('{_ACCOUNT}')"
    return Rule(
        cel=" || ".join((*(f"!has(self.{each})" for each in may_be_absent), same)),
        message=f"{path} must be a role of the same account as the other roles: {why}",
        holds=lambda spec: (arn := role(spec)) is None or account_of(arn) == spec.account,
    )


def _topic_of_the_region(path: str, *may_be_absent: str, topic: Callable[[Any], str | None], why: str = "") -> Rule:
    """The SNS topic at a path below spec is in the region."""
    same = f"self.{path}.contains(':sns:' + self.region + ':')"
    return Rule(
        cel=" || ".join((*(f"!has(self.{each})" for each in may_be_absent), same)),
        message=f"{path} must be an SNS topic in the class's region{why}",
        holds=lambda spec: (arn := topic(spec)) is None or f":sns:{spec.region}:" in arn,
    )


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        cel=" && ".join(
            f"self.{role}.find('{_ACCOUNT}') == self.{_ROLES[0]}.find('{_ACCOUNT}')" for role in _ROLES[1:]
        ),
        message=f"{', '.join(_ROLES)} must be roles of the same account: {_SERVICES}",
        holds=lambda spec: spec.account == account_of(spec.forwarder_role_arn) == account_of(spec.invoke_role_arn),
    ),
    _role_of_the_account(
        "assumeRole.roleArn",
        "assumeRole",
        role=lambda spec: spec.assume_role and spec.assume_role.role_arn,
        why=f"the operator creates everything there, and {_SERVICES}",
    ),
    Rule(
        cel="!has(self.allowedExecutionRoleArns) || self.allowedExecutionRoleArns.all(role,"
        f" role.find('{_ACCOUNT}') == self.{_ROLES[0]}.find('{_ACCOUNT}'))",
        message=f"allowedExecutionRoleArns must be roles of the same account as the other roles: {_SERVICES}",
        holds=lambda spec: all(account_of(role) == spec.account for role in spec.allowed_execution_role_arns),
    ),
    _role_of_the_account(
        "capture.deliveryRoleArn",
        "capture",
        "capture.deliveryRoleArn",
        role=lambda spec: spec.capture and spec.capture.delivery_role_arn,
    ),
    Rule(
        cel="!has(self.training) || has(self.packages)",
        message="training needs packages, whose groups trained models are registered in",
        holds=lambda spec: spec.training is None or spec.packages is not None,
    ),
    _role_of_the_account(
        "training.executionRoleArn", "training", role=lambda spec: spec.training and spec.training.execution_role_arn
    ),
    _role_of_the_account("reaper.roleArn", "reaper", role=lambda spec: spec.reaper and spec.reaper.role_arn),
    _topic_of_the_region(
        "reaper.topicArn",
        "reaper",
        "reaper.topicArn",
        topic=lambda spec: spec.reaper and spec.reaper.topic_arn,
        why=": CloudWatch notifies no others",
    ),
    Rule(
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        cel="!has(self.alarms) || !has(self.alarms.actions)"
        " || self.alarms.actions.all(topic, topic.contains(':sns:' + self.region + ':'))",
        message="alarms.actions must be SNS topics in the class's region: CloudWatch notifies no others",
        holds=lambda spec: all(f":sns:{spec.region}:" in topic for topic in spec.alarms.actions),
    ),
    Rule(
        cel="!has(self.notifications) || self.notifications.targets.all(each,"
        " !has(each.topic) || each.topic.arn.contains(':sns:' + self.region + ':'))",
        message="notifications.targets[].topic.arn must be an SNS topic in the class's region",
        holds=lambda spec: all(
            each.topic is None or f":sns:{spec.region}:" in each.topic.arn
            for each in (spec.notifications.targets if spec.notifications else ())
        ),
    ),
    _topic_of_the_region(
        "results.topicArn", "results", "results.topicArn", topic=lambda spec: spec.results and spec.results.topic_arn
    ),
    Rule(
        cel="!has(self.lifecycle) || !has(self.lifecycle.ttlFrom) || self.lifecycle.ttlFrom != 'LastUse'"
        " || has(self.events)",
        message="lifecycle.ttlFrom can be LastUse only with events: forwarders tell of use through its queue",
        holds=lambda spec: spec.lifecycle.ttl_from is not TtlFrom.LAST_USE or spec.events is not None,
    ),
    Rule(
        cel="!has(self.sleep) || self.sleep.wakeOn == 'Command' || has(self.events)",
        message="sleep.wakeOn Request needs events: requests wake endpoints through its queue; set sleep.wakeOn to "
        "Command, or set events",
        holds=lambda spec: spec.sleep is None or spec.sleep.wake_on is WakeOn.COMMAND or spec.events is not None,
    ),
    Rule(
        cel="!has(self.sleep) || !has(self.sleep.idleTimeout) || has(self.events)",
        message="sleep.idleTimeout needs events: through its queue the operator learns of use",
        holds=lambda spec: spec.sleep is None or spec.sleep.idle_timeout is None or spec.events is not None,
    ),
    Rule(
        # Other partitions have price lists of their own, or none:
        # https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
        cel="!has(self.priceSource) || self.priceSource != 'PriceList'"
        f" || self.{_ROLES[0]}.startsWith('{_PRICED_PARTITION}')",
        message="priceSource can be PriceList only in the partition aws: the Price List has no prices in USD of "
        "regions in China, GovCloud and other partitions; set prices instead",
        holds=lambda spec: (
            spec.price_source is not PriceSource.PRICE_LIST or spec.execution_role_arn.startswith(_PRICED_PARTITION)
        ),
    ),
    Rule(
        cel="self.region == oldSelf.region"
        f" && self.{_ROLES[0]}.find('{_ACCOUNT}') == oldSelf.{_ROLES[0]}.find('{_ACCOUNT}')",
        message="the region and the account of the roles cannot change, because endpoints of the class run there: "
        "create another class",
    ),
)
