"""From what was wanted, seen and tried to what people and tools read: the conditions of an object.

Conditions follow kstatus (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md): ``Ready``,
and the abnormal-true ``Reconciling`` and ``Stalled``; beside them one condition per stage.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from ephemeral_endpoints.core.errors import InProgress, Problem
from ephemeral_endpoints.core.failures import STUCK, Endpoints, Failure, worst
from ephemeral_endpoints.core.images import ImageState
from ephemeral_endpoints.core.plan import Desired, is_ready
from ephemeral_endpoints.core.resources import IN_FLIGHT, Have, Haves, Key, Kind, Want
from ephemeral_endpoints.core.serving import SERVING_KINDS

MESSAGE_LENGTH: Final = 1500
RETAINED: Final = "Retained"
"""The reason of an object whose things all carry the tag that keeps them."""


class Type(StrEnum):
    """The types of conditions, in the order in which a person reads them."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    IMAGE_READY = "ImageReady"
    ENDPOINT_READY = "EndpointReady"
    ROUTE_READY = "RouteReady"
    MONITORED = "Monitored"


class Truth(StrEnum):
    """The status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition without its times."""

    type: Type
    truth: Truth
    reason: str
    message: str


STAGES: Final[Mapping[Type, frozenset[Kind]]] = {
    Type.ENDPOINT_READY: SERVING_KINDS,
    Type.ROUTE_READY: frozenset({Kind.FUNCTION, Kind.INTEGRATION, Kind.ROUTE}),
    Type.MONITORED: frozenset({Kind.LOG_GROUP, Kind.ALARM}),
}

_DONE: Final = {
    Type.ENDPOINT_READY: ("InService", "the endpoint serves this revision"),
    Type.ROUTE_READY: ("Routed", "the URL leads to the endpoint"),
    Type.MONITORED: ("Watching", "logs are kept and alarms are set"),
}
_FOR_IMAGE: Final = ("WaitingForImage", "waits for the image")
_FOR_TOKEN: Final = ("WaitingForToken", "waits for the token")


@dataclass(frozen=True, slots=True)
class Situation:
    """All that is known of one object at the end of a reconciliation.

    ``image`` is None while it could not be looked up. ``answered`` says whether a request through the URL was
    answered, None if none was tried. ``problems`` are errors that concern no single resource, such as missing
    credentials. ``path_holder`` is the object that has the path.
    """

    desired: Desired
    own: Haves
    others: Haves
    image: ImageState | None
    errors: Mapping[Key, Problem] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    path_holder: str | None = None
    answered: bool | None = None
    answer: str = ""
    last_lines: tuple[str, ...] = ()
    endpoints: Endpoints = field(default_factory=Endpoints)
    note: str = ""
    token_secret: str | None = None


def of_living(situation: Situation) -> tuple[Verdict, ...]:
    """The conditions of an object that should serve."""
    stages = (_image(situation), *(_stage(type_, kinds, situation) for type_, kinds in STAGES.items()))
    ready = _ready(stages, situation)
    leftover = _leftover_problem(situation)
    if ready.truth is Truth.TRUE and leftover:
        # What is not wanted any more resists its deletion: that is work to do, but it does not take the service away.
        remains = _verdict(Type.READY, Truth.FALSE, leftover.reason, str(leftover))
        return (ready, *_progress(remains, done=False, final=None), *stages)
    return (ready, *_progress(ready, done=ready.truth is Truth.TRUE, final=_final(situation)), *stages)


def of_leaving(reason: str, message: str, left: Iterable[Have], errors: Collection[Problem]) -> tuple[Verdict, ...]:
    """The conditions of an object that is deleted or expired: nothing serves, and what is left goes."""
    remaining = sorted(str(have.key) for have in left)
    problems = [str(error) for error in errors if not isinstance(error, InProgress)]
    final = next((error for error in errors if error.final), None)
    if remaining:
        message = f"{message}; still in AWS: {', '.join(remaining)}"
    if problems:
        message = f"{message}; {problems[0]}"
    ready = _verdict(Type.READY, Truth.FALSE, reason, message)
    return (ready, *_progress(ready, done=not remaining, final=(final.reason, str(final)) if final else None))


def of_retained(why: str, kept: Iterable[Have], *, is_marked: bool, problem: Problem | None) -> tuple[Verdict, ...]:
    """The conditions of an object whose things stay in AWS; ``problem`` keeps them from being marked as such."""
    names = ", ".join(sorted(str(have.key) for have in kept)) or "nothing"
    state = "stays in AWS as spec.lifecycle.deletionPolicy asks" if is_marked else "is being tagged in order to stay"
    told = f": {problem}" if problem else ""
    ready = _verdict(
        Type.READY, Truth.FALSE, RETAINED if is_marked else "Retaining", f"{why}; {state}{told}; in AWS: {names}"
    )
    final = (problem.reason, str(problem)) if problem and problem.final else None
    return (ready, *_progress(ready, done=is_marked, final=final))


def of_suspended() -> tuple[Verdict, ...]:
    """The conditions that change when an object is suspended; what is known of its service stands."""
    message = "spec.suspend is true: nothing is made, changed or repaired"
    return (
        _verdict(Type.RECONCILING, Truth.FALSE, "Suspended", message),
        _verdict(Type.STALLED, Truth.FALSE, "NotStalled", "nothing stands in the way for good"),
    )


def without_class(message: str) -> tuple[Verdict, ...]:
    """The conditions of an object whose class does not exist (yet)."""
    ready = _verdict(Type.READY, Truth.FALSE, "ClassNotFound", message)
    return (ready, *_progress(ready, done=False, final=None))


def without_account(problem: Problem) -> tuple[Verdict, ...]:
    """The conditions that change when AWS cannot be used at all.

    What is known of the stages stands, but nobody can say whether it still holds.
    """
    ready = _verdict(Type.READY, Truth.UNKNOWN, problem.reason, str(problem))
    return (ready, *_progress(ready, done=False, final=(problem.reason, str(problem)) if problem.final else None))


def _progress(ready: Verdict, *, done: bool, final: tuple[str, str] | None) -> tuple[Verdict, Verdict]:
    if final:
        awaited = "AWS to end what it does" if final[0] == STUCK else "a change of the spec or of the class"
        return (
            _verdict(Type.RECONCILING, Truth.FALSE, final[0], f"waits for {awaited}"),
            _verdict(Type.STALLED, Truth.TRUE, *final),
        )
    stalled = _verdict(Type.STALLED, Truth.FALSE, "NotStalled", "nothing stands in the way for good")
    if done:
        return _verdict(Type.RECONCILING, Truth.FALSE, "UpToDate", "nothing is left to do"), stalled
    return _verdict(Type.RECONCILING, Truth.TRUE, ready.reason, ready.message), stalled


def _ready(stages: tuple[Verdict, ...], situation: Situation) -> Verdict:
    if situation.problems:
        return _verdict(Type.READY, Truth.FALSE, situation.problems[0].reason, str(situation.problems[0]))
    for stage in stages:
        if stage.truth is not Truth.TRUE:
            return _verdict(Type.READY, Truth.FALSE, stage.reason, stage.message)
    if not situation.answered:
        return _verdict(Type.READY, Truth.FALSE, "NotAnswering", situation.answer or "the URL has not answered yet")
    message = "a request through the URL was answered"
    return _verdict(Type.READY, Truth.TRUE, "Serving", f"{message}; {situation.note}" if situation.note else message)


def _final(situation: Situation) -> tuple[str, str] | None:
    if situation.image and situation.image.problem and situation.image.problem.is_final:
        return situation.image.problem, situation.image.message
    for error in (*situation.problems, *_errors_of_wants(situation).values()):
        if error.final:
            return error.reason, str(error)
    failure = _endpoint_failure(situation)
    if failure and failure.final:
        return failure.reason, failure.message
    return None


def _image(situation: Situation) -> Verdict:
    if situation.image is None:
        return _verdict(Type.IMAGE_READY, Truth.UNKNOWN, "NotLookedUp", "the image has not been looked up in ECR yet")
    if situation.image.problem:
        return _verdict(Type.IMAGE_READY, Truth.FALSE, situation.image.problem, situation.image.message)
    return _verdict(Type.IMAGE_READY, Truth.TRUE, "Pinned", f"pinned to {situation.image.digest}")


def _stage(type_: Type, kinds: frozenset[Kind], situation: Situation) -> Verdict:
    if error := next((error for key, error in _errors_of_wants(situation).items() if key.kind in kinds), None):
        return _verdict(type_, Truth.FALSE, error.reason, str(error))
    if type_ is Type.ENDPOINT_READY and (failure := _endpoint_failure(situation)):
        return _verdict(type_, Truth.FALSE, failure.reason, failure.message)
    if type_ is Type.ROUTE_READY and situation.path_holder:
        remedy = "choose another spec.api.path or delete that object"
        message = f"the path belongs to {situation.path_holder}, which is older: {remedy}"
        return _verdict(type_, Truth.FALSE, "PathConflict", message)
    if kinds & situation.desired.hold:
        return _verdict(type_, Truth.FALSE, *(_FOR_IMAGE if type_ is Type.ENDPOINT_READY else _FOR_TOKEN))
    there = {**situation.others, **situation.own}
    missing = [want for want in situation.desired.wants if want.key.kind in kinds and not is_ready(want, there)]
    if missing:
        return _verdict(type_, Truth.FALSE, *_waiting(missing, there))
    reason, message = _DONE[type_]
    if type_ is Type.ROUTE_READY and situation.token_secret:
        message = f"{message}; callers show the token that is in the Secret {situation.token_secret}"
    return _verdict(type_, Truth.TRUE, reason, message)


def _errors_of_wants(situation: Situation) -> dict[Key, Problem]:
    wanted = {want.key for want in situation.desired.wants}
    return {key: error for key, error in situation.errors.items() if key in wanted}


def _leftover_problem(situation: Situation) -> Problem | None:
    wanted = _errors_of_wants(situation)
    return next((error for key, error in situation.errors.items() if key not in wanted), None)


def _waiting(missing: list[Want], there: Haves) -> tuple[str, str]:
    names = ", ".join(str(want.key) for want in missing)
    present = [there[want.key] for want in missing if want.key in there]
    # What is at rest has a status of its own, such as InService, that would not say why it is waited for.
    moving = next((have.status for have in present if have.status and have.phase in IN_FLIGHT), None)
    return moving or ("Updating" if present else "Creating"), f"waits for {names}"


def _endpoint_failure(situation: Situation) -> Failure | None:
    failure = worst(situation.endpoints, situation.desired.wants, situation.own)
    return replace(failure, message=_with_lines(failure.message, situation.last_lines)) if failure else None


def _with_lines(message: str, lines: tuple[str, ...]) -> str:
    return f"{message} Its last lines: {' | '.join(lines)}" if lines else message


def _verdict(type_: Type, truth: Truth, reason: str, message: str) -> Verdict:
    printable = "".join(character if character.isprintable() else " " for character in message)
    return Verdict(type_, truth, str(reason), printable[:MESSAGE_LENGTH].strip() or str(reason))
