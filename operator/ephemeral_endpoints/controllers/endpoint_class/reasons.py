"""The reasons of the condition ``Ready`` of a class."""

from collections.abc import Iterable
from typing import Final, Self

from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionType, ConditionUpdate
from ephemeral_endpoints.engine.errors import AwsError, ReconcileError
from ephemeral_endpoints.engine.reasons import CLASS_READY, ReasonGroup
from ephemeral_endpoints.engine.resources import Key

REASONS: Final = ReasonGroup(CLASS_READY)

CONNECTED: Final = REASONS.normal(
    "Connected", meaning="The operator can use the class's account and region, and AWS services its roles."
)


class InUse(ReconcileError):
    """Something still needs what a class that is deleted shares."""

    reason = REASONS.for_platform(
        "InUse",
        meaning="The class is deleted, but objects or retained AWS resources still use it.",
        remedy="delete its objects and the AWS resources that were retained; the sweep deletes the others",
    )

    @classmethod
    def by_objects(cls) -> Self:
        """Objects of the class exist."""
        return cls("EphemeralEndpoints of the class still exist: delete them, then the operator deletes the class")

    @classmethod
    def by_resources(cls, shared: Iterable[Key], users: Iterable[Key]) -> Self:
        """Resources that objects left use what the class shares."""
        used, using = (", ".join(sorted(map(str, keys))) for keys in (shared, users))
        return cls(
            f"{used} is still used by {using}: delete the AWS resources that have the tag "
            "ephemeral-endpoints.io/retain=true; the sweep deletes the others, then the operator deletes the class"
        )


def class_condition(problem: ReconcileError | None, unread: AwsError | None = None) -> ConditionUpdate:
    """The condition of a class; ``problem`` keeps it from use, ``unread`` hides whether its roles can be assumed."""
    if problem:
        return ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, Cause.of(problem))
    roles = "and its roles exist"
    if unread:
        roles = f"but it is not known whether its roles exist: {unread.described}"
    cause = Cause(CONNECTED, f"the operator can use the class's account and region, {roles}")
    return ConditionUpdate.of(ConditionType.READY, ConditionStatus.TRUE, cause)
