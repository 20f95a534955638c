from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from ephemeral_endpoints.engine.names import Names, api_name
from ephemeral_endpoints.engine.tags import (
    CLASS,
    CLUSTER,
    EXPIRES_AT,
    NAME,
    NAMESPACE,
    RETAIN,
    UID,
    class_tags,
    owner_tags,
    timestamp,
)
from ephemeral_endpoints.features.expiry.reaper.policy import (
    Choice,
    Rules,
    choose,
    expired,
    is_of_class,
    is_of_object,
    past,
)

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
RULES = Rules("c1", "default")
CUTOFF = NOW - RULES.grace
HOUR = timedelta(hours=1)


def tags(uid: str = "u-1", *, ended: timedelta = 30 * HOUR, changes: Mapping[str, str] | None = None) -> dict[str, str]:
    found = owner_tags(
        cluster_id="c1",
        namespace="nlp",
        name="pr-42",
        uid=uid,
        class_name="default",
        created_at=NOW - 99 * HOUR,
        expires_at=NOW - ended,
        pull_request=42,
    )
    return {**dict(found), **(changes or {})}


def test_a_grace_below_an_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1:00:00"):
        Rules("c1", "default", grace=timedelta(minutes=59))


def test_ends_are_taken_in_their_order_and_what_is_no_time_is_nobodys() -> None:
    values = [timestamp(NOW - 25 * HOUR), timestamp(NOW - 23 * HOUR), "never", "", timestamp(NOW - 90 * HOUR)]
    assert past(values, CUTOFF) == [timestamp(NOW - 90 * HOUR), timestamp(NOW - 25 * HOUR)]


@pytest.mark.parametrize(
    ("found", "due", "reason"),
    [
        ({"a": tags(), "b": tags()}, ["u-1"], "all is past its end"),
        ({"a": tags(), "b": tags(ended=23 * HOUR)}, [], "one names a later end: extended"),
        ({"a": tags(), "b": tags(changes={EXPIRES_AT: "soon"})}, [], "an end that nobody can read is none"),
        ({"a": tags(), "b": tags(changes={RETAIN: "true"})}, [], "retained"),
        ({"a": tags(), "b": tags("u-2", ended=40 * HOUR)}, ["u-2", "u-1"], "the earliest first"),
        ({"a": {CLUSTER: "c1"}}, [], "without an owner"),
    ],
)
def test_objects_are_due_as_a_whole(found: dict[str, dict[str, str]], due: list[str], reason: str) -> None:
    assert [each.uid for each in expired(found, CUTOFF)] == due, reason


@pytest.mark.parametrize(
    ("ended", "total", "choice", "reason"),
    [
        ([30] * 5, 5, (5, 0), "a few may go however few there are"),
        ([30] * 6, 6, (0, 6), "all at once: another grace"),
        ([60] * 6, 6, (6, 0), "that grace is over too: an account without an operator ends empty"),
        ([60] * 4 + [30] * 4, 8, (4, 4), "each has its own"),
        ([30] * 20, 100, (20, 0), "a fifth of all"),
        ([30] * 21, 100, (0, 21), "more than a fifth"),
        ([30] * 6, 0, (0, 6), "how many there are is not known"),
    ],
)
def test_so_many_go_at_once(ended: list[int], total: int, choice: tuple[int, int], reason: str) -> None:
    found = {f"arn-{number:03}": tags(f"u-{number}", ended=each * HOUR) for number, each in enumerate(ended)}
    made: Choice = choose(expired(found, CUTOFF), total, RULES, NOW)
    assert (len(made.free), made.held) == choice, reason


@pytest.mark.parametrize(
    ("name", "changes", "ours", "reason"),
    [
        (Names("c1", "pr-42", "u-1").base, {}, True, "the name and the tags"),
        (Names("c1", "pr-42", "u-1").base, {UID: "u-2"}, False, "a forged owner"),
        (Names("c1", "pr-42", "u-2").base, {}, False, "another object's name"),
        (Names("c1", "pr-42", "u-1").base, {CLASS: "gpu"}, False, "another class"),
        (Names("c1", "pr-42", "u-1").base, {CLUSTER: "c2"}, False, "another cluster"),
        ("eep-c1-billing", {}, False, "a stranger's name with copied tags"),
    ],
)
def test_the_name_and_the_tags_together_prove_an_owner(
    name: str,
    changes: dict[str, str],
    ours: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    assert is_of_object(name, tags(changes=changes), RULES, "u-1") is ours, reason


@pytest.mark.parametrize(
    ("changes", "ours", "reason"),
    [
        ({}, True, "what the class's objects share"),
        ({NAMESPACE: "nlp"}, False, "an object's"),
        ({NAME: "gpu"}, False, "another class's"),
        ({RETAIN: "true"}, False, "retained"),
        ({UID: "other"}, False, "not the name's owner"),
    ],
)
def test_what_a_class_shares_is_known_by_its_name_and_tags(
    changes: dict[str, str],
    ours: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    shared = dict(class_tags(cluster_id="c1", name="default", uid="c-uid")) | changes
    assert is_of_class(api_name("c1", "default", "c-uid"), shared, RULES) is ours, reason
