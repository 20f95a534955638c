"""The status as the API server keeps it: conditions with their times, the patch, and the Event about transitions."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.engine.conditions import ConditionType, ConditionUpdate
from ephemeral_endpoints.engine.reasons import Reason

_UNREPORTED: Final = frozenset({ConditionType.RECONCILING, ConditionType.STALLED})


@dataclass(frozen=True, slots=True)
class EventContent:
    """What an Event says."""

    type_: str
    reason: Reason
    message: str


def conditions(
    updates: Iterable[ConditionUpdate], before: Iterable[Condition], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Conditions whose transition times move only when their status does."""
    known = {condition.type: condition for condition in before}
    made = []
    for update in updates:
        previous = known.get(update.type)
        same = previous is not None and previous.status == update.status
        made.append(
            Condition(
                type=update.type,
                status=update.status.value,
                observed_generation=generation,
                last_transition_time=previous.last_transition_time if previous and same else now,
                reason=update.reason.name,
                message=update.message,
            )
        )
    return tuple(made)


def transitions(updates: Iterable[ConditionUpdate], before: Iterable[Condition]) -> tuple[ConditionUpdate, ...]:
    """The updates with a transition: another status or another reason."""
    known = {condition.type: (condition.status, condition.reason) for condition in before}
    return tuple(each for each in updates if known.get(each.type) != (each.status, each.reason.name))


def event_of(changed: Collection[ConditionUpdate]) -> EventContent | None:
    """One Event for simultaneous changes: each costs a write, and many of them repeat each other.

    A failure among them makes it a Warning with that failure's reason.
    """
    stalls = [each for each in changed if each.type == ConditionType.STALLED and each.is_failure]
    stages = [each for each in changed if each.type not in _UNREPORTED]
    if not stalls and not stages:
        return None
    by_message: dict[str, ConditionUpdate] = {}
    for each in (*stalls, *sorted(stages, key=lambda stage: not stage.is_failure)):
        by_message.setdefault(each.message, each)
    first, *rest = by_message.values()
    messages = [first.message, *(f"{each.type}: {each.message}" for each in rest)]
    return EventContent("Warning" if first.is_failure else "Normal", first.reason, "; ".join(messages))


def merge_patch(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON merge patch (RFC 7386) that turns ``before`` into ``after``, neither of which holds nulls.

    None if there is nothing to change.
    """
    return _changes(before, after) or None


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    changed = (key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return {key: _change(before.get(key), after.get(key)) for key in changed}


def _change(before: object, after: object) -> object:
    # Objects are merged member by member, so that a member which is to go has to be named.
    return _changes(before, after) if isinstance(before, dict) and isinstance(after, dict) else after
