"""The condition of a class that says whether its forge can be used."""

from collections.abc import Iterable

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.features.reviews.access import Access
from ephemeral_endpoints.features.reviews.errors import (
    CONNECTED,
    FORGE_CONNECTED,
    REASONS,
    ForgeError,
    ForgeNotFound,
    ForgePermissionMissing,
    ForgeUnavailable,
)


def forge_condition(found: Access | ForgeError, url: str) -> ConditionUpdate:
    """The condition after the forge was asked. What is not known is Unknown: nothing is concluded from it."""
    if isinstance(found, ForgeError):
        return _disconnected(found)
    if problem := _problem(found):
        return _disconnected(problem)
    cause = Cause(CONNECTED, f"{url} takes the operator for {found.login}, which has the permissions that it needs")
    return ConditionUpdate.of(FORGE_CONNECTED, ConditionStatus.TRUE, cause)


def remembered(conditions: Iterable[Condition]) -> ConditionUpdate | None:
    """The condition as it was written last, for as long as this process has not asked; None if there is none."""
    reasons = {reason.name: reason for reason in REASONS}
    for each in conditions:
        if each.type == FORGE_CONNECTED and each.reason in reasons:
            return ConditionUpdate(each.type, ConditionStatus(each.status), reasons[each.reason], each.message)
    return None


def _disconnected(problem: ForgeError) -> ConditionUpdate:
    status = ConditionStatus.UNKNOWN if isinstance(problem, ForgeUnavailable) else ConditionStatus.FALSE
    return ConditionUpdate.of(FORGE_CONNECTED, status, Cause.of(problem))


def _problem(access: Access) -> ForgeError | None:
    if access.missing:
        return ForgePermissionMissing(
            f"{access.login} lacks {', '.join(access.missing)}: a platform engineer must grant it, and of an App an "
            "owner of the organization must accept it; the operator looks again within 5 minutes"
        )
    if access.hidden:
        return ForgeNotFound(
            f"{access.login} cannot see {', '.join(access.hidden)}: a platform engineer must install the App there or "
            "let the token see it, or correct spec.reviews.repositories; the operator looks again within 5 minutes"
        )
    return None
