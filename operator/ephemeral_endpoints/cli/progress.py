"""What an object's conditions mean for somebody who waits for it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.output import BAD, WAITING, stage_colour
from ephemeral_endpoints.engine.conditions import ConditionType
from ephemeral_endpoints.features.capacity.budget_stage import WITHIN_BUDGET
from ephemeral_endpoints.features.checks.comparison.reasons import COMPARED, FIRST_REVISION
from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED, INCONCLUSIVE
from ephemeral_endpoints.features.expiry.stage import EXPIRING, PULL_REQUEST_OPEN
from ephemeral_endpoints.features.reviews.policy import PUBLISHED
from ephemeral_endpoints.features.routing.capture.reasons import CAPTURED
from ephemeral_endpoints.features.routing.postprocessing.reasons import POSTPROCESSED
from ephemeral_endpoints.features.sleep.policy import ACTIVE

SUMMARIES: Final = frozenset({ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED})
"""The conditions that repeat what those of the stages say."""

_FOLLOWING: Final = frozenset(
    {ACTIVE, PULL_REQUEST_OPEN, CHECKS_PASSED, CAPTURED, COMPARED, EXPIRING, POSTPROCESSED, PUBLISHED, WITHIN_BUDGET}
)
"""The conditions of which none keeps an object from being ready."""

_UNDECIDED: Final = frozenset({INCONCLUSIVE.name, FIRST_REVISION.name})
"""The reasons with which a condition stays Unknown until somebody does something."""


class Outcome(Enum):
    """Whether the wait is over."""

    PENDING = auto()
    DONE = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Goal:
    """What is waited for: a condition that is True for the newest generation, and for ``revision`` if there is one."""

    condition: str = ConditionType.READY
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, and for people why."""

    outcome: Outcome
    message: str = ""


def current_conditions(endpoint: EphemeralEndpoint) -> Mapping[str, Condition]:
    """The conditions that are about the object's newest generation, by their types."""
    generation = endpoint.metadata.generation
    if endpoint.status.observed_generation != generation:
        return {}
    return {each.type: each for each in endpoint.status.conditions if each.observed_generation == generation}


def judge(endpoint: EphemeralEndpoint, goal: Goal) -> Verdict:
    """Whether an object has reached the goal, never can, or may yet.

    It never can, in the words of kstatus, when it is stalled, or when nothing is being done that could still change it,
    as for an object that is suspended or has expired. Whatever the operator tries again is no failure.
    """
    if endpoint.metadata.deletion_timestamp:
        return Verdict(Outcome.FAILED, "the object is being deleted")
    current = current_conditions(endpoint)
    if unseen := _unseen(endpoint, goal, current):
        return Verdict(Outcome.PENDING, unseen)
    awaited = current.get(goal.condition)
    if awaited and awaited.status == "True":
        return Verdict(Outcome.DONE)
    final = _final(current)
    if final and not _is_under_way(awaited, current):
        return Verdict(Outcome.FAILED, said(awaited if awaited and _is_ready(current) else final))
    return Verdict(Outcome.PENDING, _pending(goal, current))


def _unseen(endpoint: EphemeralEndpoint, goal: Goal, current: Mapping[str, Condition]) -> str | None:
    """Why the conditions say nothing of what is waited for yet; None if they do."""
    asked, served = endpoint.revision, endpoint.status.revision
    if goal.revision and not _is_same(asked, goal.revision):
        return f"the object still asks for the revision {asked}, not for {goal.revision}"
    if not current:
        return "the operator has not seen this version of the object yet"
    if _is_ready(current) and served and not _is_same(served, asked):
        # A commit that is followed is no new generation: the conditions are about the one before.
        return f"the endpoint still serves the revision {served}"
    return None


def colour_of(condition: Condition, *, is_stalled: bool) -> str:
    """The colour of a condition of a stage, or of what follows them."""
    if condition.type == EXPIRING or (condition.type == ACTIVE and condition.status == "False"):
        return WAITING
    if condition.type == CHECKS_PASSED and condition.status == "False":
        return BAD
    return stage_colour(condition.status, is_stalled=is_stalled)


def _is_ready(current: Mapping[str, Condition]) -> bool:
    ready = current.get(ConditionType.READY)
    return ready is not None and ready.status == "True"


def _is_under_way(awaited: Condition | None, current: Mapping[str, Condition]) -> bool:
    """Whether it is about what follows readiness, such as checks, and not known yet."""
    is_unknown = awaited is not None and awaited.status == "Unknown" and awaited.reason not in _UNDECIDED
    return is_unknown and _is_ready(current)


def _final(current: Mapping[str, Condition]) -> Condition | None:
    """The condition that says why nothing will change any more; None while something may."""
    stalled, reconciling = current.get(ConditionType.STALLED), current.get(ConditionType.RECONCILING)
    if stalled and stalled.status == "True":
        return stalled
    if reconciling and reconciling.status == "False":
        return _blocking(current) or reconciling
    return None


def changes(endpoint: EphemeralEndpoint, before: Mapping[str, Condition]) -> list[Condition]:
    """The conditions of stages that are not as they were ``before``, apart from their times."""
    return [
        each
        for each in current_conditions(endpoint).values()
        if each.type not in SUMMARIES and _content(each) != _content(before.get(each.type))
    ]


def _pending(goal: Goal, current: Mapping[str, Condition]) -> str:
    awaited = current.get(goal.condition)
    if awaited is None:
        return f"the object has no condition {goal.condition}"
    return said(awaited if _is_ready(current) else _blocking(current) or awaited)


def _blocking(current: Mapping[str, Condition]) -> Condition | None:
    """The condition that says best what is missing: the first stage that is not done, or else Ready itself."""
    others = SUMMARIES | _FOLLOWING
    stages = (each for each in current.values() if each.type not in others and each.status != "True")
    ready = current.get(ConditionType.READY)
    return next(stages, None) or (ready if ready and ready.status != "True" else None)


def said(condition: Condition) -> str:
    """What a condition says, on one line."""
    return f"{condition.reason}: {condition.message}"


def _content(condition: Condition | None) -> tuple[str, str, str] | None:
    return (condition.status, condition.reason, condition.message) if condition else None


def _is_same(one: str, other: str) -> bool:
    """Whether two SHAs, each of which may be abbreviated, name the same commit."""
    return one.startswith(other) or other.startswith(one)
