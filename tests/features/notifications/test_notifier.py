"""What is told of objects, to whom, and once; and what their class says about it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from tests.cli.conditions import condition
from tests.engine.objects import CLASS, ENDPOINT, merged

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.notifications import NotificationTarget
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.features.expiry.stage import EXPIRED, EXPIRES_SOON
from ephemeral_endpoints.features.notifications.messages import Notification
from ephemeral_endpoints.features.notifications.notifier import REMEMBERED, Notifier
from ephemeral_endpoints.features.notifications.reasons import TargetError, TargetMisconfigured, TargetUnavailable
from ephemeral_endpoints.features.notifications.targets import Targets
from ephemeral_endpoints.features.routing.stage import SERVING
from ephemeral_endpoints.kube.cache import ObjectKey, Store, class_key, endpoint_key

TOPIC = "arn:aws:sns:us-east-1:123456789012:ephemeral-endpoints-previews"
READY = ConditionUpdate.of("Ready", ConditionStatus.TRUE, Cause(SERVING, "it serves"))
FAILED = ConditionUpdate.of("Ready", ConditionStatus.FALSE, Cause(Denied.reason, "denied"))
EXPIRING = ConditionUpdate.of("Expiring", ConditionStatus.TRUE, Cause(EXPIRES_SOON, "it ends soon"))
KEY = endpoint_key("nlp", "pr-42")


@dataclass
class Sent:
    """Targets that take everything, or fail as the test says."""

    got: list[tuple[str, str]] = field(default_factory=list)
    errors: dict[str, TargetError] = field(default_factory=dict)
    checks: dict[str, TargetError] = field(default_factory=dict)

    async def send(self, _: EphemeralEndpointClass, target: NotificationTarget, told: Notification) -> None:
        if error := self.errors.get(target.name):
            raise error
        self.got.append((target.name, told.title))

    async def check(self, target: NotificationTarget) -> None:
        if error := self.checks.get(target.name):
            raise error

    async def close(self) -> None:
        pass


@dataclass
class Desk:
    sent: Sent = field(default_factory=Sent)
    store: Store = field(default_factory=Store)
    enqueued: list[ObjectKey] = field(default_factory=list)
    counted: list[tuple[str, str, str]] = field(default_factory=list)
    version: int = 100

    def __post_init__(self) -> None:
        self.notifier = Notifier(
            cast("Targets", self.sent),
            self.store,
            enqueue=self.enqueued.append,
            count=lambda *each: self.counted.append(each),
            sleep=lambda _: asyncio.sleep(0),
        )
        self.notify({"name": "ml-team", "topic": {"arn": TOPIC}})

    def notify(self, *targets: dict[str, Any], **status: Any) -> EphemeralEndpointClass:  # noqa: ANN401 - of a class
        self.version += 1
        notifications = {"targets": list(targets)} if targets else None
        metadata = {"resourceVersion": str(self.version), "generation": self.version}
        self.store.put(
            merged(CLASS, {"metadata": metadata, "spec": {"notifications": notifications}, "status": status})
        )
        found = self.store.named_class("default")
        assert found
        return found

    def endpoint(self, **changes: Any) -> EphemeralEndpoint:  # noqa: ANN401 - members of an object
        return EphemeralEndpoint.model_validate(merged(ENDPOINT, merged({"spec": {"className": "default"}}, changes)))

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def condition(self, endpoint_class: EphemeralEndpointClass) -> ConditionUpdate | None:
        """The condition once the targets were looked at."""
        self.notifier.condition(endpoint_class)
        await self.settle()
        return self.notifier.condition(endpoint_class)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.notifier.stop()


async def test_each_target_is_told_of_the_events_that_it_asks_for(desk: Desk) -> None:
    desk.notify(
        {"name": "all", "topic": {"arn": TOPIC}},
        {"name": "bad-news", "topic": {"arn": TOPIC}, "events": ["Failed", "ChecksFailed"]},
    )
    endpoint = desk.endpoint()
    desk.notifier.reported(KEY, endpoint, [READY])
    desk.notifier.reported(KEY, endpoint, [FAILED])
    desk.notifier.gone(KEY, endpoint)
    await desk.settle()
    assert sorted(desk.sent.got) == [
        ("all", "nlp/pr-42 has failed"),
        ("all", "nlp/pr-42 is gone"),
        ("all", "nlp/pr-42 is ready"),
        ("bad-news", "nlp/pr-42 has failed"),
    ]
    assert ("default", "all", "delivered") in desk.counted


async def test_the_end_of_an_object_that_stays_is_told_when_nothing_is_left_in_aws(desk: Desk) -> None:
    ready = condition("Ready", "False", EXPIRED.name, "the time to live is over; the object stays")
    ended = ConditionUpdate.of("Reconciling", ConditionStatus.FALSE, Cause(EXPIRED, "the time to live is over"))
    left = [{"kind": "Endpoint", "name": "eep-c1"}]
    desk.notifier.reported(KEY, desk.endpoint(status={"conditions": [ready], "resources": left}), [ended])
    await desk.settle()
    assert desk.sent.got == []
    tombstone = desk.endpoint(status={"conditions": [ready]})
    desk.notifier.reported(KEY, tombstone, [ended])
    await desk.settle()
    assert desk.sent.got == [("ml-team", "nlp/pr-42 is gone")]
    fresh = Desk()
    fresh.notifier.gone(KEY, tombstone)
    await fresh.settle()
    assert fresh.sent.got == [], "another operator does not tell it again when the tool removes the object"
    await fresh.notifier.stop()


async def test_nobody_is_told_where_the_class_says_nothing(desk: Desk) -> None:
    desk.notify()
    desk.notifier.reported(KEY, desk.endpoint(), [READY])
    desk.notifier.gone(KEY, desk.endpoint(spec={"className": "of-nobody"}))
    await desk.settle()
    assert desk.sent.got == []


async def test_the_same_event_of_a_revision_is_told_once(desk: Desk) -> None:
    for _ in range(3):
        desk.notifier.reported(KEY, desk.endpoint(), [READY])
    desk.notifier.reported(KEY, desk.endpoint(spec={"source": {"revision": "2f0c2a9"}}), [READY])
    desk.notifier.reported(KEY, desk.endpoint(metadata={"uid": "another"}), [READY])
    await desk.settle()
    assert len(desk.sent.got) == 3


async def test_an_end_that_was_put_off_is_told_again(desk: Desk) -> None:
    for end in ("2026-11-04T12:00:00Z", "2026-11-04T12:00:00Z", "2026-11-05T12:00:00Z"):
        desk.notifier.reported(KEY, desk.endpoint(status={"expiresAt": end}), [EXPIRING])
    await desk.settle()
    assert len(desk.sent.got) == 2


async def test_what_was_told_is_not_remembered_for_ever(desk: Desk) -> None:
    desk.notify()
    first = desk.endpoint(metadata={"uid": "first"})
    desk.notify({"name": "ml-team", "topic": {"arn": TOPIC}, "events": ["Gone"]})
    desk.notifier.reported(KEY, first, [READY])
    for number in range(REMEMBERED):
        desk.notifier.reported(KEY, desk.endpoint(metadata={"uid": str(number)}), [READY])
    assert len(desk.notifier._told) == REMEMBERED  # noqa: SLF001 - a bound of memory has no other face


async def test_a_target_that_is_gone_by_then_gets_nothing(desk: Desk) -> None:
    desk.notifier.reported(KEY, desk.endpoint(), [READY])
    desk.notify({"name": "other", "topic": {"arn": TOPIC}})
    await desk.settle()
    assert desk.sent.got == []


async def test_a_class_says_at_once_that_a_target_cannot_be_used(desk: Desk) -> None:
    desk.sent.checks["slack"] = TargetMisconfigured("there is no key url of the Secret slack")
    changed = desk.notify({"name": "slack", "webhook": {"secretName": "slack"}})
    assert desk.notifier.condition(changed) is None, "nothing is known yet"
    found = await desk.condition(changed)
    assert desk.enqueued[-1] == class_key("default")
    assert found is not None
    assert (found.status, found.reason.name) == (ConditionStatus.FALSE, "TargetMisconfigured")
    assert found.message == "target slack: there is no key url of the Secret slack"


async def test_a_class_says_that_a_notification_was_not_delivered_until_one_is(desk: Desk) -> None:
    endpoint_class = desk.notify(
        {"name": "ml-team", "topic": {"arn": TOPIC}}, {"name": "fine", "topic": {"arn": TOPIC}}
    )
    fine = await desk.condition(endpoint_class)
    assert fine is not None
    assert fine.status is ConditionStatus.TRUE
    desk.enqueued.clear()
    desk.sent.errors["ml-team"] = TargetUnavailable("SNS does not answer")
    desk.notifier.reported(KEY, desk.endpoint(), [READY])
    await desk.settle()
    broken = desk.notifier.condition(endpoint_class)
    assert broken is not None
    assert (broken.status, broken.reason.name) == (ConditionStatus.FALSE, "TargetUnavailable")
    assert broken.message == "target ml-team: SNS does not answer"
    assert desk.enqueued == [class_key("default")]
    desk.sent.errors.clear()
    desk.notifier.gone(KEY, desk.endpoint())
    await desk.settle()
    assert desk.notifier.condition(endpoint_class) == fine
    assert desk.enqueued == [class_key("default")] * 2


async def test_until_the_targets_were_looked_at_the_condition_stays_as_it_was(desk: Desk) -> None:
    written = {
        "type": "NotificationsDelivered",
        "status": "False",
        "reason": "TargetUnavailable",
        "message": "target ml-team: SNS does not answer",
        "lastTransitionTime": "2026-11-01T12:00:00Z",
    }
    endpoint_class = desk.notify({"name": "ml-team", "topic": {"arn": TOPIC}}, conditions=[written])
    found = desk.notifier.condition(endpoint_class)
    assert found is not None
    assert (found.status, found.message) == (ConditionStatus.FALSE, written["message"])


async def test_a_class_without_notifications_has_no_such_condition(desk: Desk) -> None:
    assert await desk.condition(desk.notify()) is None
