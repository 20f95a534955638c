"""Whether the second model of an object can be invoked, in words. Pure."""

from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.postprocessing import Postprocess, PostprocessStatus
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionType, ConditionUpdate
from ephemeral_endpoints.features.routing.bases import Unfit
from ephemeral_endpoints.features.routing.policy import refused_postprocess
from ephemeral_endpoints.features.routing.postprocessing.reasons import (
    POSTPROCESS_NOT_FOUND,
    POSTPROCESS_NOT_READY,
    POSTPROCESS_REFUSED,
    POSTPROCESSED,
    POSTPROCESSING,
)
from ephemeral_endpoints.features.sleep.policy import is_stopped
from ephemeral_endpoints.features.subject import Subject

_SHORT_REVISION: Final = 7


def condition(subject: Subject, second: Subject | Unfit | None) -> ConditionUpdate | None:
    """What becomes of the answers of an object; None if nothing should. ``second`` is the object that it names."""
    asked = subject.endpoint.spec.api.postprocess
    if asked is None:
        return None
    cause = _cause(subject, asked, second)
    status = {POSTPROCESSING: ConditionStatus.TRUE, POSTPROCESS_NOT_READY: ConditionStatus.UNKNOWN}
    return ConditionUpdate.of(POSTPROCESSED, status.get(cause.reason, ConditionStatus.FALSE), cause)


def served_by(second: Subject | Unfit | None) -> PostprocessStatus | None:
    """The object and the commit that it serves; None if its model is not invoked."""
    if not isinstance(second, Subject):
        return None
    return PostprocessStatus(endpoint=second.endpoint.metadata.name, revision=second.served_revision)


def _cause(subject: Subject, asked: Postprocess, second: Subject | Unfit | None) -> Cause:
    if second is None:
        if refused := refused_postprocess(subject.endpoint.spec.api, subject.endpoint_class.spec.routing):
            return Cause(POSTPROCESS_REFUSED, str(refused))
        message = f"answers are passed to the SageMaker endpoint {asked.sage_maker_endpoint}, which the class lists"
        return Cause(POSTPROCESSING, message)
    where = f"EphemeralEndpoint {asked.endpoint} in namespace {subject.endpoint.metadata.namespace}"
    if isinstance(second, Unfit):
        return _unfit(where, second)
    if why := _not_ready(second.endpoint):
        message = f"{where} {why}: its model is invoked, but may not answer; callers then get the problem beside the "
        return Cause(POSTPROCESS_NOT_READY, f"{message}answer. See the conditions of that object")
    return Cause(POSTPROCESSING, f"answers are passed to {where} ({second.served_revision[:_SHORT_REVISION]})")


def _unfit(where: str, why: Unfit) -> Cause:
    match why:
        case Unfit.MISSING:
            return Cause(POSTPROCESS_NOT_FOUND, f"there is no {where}: create it, or change {_FIELD}; {_MEANWHILE}")
        case Unfit.ENDED:
            message = f"{where} is deleted or has expired: create it again, or change {_FIELD}; {_MEANWHILE}"
            return Cause(POSTPROCESS_NOT_FOUND, message)
        case Unfit.OTHER_CLASS:
            message = f"{where} is of another class: name an object of the class of this one in {_FIELD}; {_MEANWHILE}"
        case Unfit.ASYNCHRONOUS:
            message = f"{where} is asynchronous, and does not answer at once: change {_FIELD}; {_MEANWHILE}"
        case Unfit.NEEDS_TOKEN:
            message = (
                f"{where} needs a token, and this object needs none, so that everybody could use that model: set "
                f"spec.api.auth.type of this object to Token, or change {_FIELD}; {_MEANWHILE}"
            )
    return Cause(POSTPROCESS_REFUSED, message)


def _not_ready(endpoint: EphemeralEndpoint) -> str | None:
    """Why the model of the object may not answer now, as the end of a sentence; None if it should."""
    current = {each.type: each for each in endpoint.status.conditions}
    if is_stopped(endpoint):
        return "is asleep"
    ready = current.get(ConditionType.READY)
    if ready is None or ready.status != "True":
        return f"is not Ready ({ready.reason})" if ready else "is not Ready"
    return None


_FIELD: Final = "spec.api.postprocess.endpoint"
_MEANWHILE: Final = "until then callers get a problem beside each answer"
