"""The condition ``Approved``."""

from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionUpdate, Stage
from ephemeral_endpoints.features.packages.policy import PackageState
from ephemeral_endpoints.features.packages.reasons import APPROVED, APPROVED_CONDITION


def held(state: PackageState | None) -> Stage | None:
    """The stage of a package that keeps its object from being served; None if it does not."""
    if state is None or state.model:
        return None
    permanent = state.cause if state.cause.reason.is_permanent else None
    return Stage(_update(state), permanent, is_precondition=True)


def approval(state: PackageState | None) -> ConditionUpdate | None:
    """Whether the served version is approved, on which being served does not depend; None if ``held`` tells it."""
    return _update(state) if state and state.model else None


def _update(state: PackageState) -> ConditionUpdate:
    status = ConditionStatus.TRUE if state.cause.reason is APPROVED else ConditionStatus.FALSE
    return ConditionUpdate.of(APPROVED_CONDITION, status, state.cause)
