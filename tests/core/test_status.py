from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api.endpoint import EphemeralEndpointStatus, Resource
from ephemeral_endpoints.core.conditions import Truth, Type, Verdict
from ephemeral_endpoints.core.resources import Have, Key, Kind, Phase
from ephemeral_endpoints.core.status import conditions, inventory, merge_patch, resolved_image, transitions

BEFORE = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW = BEFORE + timedelta(minutes=5)
CREATING = Verdict(Type.READY, Truth.FALSE, "Creating", "waits")


@pytest.mark.parametrize(
    ("verdict", "at", "told", "reason"),
    [
        (CREATING, BEFORE, False, "nothing is new"),
        (Verdict(Type.READY, Truth.FALSE, "Creating", "waits on"), BEFORE, False, "only the message is another"),
        (
            Verdict(Type.READY, Truth.FALSE, "Throttled", "waits"),
            BEFORE,
            True,
            "another reason is news, no transition",
        ),
        (Verdict(Type.READY, Truth.TRUE, "Serving", "answers"), NOW, True, "the status is another"),
        (Verdict(Type.READY, Truth.UNKNOWN, "Creating", "waits"), NOW, True, "unknown is a status too"),
        (Verdict(Type.STALLED, Truth.FALSE, "Creating", "waits"), NOW, True, "a condition that was not there"),
    ],
)
def test_the_transition_time_moves_with_the_status_only(
    verdict: Verdict,
    at: datetime,
    told: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    before = conditions([CREATING], [], generation=1, now=BEFORE)
    (after,) = conditions([verdict], before, generation=2, now=NOW)
    assert after.last_transition_time == at, reason
    assert (after.type, after.status, after.reason, after.message) == (
        verdict.type,
        verdict.truth,
        verdict.reason,
        verdict.message,
    )
    assert after.observed_generation == 2
    news = transitions(EphemeralEndpointStatus(conditions=before), EphemeralEndpointStatus(conditions=(after,)))
    assert news == ((after,) if told else ()), reason


def test_conditions_come_in_the_order_of_the_verdicts_and_old_ones_go() -> None:
    before = conditions([CREATING, Verdict(Type.MONITORED, Truth.TRUE, "Watching", "")], [], generation=1, now=BEFORE)
    after = conditions([Verdict(Type.STALLED, Truth.FALSE, "NotStalled", ""), CREATING], before, generation=1, now=NOW)
    assert [each.type for each in after] == ["Stalled", "Ready"]
    assert [each.last_transition_time for each in after] == [NOW, BEFORE]


def test_equal_inventories_are_equal_in_whatever_order_they_were_found() -> None:
    haves = [
        Have(Key(Kind.MODEL, "b"), Phase.READY, arn="arn:b"),
        Have(Key(Kind.MODEL, "a"), Phase.READY),
        Have(Key(Kind.ALARM, "c"), Phase.READY),
    ]
    one, two = (inventory({have.key: have for have in order}) for order in (haves, haves[::-1]))
    assert one == two
    assert one == (
        Resource(kind="Alarm", name="c"),
        Resource(kind="Model", name="a"),
        Resource(kind="Model", name="b", arn="arn:b"),
    )


def test_an_image_is_resolved_once_it_has_a_digest() -> None:
    assert resolved_image("uri", {"other": "sha256:1"}) is None
    found = resolved_image("uri", {"uri": "sha256:1"})
    assert found is not None
    assert (found.uri, found.digest) == ("uri", "sha256:1")


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
