"""What an object's conditions mean for somebody who waits for it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.conditions import ConditionType

SUMMARIES: Final = frozenset({ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED})
"""The conditions that repeat what those of the stages say."""


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
    asked = endpoint.spec.source.revision
    if goal.revision and not _is_same(asked, goal.revision):
        return Verdict(Outcome.PENDING, f"the object still asks for the revision {asked}, not for {goal.revision}")
    current = current_conditions(endpoint)
    if not current:
        return Verdict(Outcome.PENDING, "the operator has not seen this version of the object yet")
    awaited = current.get(goal.condition)
    if awaited and awaited.status == "True":
        return _reached(endpoint, goal)
    if final := _final(current):
        return Verdict(Outcome.FAILED, said(final))
    return Verdict(Outcome.PENDING, _pending(goal, current))


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


def _reached(endpoint: EphemeralEndpoint, goal: Goal) -> Verdict:
    served = endpoint.status.revision
    if goal.revision and goal.condition == ConditionType.READY and not (served and _is_same(served, goal.revision)):
        return Verdict(Outcome.PENDING, f"the endpoint still serves the revision {served or '(none)'}")
    return Verdict(Outcome.DONE)


def _pending(goal: Goal, current: Mapping[str, Condition]) -> str:
    awaited = current.get(goal.condition)
    if awaited is None:
        return f"the object has no condition {goal.condition}"
    return said(_blocking(current) or awaited)


def _blocking(current: Mapping[str, Condition]) -> Condition | None:
    """The condition that says best what is missing: the first stage that is not done, or else Ready itself."""
    stages = (each for each in current.values() if each.type not in SUMMARIES and each.status != "True")
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
