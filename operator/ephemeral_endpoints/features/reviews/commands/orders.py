"""What a command means for an object: what is to be written, or why nothing is. Pure."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api import (
    EXTEND_UNTIL_ANNOTATION,
    RECONCILE_AT_ANNOTATION,
    SLEEP_ANNOTATION,
    WAKE_ANNOTATION,
)
from ephemeral_endpoints.api.v1alpha1.duration import format_duration
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.review_commands import ReviewCommand
from ephemeral_endpoints.engine.conditions import ConditionType
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.expiry.policy import moment, why_retired
from ephemeral_endpoints.features.reviews.commands.parser import Command
from ephemeral_endpoints.features.reviews.forge import Comment
from ephemeral_endpoints.features.sleep.policy import WHAT_SLEEPS, can_sleep
from ephemeral_endpoints.features.subject import Subject

_TERMINATING: Final = "the preview is being deleted already"
_IS_SUSPENDED: Final = "the preview is suspended: set `spec.suspend` to false first"
_OPPOSITES: Final = {
    ReviewCommand.SLEEP: (SLEEP_ANNOTATION, WAKE_ANNOTATION),
    ReviewCommand.WAKE: (WAKE_ANNOTATION, SLEEP_ANNOTATION),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be written to an object. Neither: it is as the command asks for already."""

    annotations: dict[str, str] = field(default_factory=dict)
    deletes: bool = False
    event: str = ""
    """The message of the Event that names the person."""


@dataclass(frozen=True, slots=True)
class NotDone:
    """Why nothing is written, as Markdown; it repeats nothing that the author of an object wrote."""

    why: str


def order(command: Command, comment: Comment, subject: Subject, now: datetime) -> Order | NotDone:
    """What a command means for an object that existed when it was given.

    The same command and comment mean the same however often they are read: an extension counts from the comment's own
    time, and what is so already is not written again.
    """
    if command.name is ReviewCommand.DELETE:
        return _deletion(comment, subject.endpoint)
    if subject.is_terminating(now):
        return NotDone(_TERMINATING)
    if command.extension is not None:
        return _extension(comment, subject, comment.created_at + command.extension)
    if command.name in _OPPOSITES:
        return _sleep_or_wake(command.name, comment, subject.endpoint)
    return _rebuild(comment, subject.endpoint)


def _deletion(comment: Comment, endpoint: EphemeralEndpoint) -> Order | NotDone:
    if endpoint.metadata.deletion_timestamp is not None:
        return Order()
    if why_retired(endpoint.spec.lifecycle.on_expiry, endpoint.metadata):
        return NotDone(
            "the preview is managed by a tool, such as Argo CD, Flux or Helm, or is to stay as a tombstone, and would "
            "not be gone for good: remove it where the tool reads it, or close the pull request"
        )
    return Order(deletes=True, event=f"deleted at the request of {_by(comment)}")


def _extension(comment: Comment, subject: Subject, until: datetime) -> Order | NotDone:
    before, metadata = subject.lifetime.expires_at, subject.endpoint.metadata
    held = moment(metadata.annotations.get(EXTEND_UNTIL_ANNOTATION, ""))
    if until <= max(before, held or before):
        return Order()
    annotations = {EXTEND_UNTIL_ANNOTATION: timestamp(until)}
    extended = metadata.model_copy(update={"annotations": {**metadata.annotations, **annotations}})
    after = replace(subject, endpoint=subject.endpoint.model_copy(update={"metadata": extended})).lifetime.expires_at
    if after <= before:
        longest = format_duration(subject.endpoint_class.spec.lifecycle.max_ttl)
        return NotDone(
            f"no preview of this class may live longer than {longest} in all, so this one ends at "
            f"{before:%Y-%m-%d %H:%M} UTC. Create it again then, or ask the platform team to raise the class's maxTtl"
        )
    return Order(annotations, event=f"to live until {timestamp(after)} at the request of {_by(comment)}")


def _sleep_or_wake(name: ReviewCommand, comment: Comment, endpoint: EphemeralEndpoint) -> Order | NotDone:
    """The annotation with the time of the comment; none where a later command holds already."""
    if endpoint.spec.suspend:
        return NotDone(_IS_SUSPENDED)
    if not can_sleep(endpoint.spec.serving):
        return NotDone(f"the preview does not sleep: {WHAT_SLEEPS}")
    annotation, opposite = _OPPOSITES[name]
    held = (moment(endpoint.metadata.annotations.get(each, "")) for each in (annotation, opposite))
    if any(each and each >= comment.created_at for each in held):
        return Order()
    told = {annotation: timestamp(comment.created_at)}
    return Order(told, event=f"to {name.lower()} at the request of {_by(comment)}")


def _rebuild(comment: Comment, endpoint: EphemeralEndpoint) -> Order | NotDone:
    if endpoint.spec.suspend:
        return NotDone(_IS_SUSPENDED)
    ready = next((each for each in endpoint.status.conditions if each.type == ConditionType.READY), None)
    if ready and ready.status == "True":
        return NotDone(
            "the preview is ready and serves its commit, whose image exists and is never replaced. To build again, "
            "push a new commit"
        )
    annotations = {RECONCILE_AT_ANNOTATION: f"{timestamp(comment.created_at)} comment {comment.id}"}
    if endpoint.metadata.annotations.items() >= annotations.items():
        return Order()
    return Order(annotations, event=f"built and tried again at the request of {_by(comment)}")


def _by(comment: Comment) -> str:
    key = comment.pull_request
    return f"{comment.author} in comment {comment.id} on {key.repository}#{key.number}"
