"""The condition ``Ready`` of a stage: that of its endpoint."""

from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.controllers.reasons import CATALOGUE
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionType, ConditionUpdate
from ephemeral_endpoints.features.promotion import causes, reasons

_BY_NAME: Final = {reason.name: reason for reason in CATALOGUE}


def ready_of(endpoint: EphemeralEndpoint | None) -> ConditionUpdate:
    """The condition as the endpoint reports it; a reason of another version of the operator is not repeated."""
    ready = (each for each in endpoint.status.conditions if each.type == ConditionType.READY) if endpoint else ()
    found = next(iter(ready), None)
    if found is None:
        absent = causes.no_endpoint(is_made=endpoint is not None)
        return ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, absent)
    cause = Cause(_BY_NAME.get(found.reason, reasons.NO_ENDPOINT), found.message)
    return ConditionUpdate.of(ConditionType.READY, ConditionStatus(found.status), cause)
