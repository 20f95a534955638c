"""The annotations that are commands to the operator, each with the right that it needs: there are no others.

No other annotation or label decides anything but how an expired object ends (``features.expiry.policy``). Whoever may
write an object may set every annotation of it, so that commands with a verb are guarded by admission policies, which
are made from this table (``api.schema.admission``).
"""

from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api import (
    ABANDON_ANNOTATION,
    APPROVED_ANNOTATION,
    DEFAULT_CLASS_ANNOTATION,
    RECONCILE_AT_ANNOTATION,
)
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS, ObjectKind

UPDATE: Final = "update"
APPROVE: Final = "approve"
ABANDON: Final = "abandon"


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
        DEFAULT_CLASS_ANNOTATION,
        ENDPOINT_CLASS,
        UPDATE,
        '"true" has the operator set the class in objects that name none',
    ),
)
"""All of them."""
