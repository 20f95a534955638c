"""What stages and promotions say about themselves: reasons with their messages. Pure."""

from datetime import datetime

from ephemeral_endpoints.api import APPROVED_BY_ANNOTATION, APPROVED_VERSION_ANNOTATION
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.features.packages.reasons import REJECTED_BUT_SERVING
from ephemeral_endpoints.features.promotion.reasons import (
    APPROVAL_BYPASSED,
    APPROVAL_GIVEN,
    APPROVED_VERSION_GONE,
    AWAITING_APPROVAL,
    NAME_TAKEN,
    NO_ENDPOINT,
    PINNED,
    PROMOTED_CONDITION,
    PROMOTION_FAILED,
    REGISTRY_UNAVAILABLE,
    ROLLBACK_FAILED,
    SOAKING,
    STAGE_INVALID,
    STAGE_NOT_FOUND,
    STAGES_NOT_ALLOWED,
)
from ephemeral_endpoints.features.promotion.versions import Version


def unapproved(version: Version) -> Cause:
    """The version waits for a person."""
    return Cause(
        AWAITING_APPROVAL,
        f"{version} waits for its approval: a person who may approve stages must set the annotations "
        f"{APPROVED_VERSION_ANNOTATION} to {version} and {APPROVED_BY_ANNOTATION} to their user name (`eep stage "
        "approve`), or approve the package in the registry if the source is a group",
    )


def soaking(version: Version, until: datetime | None) -> Cause:
    """The version has not served for long enough in the stage before."""
    ends = f"until {until:%Y-%m-%d %H:%M} UTC " if until else ""
    return Cause(SOAKING, f"{version} has to serve in the stage before {ends}(spec.source.from.verifiedFor)")


def pinned(version: Version, why: str) -> Cause:
    """The stage went back to a version."""
    because = f", because {why}" if why else ""
    return Cause(
        PINNED,
        f"the stage went back to {version}{because}; nothing is promoted by itself until a person promotes a version "
        "(`eep stage promote`)",
    )


def rejected(version: Version | None) -> Cause:
    """What serves is rejected, and there is nothing to go back to."""
    return Cause(
        REJECTED_BUT_SERVING,
        f"{version} was rejected in the registry and keeps serving, because no approved version served here before: "
        "approve another version",
    )


def ended_badly(version: Version, why: str, *, is_rollback: bool) -> Cause:
    """A promotion failed, and nothing brought the version before back."""
    reason = ROLLBACK_FAILED if is_rollback else PROMOTION_FAILED
    remedy = (
        "see the conditions of the EphemeralEndpoint, then go back or promote again (`eep stage`)"
        if is_rollback
        else "register a version that works, or go back (`eep stage rollback`)"
    )
    return Cause(reason, f"{version} failed: {why}. A person must act: {remedy}")


def gone(version: Version) -> Cause:
    """What was approved does not exist."""
    return Cause(
        APPROVED_VERSION_GONE,
        f"the annotation {APPROVED_VERSION_ANNOTATION} names {version}, which does not exist or does not exist any "
        "more: approve a version that exists (`eep stage approve`)",
    )


def unread() -> Cause:
    """Nothing is known of the registry yet."""
    return Cause(REGISTRY_UNAVAILABLE, "the registry has not been read yet; the operator tries again")


def no_class(name: str) -> Cause:
    """The class of the stage does not exist."""
    return Cause(
        STAGE_INVALID,
        f"class {name} does not exist: ask the platform team to create it, or make another stage with a class that "
        "exists",
    )


def not_allowed(name: str) -> Cause:
    """The class has no stages."""
    return Cause(
        STAGES_NOT_ALLOWED,
        f"class {name} does not allow stages, whose endpoints never expire: ask the platform team to set "
        "spec.stages.allowed of the class",
    )


def no_time_zone(name: str) -> Cause:
    """The freeze names no time zone."""
    return Cause(STAGE_INVALID, f"timeZone {name} in spec.freeze is no time zone: use a name such as Europe/Berlin")


def name_taken(name: str) -> Cause:
    """The endpoint is another one's."""
    return Cause(
        NAME_TAKEN,
        f"the EphemeralEndpoint {name} exists and does not belong to this stage: delete it, or make a stage with "
        "another name",
        awaited="its deletion",
    )


def no_source(name: str) -> Cause:
    """The stage before does not exist."""
    return Cause(
        STAGE_NOT_FOUND,
        f"spec.source.from names the stage {name}, which does not exist: create it, or correct the name. What serves "
        "goes on serving",
    )


def no_stage(name: str) -> Cause:
    """The stage of a promotion does not exist."""
    return Cause(STAGE_NOT_FOUND, f"the stage {name} does not exist: create it, or delete this promotion")


def bypassed(by: str | None, version: Version, stage: str) -> Cause:
    """A promotion begins without an approval."""
    return Cause(APPROVAL_BYPASSED, f"{by or 'somebody'} promotes {version} to {stage} without an approval")


def no_endpoint(*, is_made: bool) -> Cause:
    """The endpoint does not exist, or has not told anything yet."""
    state = "has just been created" if is_made else "does not exist before the first promotion"
    return Cause(NO_ENDPOINT, f"the endpoint of the stage {state}: the condition {PROMOTED_CONDITION} tells more")


def given(*, is_rollback: bool, is_bypassed: bool, is_from_stage: bool) -> Cause:
    """How a promotion came to begin."""
    if is_rollback:
        return Cause(APPROVAL_GIVEN, "a rollback needs no approval")
    if is_bypassed:
        return Cause(APPROVAL_GIVEN, "the approval is bypassed (spec.bypassApproval)")
    return Cause(APPROVAL_GIVEN, "the earlier stage has verified it" if is_from_stage else "the package is approved")
