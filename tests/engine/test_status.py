from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionType, ConditionUpdate
from ephemeral_endpoints.engine.reasons import CREATING, NOT_STALLED, UP_TO_DATE, UPDATING
from ephemeral_endpoints.engine.status import conditions, merge_patch, transitions

BEFORE = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW = BEFORE + timedelta(minutes=5)
BEFOREHAND = ConditionUpdate(ConditionType.READY, ConditionStatus.FALSE, CREATING, "waits")


@pytest.mark.parametrize(
    ("update", "at", "reported", "reason"),
    [
        (BEFOREHAND, BEFORE, False, "nothing is new"),
        (
            ConditionUpdate(ConditionType.READY, ConditionStatus.FALSE, CREATING, "waits on"),
            BEFORE,
            False,
            "only the message is another",
        ),
        (
            ConditionUpdate(ConditionType.READY, ConditionStatus.FALSE, UPDATING, "waits"),
            BEFORE,
            True,
            "another reason is news, no transition",
        ),
        (
            ConditionUpdate(ConditionType.READY, ConditionStatus.TRUE, UP_TO_DATE, "answers"),
            NOW,
            True,
            "the status is another",
        ),
        (
            ConditionUpdate(ConditionType.READY, ConditionStatus.UNKNOWN, CREATING, "waits"),
            NOW,
            True,
            "unknown is a status too",
        ),
        (
            ConditionUpdate(ConditionType.STALLED, ConditionStatus.FALSE, CREATING, "waits"),
            NOW,
            True,
            "a condition that was not there",
        ),
    ],
)
def test_the_transition_time_moves_with_the_status_only(
    update: ConditionUpdate,
    at: datetime,
    reported: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    before = conditions([BEFOREHAND], [], generation=1, now=BEFORE)
    (after,) = conditions([update], before, generation=2, now=NOW)
    assert after.last_transition_time == at, reason
    assert (after.type, after.status, after.reason, after.message) == (
        update.type,
        update.status,
        update.reason.name,
        update.message,
    )
    assert after.observed_generation == 2
    assert transitions([update], before) == ((update,) if reported else ()), reason


def test_conditions_come_in_the_order_of_the_updates_and_old_ones_go() -> None:
    before = conditions(
        [BEFOREHAND, ConditionUpdate("Monitored", ConditionStatus.TRUE, UP_TO_DATE, "")],
        [],
        generation=1,
        now=BEFORE,
    )
    after = conditions(
        [ConditionUpdate(ConditionType.STALLED, ConditionStatus.FALSE, NOT_STALLED, ""), BEFOREHAND],
        before,
        generation=1,
        now=NOW,
    )
    assert [each.type for each in after] == ["Stalled", "Ready"]
    assert [each.last_transition_time for each in after] == [NOW, BEFORE]


OBJECTS = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=1), inner, max_size=3),
    max_leaves=8,
).flatmap(lambda value: st.dictionaries(st.text("abc", min_size=1, max_size=1), st.just(value), max_size=3))


def applied(target: object, patch: object) -> object:
    """MergePatch of RFC 7386, word for word."""
    if not isinstance(patch, Mapping):
        return patch
    result: dict[str, Any] = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result


@given(before=OBJECTS, after=OBJECTS)
def test_the_patch_leads_from_one_to_the_other_and_is_none_where_nothing_changes(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    patch = merge_patch(before, after)
    assert (patch is None) == (before == after)
    assert applied(before, patch or {}) == after


def test_a_patch_names_what_changed_and_nothing_else() -> None:
    before = {"url": "u", "image": {"uri": "a", "digest": "d"}, "gone": 1, "same": [1]}
    after = {"url": "u", "image": {"uri": "b", "digest": "d"}, "new": [2], "same": [1]}
    assert merge_patch(before, after) == {"image": {"uri": "b"}, "gone": None, "new": [2]}
