"""Tells the people whom a class names what happens to its objects, and the class whether they could be told.

A transition is told when it is written, which is once. It is sent until the target takes it, for an hour at most: at
least once as long as the operator runs, and twice with the same id where an answer is lost. What still waits at the end
of the process is tried once more; a process that is killed loses it.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent, NotificationTarget
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.features.notifications.messages import Notification, notification
from ephemeral_endpoints.features.notifications.outbox import DeliveryOutcome, Outbox
from ephemeral_endpoints.features.notifications.policy import events_of, is_tombstone, left_of
from ephemeral_endpoints.features.notifications.reasons import (
    NOTIFICATIONS_DELIVERED,
    REASONS,
    TARGETS_USABLE,
    TargetError,
    TargetMisconfigured,
)
from ephemeral_endpoints.features.notifications.targets import Targets
from ephemeral_endpoints.kube.cache import ObjectKey, Store, class_key

logger = logging.getLogger(__name__)

REMEMBERED: Final = 10_000
"""Notifications that are not repeated."""

_USABLE: Final = Cause(TARGETS_USABLE, "all targets of notifications can be used")

Target = tuple[str, str]
"""The name of a class, and that of a target of it."""


class Notifier:
    """A ``Listener``, and the condition of classes about it.

    ``enqueue`` has a class reconciled whose condition changes. ``count`` is called with the class, the target and what
    became of each notification.
    """

    def __init__(
        self,
        targets: Targets,
        store: Store,
        *,
        enqueue: Callable[[ObjectKey], None],
        count: Callable[[str, str, str], None],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._targets = targets
        self._store = store
        self._enqueue = enqueue
        self._count = count
        self._sleep = sleep
        self._outboxes: dict[Target, Outbox] = {}
        self._told: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._errors: dict[Target, TargetError] = {}
        self._checks: dict[str, tuple[int, asyncio.Task[None]]] = {}

    def reported(self, key: ObjectKey, endpoint: EphemeralEndpoint, changed: Collection[ConditionUpdate]) -> None:
        """See ``Listener``."""
        for event, detail in events_of(changed).items():
            self._tell(key, event, endpoint, detail)
        if changed and is_tombstone(endpoint):
            self._tell(key, NotificationEvent.GONE, endpoint)

    def gone(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> None:
        """See ``Listener``. The end of a tombstone was told when it became one."""
        if not is_tombstone(endpoint):
            self._tell(key, NotificationEvent.GONE, endpoint)

    def condition(self, endpoint_class: EphemeralEndpointClass) -> ConditionUpdate | None:
        """Whether the class's targets can be used; None if it has none. Begins to look where they are new."""
        name, policy = endpoint_class.metadata.name, endpoint_class.spec.notifications
        if policy is None:
            return None
        if not self._is_checked(endpoint_class):
            return _as_before(endpoint_class)
        errors = {each.name: error for each in policy.targets if (error := self._errors.get((name, each.name)))}
        return delivered(errors)

    def due_in(self, endpoint_class: EphemeralEndpointClass) -> float | None:
        """Never by itself: the class is enqueued where the condition changes."""
        del endpoint_class
        return None

    async def stop(self) -> None:
        """Try once more to send what waits, and end all connections. Takes seconds at most."""
        checks = [task for _, task in self._checks.values()]
        for task in checks:
            task.cancel()
        await asyncio.gather(*checks, *(each.stop() for each in self._outboxes.values()), return_exceptions=True)
        await self._targets.close()

    def _tell(self, key: ObjectKey, event: NotificationEvent, endpoint: EphemeralEndpoint, detail: str = "") -> None:
        endpoint_class = self._store.named_class(self._store.class_name_of(endpoint) or "")
        if endpoint_class is None:
            return
        if event is NotificationEvent.GONE:
            detail = left_of(endpoint, endpoint_class)
        end = endpoint.status.expires_at if event is NotificationEvent.EXPIRING else None
        told = notification(event, endpoint, detail)
        self.tell(key, endpoint_class, event, told, once=(endpoint.metadata.uid, endpoint.revision, end))

    def tell(
        self,
        key: ObjectKey,
        endpoint_class: EphemeralEndpointClass,
        event: NotificationEvent,
        told: Notification,
        *,
        once: tuple[object, ...],
    ) -> None:
        """Notify the class's targets of an event, unless they were notified of the same one of ``once`` already.

        Returns at once, and never raises.
        """
        policy = endpoint_class.spec.notifications
        if policy is None or not self._is_first((event, *once)):
            return
        for target in policy.targets:
            if event in target.events:
                self._outbox((endpoint_class.metadata.name, target.name)).put(event, told)
        logger.debug("notified of %s", event, extra=key.log_fields)

    def _is_first(self, mark: tuple[object, ...]) -> bool:
        """Whether it was not told yet."""
        is_first = mark not in self._told
        self._told[mark] = None
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return is_first

    def _outbox(self, name: Target) -> Outbox:
        if name not in self._outboxes:
            self._outboxes[name] = Outbox(partial(self._send, name), partial(self._ended, name), self._sleep)
        return self._outboxes[name]

    async def _send(self, name: Target, told: Notification) -> None:
        """Send to the target as it is by now; one that is gone gets nothing."""
        endpoint_class = self._store.named_class(name[0])
        if endpoint_class and (target := _target(endpoint_class, name[1])):
            await self._targets.send(endpoint_class, target, told)

    def _ended(self, name: Target, outcome: DeliveryOutcome, error: TargetError | None) -> None:
        self._count(*name, outcome.value)
        if outcome is not DeliveryOutcome.DROPPED:
            self._note(name, error)

    def _note(self, name: Target, error: TargetError | None) -> None:
        """Remember the state of a target; its class is reconciled where that differs."""
        before = self._errors.pop(name, None)
        if error:
            self._errors[name] = error
        if str(before) != str(error):
            self._enqueue(class_key(name[0]))

    def _is_checked(self, endpoint_class: EphemeralEndpointClass) -> bool:
        """Whether the targets were looked at since the class has changed; if not, that is begun.

        Its author sees at once what is wrong, not with the first notification.
        """
        name, generation = endpoint_class.metadata.name, endpoint_class.metadata.generation
        known = self._checks.get(name)
        if known is None or known[0] != generation:
            known = self._checks[name] = (generation, asyncio.create_task(self._check(endpoint_class)))
        return known[1].done()

    async def _check(self, endpoint_class: EphemeralEndpointClass) -> None:
        name, policy = endpoint_class.metadata.name, endpoint_class.spec.notifications
        for target in policy.targets if policy else ():
            try:
                await self._targets.check(target)
            except TargetError as error:
                self._note((name, target.name), error)
            else:
                self._note((name, target.name), None)
        self._enqueue(class_key(name))


def delivered(errors: Mapping[str, TargetError]) -> ConditionUpdate:
    """The condition of a class whose targets of these names failed last."""
    if not errors:
        return ConditionUpdate.of(NOTIFICATIONS_DELIVERED, ConditionStatus.TRUE, _USABLE)
    worst = next((error for error in errors.values() if isinstance(error, TargetMisconfigured)), None)
    reason = (worst or next(iter(errors.values()))).reason
    message = "; ".join(f"target {target}: {error}" for target, error in errors.items())
    return ConditionUpdate.of(NOTIFICATIONS_DELIVERED, ConditionStatus.FALSE, Cause(reason, message))


def _as_before(endpoint_class: EphemeralEndpointClass) -> ConditionUpdate | None:
    """The condition as the class has it, if it has one of ours."""
    for each in endpoint_class.status.conditions:
        reason = next((reason for reason in REASONS if reason.name == each.reason), None)
        if each.type == NOTIFICATIONS_DELIVERED and reason:
            return ConditionUpdate(each.type, ConditionStatus(each.status), reason, each.message)
    return None


def _target(endpoint_class: EphemeralEndpointClass, name: str) -> NotificationTarget | None:
    policy = endpoint_class.spec.notifications
    return next((each for each in policy.targets if each.name == name), None) if policy else None
