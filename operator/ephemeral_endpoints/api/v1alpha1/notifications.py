"""Notifications of a class: which events are told to whom."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.types import DnsLabel, DnsSubdomain, Duration, TopicArn, between

# https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data
SecretKeyName = Annotated[
    str,
    Field(max_length=253),
    matches("[A-Za-z0-9._-]+", "must be a key of a Secret: letters, digits, '-', '_' and '.'"),
]


class NotificationEvent(StrEnum):
    """What happens to an object or a stage that people may want to know."""

    READY = "Ready"
    FAILED = "Failed"
    CHECKS_FAILED = "ChecksFailed"
    EXPIRING = "Expiring"
    BUDGET = "Budget"
    GONE = "Gone"
    AWAITING_APPROVAL = "AwaitingApproval"
    FROZEN = "Frozen"
    PROMOTING = "Promoting"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    PROMOTION_FAILED = "PromotionFailed"


class WebhookTarget(ApiModel):
    """An incoming webhook of Slack, or of something that takes the same messages, such as Mattermost."""

    secret_name: DnsSubdomain
    """Name of a Secret in the operator's namespace with the URL: https://, and no link-local address. Whoever knows the
    URL can post there."""

    key: SecretKeyName = "url"
    """Key of the Secret. Default url."""


class TopicTarget(ApiModel):
    """An SNS topic."""

    arn: TopicArn
    """ARN of the topic, in the class's region. The operator's role needs sns:Publish on it."""


class NotificationTarget(ApiModel):
    """Who is notified, and of what."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.webhook) != has(self.topic)",
            message="a target is either a webhook or a topic",
            holds=lambda target: (target.webhook is None) != (target.topic is None),
        ),
    )

    name: DnsLabel
    """Name of the target in messages and metrics, such as ml-team."""

    webhook: WebhookTarget | None = None
    """An incoming webhook of Slack, or of something that takes the same messages."""

    topic: TopicTarget | None = None
    """An SNS topic."""

    events: Annotated[tuple[NotificationEvent, ...], Field(min_length=1, max_length=len(NotificationEvent))] = tuple(
        NotificationEvent
    )
    """What the target is notified of, at least one; from AwaitingApproval on these are events of stages. Default
    ['Ready', 'Failed', 'ChecksFailed', 'Expiring', 'Budget', 'Gone', 'AwaitingApproval', 'Frozen', 'Promoting',
    'Promoted', 'RolledBack', 'PromotionFailed']."""


class NotificationPolicy(ApiModel):
    """Who is notified of what happens to the class's objects."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.targets.all(one, self.targets.exists_one(other, other.name == one.name))",
            message="the names of targets must differ",
            holds=lambda policy: len({each.name for each in policy.targets}) == len(policy.targets),
        ),
    )

    targets: Annotated[tuple[NotificationTarget, ...], Field(min_length=1, max_length=5)]
    """Who is notified, 1 to 5."""

    expiring_before: Annotated[
        Duration,
        between(timedelta(minutes=5), timedelta(days=30), "must be between 5m and 30d"),
    ] = timedelta(hours=1)
    """How long before the end of an object it is expiring, 5m to 30d. Default 1h."""

    @property
    def events(self) -> frozenset[NotificationEvent]:
        """What any target is notified of."""
        return frozenset(event for target in self.targets for event in target.events)
