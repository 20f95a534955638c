"""The queue of one target: in order, paced, tried again, bounded; on a clock that only its pauses move."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent
from ephemeral_endpoints.features.notifications.messages import Notification
from ephemeral_endpoints.features.notifications.outbox import (
    ATTEMPTS,
    MOST_WAITING,
    PACE_SECONDS,
    QUIET_ATTEMPTS,
    DeliveryOutcome,
    Outbox,
)
from ephemeral_endpoints.features.notifications.reasons import TargetError, TargetMisconfigured, TargetUnavailable

READY, FAILED = NotificationEvent.READY, NotificationEvent.FAILED
AWAY = TargetUnavailable("does not answer")


@dataclass
class Target:
    """Takes notifications, or fails as the test says."""

    errors: Iterator[TargetError | None] = field(default_factory=lambda: iter(()))
    got: list[str] = field(default_factory=list)
    ended: list[tuple[DeliveryOutcome, TargetError | None]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    async def send(self, notification: Notification) -> None:
        if error := next(self.errors, None):
            raise error
        self.got.append(notification.title)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def outbox(self) -> Outbox:
        return Outbox(self.send, lambda outcome, error: self.ended.append((outcome, error)), self.sleep)

    async def settle(self) -> None:
        """Let everything that can go on do so."""
        for _ in range(20 * MOST_WAITING):
            await asyncio.sleep(0)


async def test_notifications_are_sent_in_their_order_at_a_pace() -> None:
    target = Target()
    outbox = target.outbox()
    for name in ("a", "b", "c"):
        outbox.put(READY, Notification(name))
    assert target.got == [], "whoever tells it does not wait"
    await target.settle()
    assert target.got == ["a", "b", "c"]
    assert target.slept == [PACE_SECONDS] * 3
    outbox.put(READY, Notification("d"))
    await target.settle()
    assert target.got[-1] == "d", "it begins again"


async def test_a_target_that_is_away_is_tried_again_at_growing_intervals() -> None:
    target = Target(iter([AWAY, AWAY, None]))
    target.outbox().put(READY, Notification("a"))
    await target.settle()
    assert target.got == ["a"]
    assert target.slept == [2.0, 4.0, PACE_SECONDS]
    assert target.ended == [(DeliveryOutcome.DELIVERED, None)]


async def test_a_target_that_says_when_to_come_again_is_obeyed() -> None:
    target = Target(iter([TargetUnavailable("429", 30.0)]))
    target.outbox().put(READY, Notification("a"))
    await target.settle()
    assert target.slept[0] == 30.0


@pytest.mark.parametrize(
    ("error", "attempts"), [(AWAY, ATTEMPTS), (TargetMisconfigured("no such webhook"), 1)], ids=["away", "refused"]
)
async def test_a_notification_that_cannot_be_delivered_is_given_up_and_the_next_one_is_not(
    error: TargetError, attempts: int
) -> None:
    target = Target(iter([error] * attempts))
    outbox = target.outbox()
    for name in ("a", "b"):
        outbox.put(READY, Notification(name))
    await target.settle()
    assert target.got == ["b"]
    assert target.ended[-2:] == [(DeliveryOutcome.FAILED, error), (DeliveryOutcome.DELIVERED, None)]


async def test_too_many_at_once_are_counted_and_summed_up_at_the_end() -> None:
    target = Target()
    outbox = target.outbox()
    for number in range(MOST_WAITING + 7):
        outbox.put(FAILED if number % 2 else READY, Notification(f"{number}"))
    await target.settle()
    assert target.got[:MOST_WAITING] == [f"{number}" for number in range(MOST_WAITING)]
    assert target.got[MOST_WAITING:] == ["7 more notifications were not sent: 3 Failed, 4 Ready"]
    outcomes = Counter(outcome for outcome, _ in target.ended)
    assert outcomes == {DeliveryOutcome.DELIVERED: MOST_WAITING + 1, DeliveryOutcome.DROPPED: 7}


async def test_a_target_that_stays_away_counts_as_failing_while_it_is_tried_for_an_hour() -> None:
    target = Target(iter([AWAY] * (ATTEMPTS - 1)))
    target.outbox().put(READY, Notification("a"))
    await target.settle()
    assert target.got == ["a"]
    assert 3000 < sum(target.slept) < 4000
    retried = [(DeliveryOutcome.RETRIED, AWAY)] * (ATTEMPTS - QUIET_ATTEMPTS)
    assert target.ended == [*retried, (DeliveryOutcome.DELIVERED, None)]


async def test_what_waits_is_tried_once_more_at_the_end() -> None:
    target = Target(iter([AWAY]))
    outbox = target.outbox()
    outbox.put(READY, Notification("a"))
    outbox.put(READY, Notification("b"))
    await asyncio.sleep(0)
    assert target.got == []
    await outbox.stop()
    assert target.got == ["a", "b"]


async def test_a_target_that_is_away_at_the_end_does_not_delay_it() -> None:
    target = Target(iter([AWAY] * 100))
    outbox = target.outbox()
    outbox.put(READY, Notification("a"))
    await asyncio.sleep(0)
    await outbox.stop()
    assert target.got == []


async def test_what_is_sent_again_has_the_same_id_and_others_have_another() -> None:
    sent: list[str] = []
    errors: Iterator[TargetError | None] = iter([AWAY, None])

    async def send(notification: Notification) -> None:
        sent.append(notification.id)
        if error := next(errors, None):
            raise error

    target = Target()
    outbox = Outbox(send, lambda *_: None, target.sleep)
    outbox.put(READY, Notification("a"))
    outbox.put(READY, Notification("a"))
    await target.settle()
    first, again, other = sent
    assert first == again != other
