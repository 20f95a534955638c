"""The table of an object's votes.

Each object has one of its own: it costs nothing while nobody votes, and it goes with the object at once and as a whole.
One that is to stay is named after the object's name in place of its UID, and is nobody's in AWS: no end of an object
reaches it, and the next object of that name finds it.
"""

from typing import Final

from ephemeral_endpoints.api.v1alpha1.lifecycle import DeletionPolicy
from ephemeral_endpoints.engine.errors import NotAllowed
from ephemeral_endpoints.engine.names import Names, lasting_uid
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.engine.tags import CLASS, EXPIRES_AT, RETAINED_TAGS, UID
from ephemeral_endpoints.features.routing.feedback.specs import FEEDBACK_TABLE, FeedbackTableSpec
from ephemeral_endpoints.features.subject import Resolved, Subject

_OF_ONE_LIFE: Final = {CLASS, EXPIRES_AT, "CreatedAt", "PR_Number"}


def table(subject: Subject) -> Key | None:
    """The table of the object's votes; None if it takes none."""
    if subject.endpoint.spec.feedback is None:
        return None
    return Key(FEEDBACK_TABLE, (_lasting_names(subject) if _is_kept(subject) else subject.names).base)


def desired(subject: Subject, _: Resolved, __: DesiredState) -> DesiredState:
    """The table, if the object takes votes and it is to go with the object."""
    key = table(subject)
    goes = key is not None and not _is_kept(subject)
    return DesiredState((DesiredResource(key, FeedbackTableSpec(subject.tags)),) if key and goes else ())


def kept_table(subject: Subject) -> DesiredResource | None:
    """The table that outlives the object; None without one. No sweep and no reaper deletes what has its tags."""
    key = table(subject)
    if key is None or not _is_kept(subject):
        return None
    tags = {name: value for name, value in subject.tags if name not in _OF_ONE_LIFE}
    tags |= {UID: _lasting_names(subject).uid, **dict(RETAINED_TAGS)}
    return DesiredResource(key, FeedbackTableSpec(tuple(sorted(tags.items()))))


def refused_feedback(subject: Subject) -> NotAllowed | None:
    """Why the table cannot stay although the object asks for that; None if it can."""
    if not _asks_to_keep(subject) or _is_kept(subject):
        return None
    return NotAllowed(
        "the class does not allow spec.feedback.deletionPolicy Retain, because nothing would end the table; it will be "
        "deleted with the object: set Delete, or ask the platform team to set spec.lifecycle.allowRetainFeedback of "
        "the class"
    )


def _is_kept(subject: Subject) -> bool:
    return _asks_to_keep(subject) and subject.endpoint_class.spec.lifecycle.allow_retain_feedback


def _asks_to_keep(subject: Subject) -> bool:
    feedback = subject.endpoint.spec.feedback
    return feedback is not None and feedback.deletion_policy is DeletionPolicy.RETAIN


def _lasting_names(subject: Subject) -> Names:
    metadata = subject.endpoint.metadata
    return Names(subject.cluster_id, metadata.name, lasting_uid(metadata.namespace or "", metadata.name))
