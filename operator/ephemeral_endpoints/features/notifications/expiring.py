"""The condition of an object that expires soon, so that who is notified, or reads the comment, can extend its life."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent, NotificationPolicy
from ephemeral_endpoints.api.v1alpha1.reviews import CommentPolicy
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.features.expiry.stage import expires_soon
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.subject import Subject

_DEFAULT: Final[timedelta] = NotificationPolicy.model_fields["expiring_before"].default


class ExpiringStep(FollowUp[None]):
    """Reports the end some time before, where the class notifies or comments. ``now`` is the time of day in UTC.

    As part of the status it is told once, whichever process is there at that time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(lambda: None)
        self._now = now

    @override
    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        pass

    @override
    def condition(self, reconciliation: Reconciliation) -> ConditionUpdate | None:
        left, subject = self._left(reconciliation), reconciliation.subject
        if left is None or left > timedelta(0):
            return None
        return expires_soon(subject.lifetime.expires_at, is_last=subject.is_at_its_latest)

    @override
    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        return {}

    @override
    def due(self, reconciliation: Reconciliation) -> float | None:
        left = self._left(reconciliation)
        return None if left is None or left <= timedelta(0) else left.total_seconds()

    def _left(self, reconciliation: Reconciliation) -> timedelta | None:
        """How long until the end is soon; None if nobody is told of it."""
        subject = reconciliation.subject
        policy = subject.endpoint_class.spec.notifications
        is_notified = policy is not None and NotificationEvent.EXPIRING in policy.events
        if not is_notified and not _is_commented(subject):
            return None
        before = policy.expiring_before if policy else _DEFAULT
        return subject.lifetime.expires_at - before - self._now()


def _is_commented(subject: Subject) -> bool:
    reviews = subject.endpoint_class.spec.reviews
    return bool(reviews and reviews.comment is not CommentPolicy.NEVER and subject.endpoint.spec.source.pull_request)
