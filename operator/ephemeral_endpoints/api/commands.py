"""The annotations that are commands to the operator, each with the right that it needs: there are no others.

No other annotation or label decides anything but how an object ends (``features.expiry.policy``), and those that the
operator writes itself: when it ended, and which head of its pull request is served (``deploy.annotations``). Whoever
may write an object may set every annotation of it, so that commands with a verb are guarded by admission policies,
which are made from this table (``api.schema.admission``).
"""

from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api import (
    ABANDON_ANNOTATION,
    APPROVED_ANNOTATION,
    APPROVED_BY_ANNOTATION,
    APPROVED_VERSION_ANNOTATION,
    CHECK_AT_ANNOTATION,
    COMPARE_AT_ANNOTATION,
    CONFIRM_CLOSED_ANNOTATION,
    DEFAULT_CLASS_ANNOTATION,
    EXTEND_UNTIL_ANNOTATION,
    PIN_ANNOTATION,
    RECONCILE_AT_ANNOTATION,
    ROTATE_TOKEN_ANNOTATION,
    SLEEP_ANNOTATION,
    WAKE_ANNOTATION,
)
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS, STAGE, ObjectKind

UPDATE: Final = "update"
APPROVE: Final = "approve"
ABANDON: Final = "abandon"
PIN: Final = "pin"
BYPASS: Final = "bypass-approval"


@dataclass(frozen=True, slots=True)
class Command:
    """An annotation that tells the operator to do something."""

    annotation: str
    kind: ObjectKind
    verb: str
    """The RBAC verb on the kind without which nobody can set it; ``update`` is all that any annotation needs."""

    effect: str


COMMANDS: Final = (
    Command(
        RECONCILE_AT_ANNOTATION,
        ENDPOINT,
        UPDATE,
        "a changed value has AWS read again for the object, and its failures retried at once",
    ),
    Command(
        CHECK_AT_ANNOTATION,
        ENDPOINT,
        UPDATE,
        "a changed value has the checks of `spec.checks` run again",
    ),
    Command(
        ROTATE_TOKEN_ANNOTATION,
        ENDPOINT,
        UPDATE,
        "a changed value replaces the API token in the object's Secret; the one before is accepted for another hour",
    ),
    Command(
        EXTEND_UNTIL_ANNOTATION,
        ENDPOINT,
        UPDATE,
        "the object lives at least until that time, such as 2026-11-30T18:00:00Z, as far as its class's "
        "`lifecycle.maxTtl` allows; it never shortens a life",
    ),
    Command(
        PIN_ANNOTATION,
        ENDPOINT,
        PIN,
        '"true" pins the object: it lives as long as its class\'s `lifecycle.maxTtl` allows, whatever its time to live',
    ),
    Command(
        SLEEP_ANNOTATION,
        ENDPOINT,
        UPDATE,
        "a time, such as 2026-11-30T18:00:00Z: the endpoint sleeps, unless it was woken after that time; not before "
        "the newest commit is rolled out and its checks have run",
    ),
    Command(
        WAKE_ANNOTATION,
        ENDPOINT,
        UPDATE,
        "a time, such as 2026-11-30T18:00:00Z: the endpoint wakes, unless it was sent to sleep after that time, and "
        "counts as used until then; the operator sets it upon a request to an endpoint that is asleep",
    ),
    Command(
        APPROVED_ANNOTATION,
        ENDPOINT,
        APPROVE,
        "the build whose digest it is may run, with what it holds of code, arguments and secrets",
    ),
    Command(
        ABANDON_ANNOTATION,
        ENDPOINT,
        ABANDON,
        '"true" releases an object that is being deleted although AWS resources of it are left, and lets the sweep '
        "delete these at once",
    ),
    Command(
        COMPARE_AT_ANNOTATION,
        ENDPOINT,
        UPDATE,
        "a changed value has the object compared with its base again (`spec.compare`), at most every 30 seconds",
    ),
    Command(
        RECONCILE_AT_ANNOTATION,
        STAGE,
        UPDATE,
        "a changed value has the registry read again for the stage",
    ),
    Command(
        APPROVED_VERSION_ANNOTATION,
        STAGE,
        APPROVE,
        "the version that it names, such as wine/7, may be promoted to the stage",
    ),
    Command(
        APPROVED_BY_ANNOTATION,
        STAGE,
        APPROVE,
        "the name of the user who sets the approved version; the API server admits no other one",
    ),
    Command(
        DEFAULT_CLASS_ANNOTATION,
        ENDPOINT_CLASS,
        UPDATE,
        '"true" has the operator set the class in objects that name none',
    ),
    Command(
        CONFIRM_CLOSED_ANNOTATION,
        ENDPOINT_CLASS,
        UPDATE,
        "a time, RFC 3339 in UTC: pull requests that were closed until then end their objects, although they are more "
        "than can be right",
    ),
)
"""All of them."""
