"""The conditions of an object, from its stages.

Conditions follow kstatus (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md): ``Ready``,
and the abnormal-true ``Reconciling`` and ``Stalled``; beside them one condition per stage.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.plan import DesiredState, is_ready
from ephemeral_endpoints.engine.reasons import CREATING, NOT_STALLED, SUSPENDED, UP_TO_DATE, UPDATING, Reason
from ephemeral_endpoints.engine.resources import (
    IN_FLIGHT,
    DesiredResource,
    Key,
    ObservedResource,
    ObservedResources,
    Phase,
)

MESSAGE_LENGTH: Final = 1500


class ConditionType(StrEnum):
    """The types of the conditions that every object has, in the order in which a person reads them."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class ConditionStatus(StrEnum):
    """The status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a condition has its status. ``awaited`` names the change that would end a permanent cause."""

    reason: Reason
    message: str
    awaited: str = "a change of the spec or of the class"

    @classmethod
    def of(cls, error: ReconcileError) -> Self:
        """The cause that an error is."""
        return cls(error.reason, error.described, error.awaited)


@dataclass(frozen=True, slots=True)
class ConditionUpdate:
    """A condition without its times."""

    type: str
    status: ConditionStatus
    reason: Reason
    message: str

    @classmethod
    def of(cls, type_: str, status: ConditionStatus, cause: Cause) -> Self:
        """The condition with a message that fits the status and does no harm to a terminal, and is never empty."""
        printable = "".join(character if character.isprintable() else " " for character in cause.message)
        return cls(type_, status, cause.reason, printable[:MESSAGE_LENGTH].strip() or cause.reason.name)

    @property
    def is_failure(self) -> bool:
        """Whether it reports a failure, not only that something is not done yet."""
        expected = ConditionStatus.FALSE if self.type == ConditionType.STALLED else ConditionStatus.TRUE
        return self.status is not expected and self.reason.is_failure


@dataclass(frozen=True, slots=True)
class Progress:
    """The resources of an object: desired, observed, and with the errors of the last attempts."""

    desired: DesiredState
    own: ObservedResources
    others: ObservedResources
    errors: Mapping[Key, ReconcileError] = field(default_factory=dict)

    @property
    def serving_errors(self) -> dict[Key, ReconcileError]:
        """The errors of resources that should exist and that serving needs."""
        needed = {resource.key for resource in self.desired.resources if resource.key.kind.stage}
        return {key: error for key, error in self.errors.items() if key in needed}

    @property
    def minor_error(self) -> ReconcileError | None:
        """The error of a resource that the object is served without, or that should not exist any more."""
        serving = self.serving_errors
        return next((error for key, error in self.errors.items() if key not in serving), None)


@dataclass(frozen=True, slots=True)
class Stage:
    """The state of one stage. ``permanent`` is the failure of its own that no retry helps against, if there is one.

    A precondition decides which resources should exist, so its failure comes before theirs.
    """

    update: ConditionUpdate
    permanent: Cause | None = None
    is_precondition: bool = False


def of_resources(  # noqa: PLR0913 - the differences between stages
    type_: str,
    progress: Progress,
    *,
    done: Cause,
    failure: Cause | None = None,
    held: Cause | None = None,
    in_flight: Mapping[str, Reason] = MappingProxyType({}),
) -> ConditionUpdate:
    """The condition of a stage that is done when all desired resources of its kinds, which name it, are ready.

    ``failure`` is another cause against that, ``held`` why resources of its kinds are not changed. ``in_flight`` are
    the reasons for AWS's own words for changes.
    """
    if error := next((error for key, error in progress.serving_errors.items() if key.kind.stage == type_), None):
        return ConditionUpdate.of(type_, ConditionStatus.FALSE, Cause.of(error))
    if failure:
        return ConditionUpdate.of(type_, ConditionStatus.FALSE, failure)
    if held and progress.desired.keeps_some_of(type_):
        return ConditionUpdate.of(type_, ConditionStatus.FALSE, held)
    there = {**progress.others, **progress.own}
    missing = [
        resource
        for resource in progress.desired.resources
        if resource.key.kind.stage == type_ and not is_ready(resource, there)
    ]
    if missing:
        return ConditionUpdate.of(type_, ConditionStatus.FALSE, _waiting(missing, there, in_flight))
    return ConditionUpdate.of(type_, ConditionStatus.TRUE, done)


def of_active(
    stages: Sequence[Stage], progress: Progress, problems: Sequence[ReconcileError], proof: ConditionUpdate
) -> tuple[ConditionUpdate, ...]:
    """The conditions of an object that should serve.

    ``problems`` are errors of no single resource, such as missing credentials. ``proof`` is the condition ``Ready`` of
    an object whose stages are all done.
    """
    updates = tuple(stage.update for stage in stages)
    ready = _ready(updates, problems, proof)
    minor = progress.minor_error
    if ready.status is ConditionStatus.TRUE and minor:
        # Such a resource is work to do, but does not affect the service.
        remains = ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, Cause.of(minor))
        return (ready, *kstatus(remains, done=False), *updates)
    permanent = _permanent(stages, progress, problems)
    return (ready, *kstatus(ready, done=ready.status is ConditionStatus.TRUE, permanent=permanent), *updates)


def of_terminating(
    cause: Cause, left: Iterable[ObservedResource], errors: Mapping[Key, ReconcileError], *, stays: bool = False
) -> tuple[ConditionUpdate, ...]:
    """The conditions of an object whose resources ``left`` are being deleted; ``errors`` keep some of them from it.

    One that ``stays`` without resources is stalled, so that whoever waits for it to be ready ceases to.
    """
    resources = sorted(left, key=lambda observed: observed.key)
    permanent = next((Cause.of(error) for error in errors.values() if error.terminal), None)
    parts = [cause.message]
    parts += [
        f"{observed.key} is {observed.status}, and AWS deletes it only when that has ended"
        for observed in resources
        if observed.phase is Phase.BUSY and observed.status
    ]
    parts += [_undeletable(key, error) for key, error in sorted(errors.items(), key=lambda each: each[0])]
    if resources:
        parts.append(f"still in AWS: {', '.join(str(observed.key) for observed in resources)}")
    ready = ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, Cause(cause.reason, "; ".join(parts)))
    if stays and not resources and permanent is None:
        return (
            ready,
            ConditionUpdate.of(ConditionType.RECONCILING, ConditionStatus.FALSE, _UP_TO_DATE),
            ConditionUpdate.of(ConditionType.STALLED, ConditionStatus.TRUE, cause),
        )
    return (ready, *kstatus(ready, done=not resources, permanent=permanent))


def _undeletable(key: Key, error: ReconcileError) -> str:
    """Why a resource cannot be deleted, and whether that heals."""
    if error.terminal:
        prospect = "a platform engineer must repair that; the operator tries again every 5 minutes"
    else:
        prospect = error.advice if error.is_quoted else "the operator tries again"
    return f"{key} cannot be deleted: {error} ({prospect})"


def of_suspended() -> tuple[ConditionUpdate, ...]:
    """The conditions that change when an object is suspended; those of its stages are kept."""
    message = "spec.suspend is true: the operator creates, changes and repairs nothing until it is false"
    return (
        ConditionUpdate.of(ConditionType.RECONCILING, ConditionStatus.FALSE, Cause(SUSPENDED, message)),
        ConditionUpdate.of(ConditionType.STALLED, ConditionStatus.FALSE, _NOT_STALLED),
    )


def of_waiting(cause: Cause) -> tuple[ConditionUpdate, ...]:
    """The conditions of an object on which nothing can be done before the cause is gone."""
    ready = ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, cause)
    return (ready, *kstatus(ready, done=False, permanent=cause if cause.reason.is_permanent else None))


def without_account(problem: ReconcileError) -> tuple[ConditionUpdate, ...]:
    """The conditions that change when AWS cannot be used at all.

    Those of the stages are kept, but whether they still hold is unknown, unless the problem is permanent.
    """
    status = ConditionStatus.FALSE if problem.terminal else ConditionStatus.UNKNOWN
    ready = ConditionUpdate.of(ConditionType.READY, status, Cause.of(problem))
    return (ready, *kstatus(ready, done=False, permanent=Cause.of(problem) if problem.terminal else None))


def kstatus(
    ready: ConditionUpdate, *, done: bool, permanent: Cause | None = None
) -> tuple[ConditionUpdate, ConditionUpdate]:
    """``Reconciling`` and ``Stalled`` beside ``Ready``: ``done`` if nothing is left to do."""
    if permanent:
        waiting = Cause(permanent.reason, f"waiting for {permanent.awaited}")
        return (
            ConditionUpdate.of(ConditionType.RECONCILING, ConditionStatus.FALSE, waiting),
            ConditionUpdate.of(ConditionType.STALLED, ConditionStatus.TRUE, permanent),
        )
    stalled = ConditionUpdate.of(ConditionType.STALLED, ConditionStatus.FALSE, _NOT_STALLED)
    if done:
        return ConditionUpdate.of(ConditionType.RECONCILING, ConditionStatus.FALSE, _UP_TO_DATE), stalled
    why = Cause(ready.reason, ready.message)
    return ConditionUpdate.of(ConditionType.RECONCILING, ConditionStatus.TRUE, why), stalled


_NOT_STALLED: Final = Cause(NOT_STALLED, "no permanent error")
_UP_TO_DATE: Final = Cause(UP_TO_DATE, "nothing is left to do")


def _ready(
    updates: Sequence[ConditionUpdate], problems: Sequence[ReconcileError], proof: ConditionUpdate
) -> ConditionUpdate:
    if problems:
        return ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, Cause.of(problems[0]))
    for update in updates:
        if update.status is not ConditionStatus.TRUE:
            why = Cause(update.reason, update.message)
            return ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, why)
    return proof


def _permanent(stages: Sequence[Stage], progress: Progress, problems: Sequence[ReconcileError]) -> Cause | None:
    failures = (
        *(stage.permanent for stage in stages if stage.is_precondition),
        *(Cause.of(error) for error in (*problems, *progress.serving_errors.values()) if error.terminal),
        *(stage.permanent for stage in stages if not stage.is_precondition),
    )
    return next((failure for failure in failures if failure), None)


def _waiting(missing: list[DesiredResource], there: ObservedResources, in_flight: Mapping[str, Reason]) -> Cause:
    names = ", ".join(str(resource.key) for resource in missing)
    present = [there[resource.key] for resource in missing if resource.key in there]
    # A settled resource has a status, such as InService, that would not say why it is waited for.
    moving = next((in_flight.get(each.status) for each in present if each.status and each.phase in IN_FLIGHT), None)
    return Cause(moving or (UPDATING if present else CREATING), f"waiting for {names}")
