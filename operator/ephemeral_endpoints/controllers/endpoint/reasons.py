"""The reasons that the controller of objects reports beside their stages."""

from collections.abc import Iterable
from typing import Final

from ephemeral_endpoints.api import ABANDON_ANNOTATION
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.engine.reasons import EVENTS, READY, Finality, ReasonGroup

REASONS: Final = ReasonGroup(EVENTS)

CLASS_NOT_FOUND: Final = REASONS.for_platform(
    "ClassNotFound",
    READY,
    meaning="The EphemeralEndpointClass that the object names does not exist, or the object names none and no class is "
    "the default.",
    remedy="create the class, mark a class as default, or name another class in `spec.className`",
)
CLASS_REFUSED: Final = REASONS.for_author(
    "ClassRefused",
    READY,
    finality=Finality.TRANSIENT,
    meaning="The API server does not let the operator put its finalizer and the class on the object: a policy forbids "
    "the class in this namespace, or the operator lacks a right.",
    remedy="name a class in `spec.className` that the namespace may use, or ask an administrator",
)
ABANDONED: Final = REASONS.for_platform(
    "Abandoned",
    finality=Finality.TRANSIENT,
    meaning="The operator released the object, as its annotation asks, although AWS resources of it are left.",
    remedy="make sure that the sweep deletes the resources that the message names",
)
DRIFT_REPAIRED: Final = REASONS.for_platform(
    "DriftRepaired",
    finality=Finality.TRANSIENT,
    meaning="A resource of the object was changed or deleted in AWS, and the operator repaired it.",
    remedy="if it happens again, find the caller in CloudTrail",
)


def class_not_found(name: str | None) -> Cause:
    """Why an object has no class; ``name`` is what ``spec.className`` says."""
    if name:
        message = f"EphemeralEndpointClass {name} does not exist: create it, or name another class in spec.className"
        return Cause(CLASS_NOT_FOUND, message)
    message = (
        "spec.className is not set and no EphemeralEndpointClass is the default: set spec.className, or mark a class "
        "as default"
    )
    return Cause(CLASS_NOT_FOUND, message)


def class_refused(name: str, refusal: str) -> Cause:
    """Why an object is not taken in by the class that it resolved to; ``refusal`` is the API server's message."""
    message = (
        f"the API server refuses EphemeralEndpointClass {name} for this object: set spec.className to a class that "
        f"this namespace may use, or ask an administrator; the operator tries again every minute: {refusal}"
    )
    return Cause(CLASS_REFUSED, message)


def abandoned_event(left: Iterable[str]) -> str:
    """The message of the Event about an object that was released before its AWS resources were gone."""
    names = ", ".join(sorted(left)) or "none"
    return f"released, as the annotation {ABANDON_ANNOTATION} asks; AWS resources left for the sweep: {names}"
