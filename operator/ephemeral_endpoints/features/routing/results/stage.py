"""The condition of a class about published results. Pure."""

from ephemeral_endpoints.api.v1alpha1.results import ResultsPolicy
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.resources import ObservedResource
from ephemeral_endpoints.features.monitoring.specs import IN_ALARM
from ephemeral_endpoints.features.routing.results import reasons
from ephemeral_endpoints.features.routing.results.desired import target_of


def published(
    policy: ResultsPolicy | None, alarm: ObservedResource | None, error: ReconcileError | None, *, asked: bool
) -> ConditionUpdate | None:
    """Whether the results of a class arrive; None if it does not say where. ``asked`` is whether any object publishes.

    ``error`` is why the ``alarm`` on lost ones could not be made.
    """
    if policy is None:
        return None
    if not asked:
        return _update(ConditionStatus.TRUE, Cause(reasons.NOTHING_PUBLISHED, "no object of the class publishes"))
    target = target_of(policy)
    if alarm and alarm.status == IN_ALARM:
        message = (
            f"forwarders cannot publish all results to {target}, and these are lost: a platform engineer must look for "
            "resultsCause in the logs of the forwarders; callers get their answers"
        )
        return _update(ConditionStatus.FALSE, Cause(reasons.LOST, message))
    if error:
        message = f"nothing tells whether results are lost on the way to {target}: {error.described}"
        return _update(ConditionStatus.FALSE, Cause(reasons.NO_ALARM, f"{message}; the operator tries again"))
    return _update(ConditionStatus.TRUE, Cause(reasons.PUBLISHED, f"results arrive at {target}"))


def _update(status: ConditionStatus, cause: Cause) -> ConditionUpdate:
    return ConditionUpdate.of(reasons.RESULTS_DELIVERED, status, cause)
