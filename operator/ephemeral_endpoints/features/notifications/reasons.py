"""The reasons of the condition of a class about its notifications."""

from typing import Final

from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.reasons import ReasonGroup

NOTIFICATIONS_DELIVERED: Final = "NotificationsDelivered"
"""The condition of a class that says whether its targets take notifications."""

REASONS: Final = ReasonGroup(NOTIFICATIONS_DELIVERED)

TARGETS_USABLE: Final = REASONS.normal(
    "TargetsUsable", meaning="The targets of notifications are configured as they must be, and took the last ones."
)


class TargetError(ReconcileError):
    """A notification that was not delivered. The message names no URL: whoever knows a webhook's can post there."""


class TargetMisconfigured(TargetError):
    """The target refuses notifications, or cannot be one."""

    reason = REASONS.for_platform(
        "TargetMisconfigured",
        meaning="A target of notifications cannot be used: its Secret or URL is missing or wrong, it refuses what is "
        "sent, or a permission is missing. Notifications for it are lost; the operator tries the next ones.",
        remedy="correct what the message names: the Secret, the URL, the topic, or the operator's policy",
    )


class TargetUnavailable(TargetError):
    """The target does not answer, fails, or takes no more at the moment. ``retry_after`` is in seconds."""

    reason = REASONS.for_platform(
        "TargetUnavailable",
        meaning="A target of notifications did not take one in several attempts. That one is lost; the operator tries "
        "the next ones.",
        remedy="see whether the target, and the way to it from the operator's Pod, work",
    )

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
