from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.lifecycle import TtlFrom
from ephemeral_endpoints.features.expiry.activity import (
    LONGEST_LIFE,
    USE_STEPS,
    USE_TOLERANCE,
    Activity,
    first_end,
    reported,
)
from ephemeral_endpoints.features.expiry.observe import Activities

CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
R1, R2, R3 = ("1" * 40, "2" * 40, "3" * 40)


def endpoint(asked: str = R1, /, **status: Any) -> EphemeralEndpoint:  # noqa: ANN401 - as JSON
    return EphemeralEndpoint.model_validate(
        {
            "metadata": {"name": "pr-42", "namespace": "nlp", "uid": "uid-1", "creationTimestamp": CREATED.isoformat()},
            "spec": {
                "source": {"repository": "acme/sentiment", "revision": asked},
                "model": {"image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/models:1"},
            },
            "status": status,
        }
    )


def told(revision: str, hours: float) -> dict[str, Any]:
    return {"latestRevision": {"revision": revision, "since": (CREATED + hours * HOUR).isoformat()}}


@pytest.mark.parametrize(
    ("status", "hours", "reason"),
    [
        ({}, 0, "the operator has not seen the object before"),
        ({"observedGeneration": 1, **told(R1, 5)}, 5, "as the status tells"),
        ({"observedGeneration": 1, **told(R2, 5)}, None, "the status tells of an earlier one"),
        ({"observedGeneration": 1, "revision": R1}, 0, "an earlier version of the operator has served it"),
        ({"observedGeneration": 1, "revision": R2}, None, "it has served another one"),
        ({"observedGeneration": 1}, None, "or none"),
    ],
)
def test_the_status_tells_since_when_an_object_has_its_revision(
    status: dict[str, Any], hours: float | None, reason: str
) -> None:
    assert reported(endpoint(**status)).since == (None if hours is None else CREATED + hours * HOUR), reason


@pytest.mark.parametrize(
    ("generation", "hours", "reason"),
    [(1, 0, "nobody has changed it"), (2, None, "its revision may be newer than the object")],
)
def test_an_object_that_the_operator_has_not_seen_has_its_first_revision_unless_it_was_changed(
    generation: int, hours: float | None, reason: str
) -> None:
    metadata = endpoint().metadata.model_copy(update={"generation": generation})
    found = reported(endpoint().model_copy(update={"metadata": metadata})).since
    assert found == (None if hours is None else CREATED + hours * HOUR), reason


@pytest.mark.parametrize(
    ("ttl_from", "since", "used", "ends", "reason"),
    [
        (TtlFrom.CREATED, 5, 30, 24, "neither revision nor use counts"),
        (TtlFrom.CREATED, None, None, 24, "nor what is not known"),
        (TtlFrom.LAST_REVISION, 0, None, 24, "the first revision"),
        (TtlFrom.LAST_REVISION, 5, 30, 29, "a later one; use does not count"),
        (TtlFrom.LAST_REVISION, -5, None, 24, "nothing counts from before the creation"),
        (TtlFrom.LAST_REVISION, None, None, None, "a revision that has only come"),
        (TtlFrom.LAST_USE, 5, None, 29, "never used: from the revision"),
        (TtlFrom.LAST_USE, 5, 3, 30, "the revision is later; the end moves in steps of 2 hours"),
        (TtlFrom.LAST_USE, 5, 30, 56, "used within the hour after 30, which is the 31st, and a step"),
        (TtlFrom.LAST_USE, 5, 31, 56, "in steps of 2 hours"),
        (TtlFrom.LAST_USE, 5, 31.1, 58, "the next step"),
        (TtlFrom.LAST_USE, None, 30, None, "a revision that has only come"),
    ],
)
def test_the_time_to_live_counts_from_what_the_object_asks_for(
    ttl_from: TtlFrom, since: float | None, used: float | None, ends: float | None, reason: str
) -> None:
    since_at, used_at = (None if hours is None else CREATED + hours * HOUR for hours in (since, used))
    found = first_end(ttl_from, 24 * HOUR, CREATED, Activity("uid-1", R1, since_at, used_at))
    assert found == (None if ends is None else CREATED + ends * HOUR), reason


SPANS = st.integers(1, 30 * 86_400).map(lambda seconds: timedelta(seconds=seconds))


@given(SPANS, SPANS, SPANS)
def test_an_object_in_use_lives_its_time_from_the_last_use_and_hardly_longer(
    ttl: timedelta, since: timedelta, used: timedelta
) -> None:
    used_at = CREATED + used
    end = first_end(TtlFrom.LAST_USE, ttl, CREATED, Activity("uid-1", R1, CREATED + since, used_at))
    assert end is not None
    last = max(CREATED + since, used_at + USE_TOLERANCE)
    assert last + ttl <= end < last + ttl + ttl / USE_STEPS + timedelta(milliseconds=1)


@given(st.lists(SPANS, min_size=1))
def test_use_never_shortens_a_life_and_costs_few_moves(uses: list[timedelta]) -> None:
    ttl = 24 * HOUR
    ends = [
        first_end(TtlFrom.LAST_USE, ttl, CREATED, Activity("uid-1", R1, CREATED, CREATED + each))
        for each in sorted(uses)
    ]
    known = [each for each in ends if each]
    assert known == sorted(known)
    assert len(set(known)) <= max(uses) / (ttl / USE_STEPS) + 2


def test_a_new_revision_counts_from_when_it_was_noticed_until_the_status_tells_it() -> None:
    activities, pushed = Activities(), endpoint(R2, observedGeneration=1, **told(R1, 0))
    first = CREATED + 5 * HOUR + timedelta(microseconds=7)
    assert activities.of(pushed, first).since == CREATED + 5 * HOUR, "in whole seconds, as the status has them"
    assert activities.of(pushed, CREATED + 9 * HOUR).since == CREATED + 5 * HOUR, "noticed once"
    written = endpoint(R2, observedGeneration=2, **told(R2, 5))
    assert activities.of(written, CREATED + 9 * HOUR).since == CREATED + 5 * HOUR
    assert Activities().of(written, CREATED + 9 * HOUR).since == CREATED + 5 * HOUR, "a restart changes nothing"
    back = endpoint(R1, observedGeneration=2, **told(R2, 5))
    assert activities.of(back, CREATED + 10 * HOUR).since == CREATED + 10 * HOUR, "an earlier commit is a push too"
    again = endpoint(R2, observedGeneration=3, **told(R1, 10))
    assert activities.of(again, CREATED + 11 * HOUR).since == CREATED + 11 * HOUR


def test_two_pushes_before_a_status_count_from_the_second() -> None:
    activities = Activities()
    for revision, hours in ((R2, 5), (R3, 6)):
        pushed = endpoint(revision, observedGeneration=1, **told(R1, 0))
        assert activities.of(pushed, CREATED + hours * HOUR).since == CREATED + hours * HOUR


def used(hours: float | None) -> EphemeralEndpoint:
    status = {} if hours is None else {"lastUsedAt": (CREATED + hours * HOUR).isoformat()}
    return endpoint(observedGeneration=1, revision=R1, **status)


@pytest.mark.parametrize(
    ("reported_at", "noted", "is_news", "seen", "reason"),
    [
        (None, [2], True, 2, "the first use"),
        (2, [2.5], False, 2, "it costs no write within the hour"),
        (2, [3], True, 3, "an hour later it is told"),
        (2, [2.5, 3.2, 2.9], True, 3.2, "messages come in any order"),
        (5, [2], False, 5, "a message that is late"),
        (5, [], False, 5, "nothing was told"),
    ],
)
def test_a_use_is_told_once_an_hour(
    reported_at: float | None,
    noted: list[float],
    is_news: bool,  # noqa: FBT001 - a column
    seen: float,
    reason: str,
) -> None:
    activities, before = Activities(), used(reported_at)
    answers = [activities.note_use(before, CREATED + hours * HOUR) for hours in noted]
    assert (answers or [False])[-1] is is_news, reason
    assert activities.of(before, CREATED + 9 * HOUR).used_at == CREATED + seen * HOUR, reason


@given(st.lists(st.integers(0, 7 * 86_400), max_size=30))
def test_the_status_tells_the_last_use_but_for_an_hour(uses: list[int]) -> None:
    activities, writes = Activities(), 0
    told_at: datetime | None = None
    for seconds in uses:
        hours = None if told_at is None else (told_at - CREATED) / HOUR
        if activities.note_use(used(hours), CREATED + timedelta(seconds=seconds)):
            told_at, writes = activities.of(used(hours), CREATED).used_at, writes + 1
    if uses:
        assert told_at is not None
        last = CREATED + timedelta(seconds=max(uses))
        assert told_at <= last < told_at + USE_TOLERANCE
        assert writes <= timedelta(seconds=max(uses)) / USE_TOLERANCE + 1


def test_objects_are_forgotten() -> None:
    activities = Activities()
    activities.note_use(used(None), CREATED)
    activities.forget("uid-1")
    assert activities.of(used(None), CREATED).used_at is None


ANY_TIME = st.datetimes(timezones=st.just(UTC))
AT_THE_END = datetime.max.replace(microsecond=0, tzinfo=UTC)


@given(ttl_from=st.sampled_from(TtlFrom), ttl=st.timedeltas(HOUR, LONGEST_LIFE), since=ANY_TIME, used_at=ANY_TIME)
@example(ttl_from=TtlFrom.LAST_REVISION, ttl=HOUR, since=AT_THE_END, used_at=CREATED)
@example(ttl_from=TtlFrom.LAST_USE, ttl=HOUR, since=CREATED, used_at=AT_THE_END)
def test_whatever_times_a_status_tells_there_is_an_end_after_a_whole_life(
    ttl_from: TtlFrom, ttl: timedelta, since: datetime, used_at: datetime
) -> None:
    end = first_end(ttl_from, ttl, CREATED, Activity("uid-1", R1, since, used_at))
    assert end is not None
    assert CREATED + ttl <= end <= CREATED + 3 * LONGEST_LIFE


@pytest.mark.parametrize(
    ("told_at", "used_at", "reason"),
    [
        (CREATED - 2 * HOUR, CREATED - HOUR, "up to an hour later than the status tells"),
        (CREATED - HOUR / 2, CREATED, "not later than the process began: what came since it knows itself"),
        (CREATED + HOUR, CREATED + HOUR, "as another process has told"),
        (AT_THE_END, AT_THE_END, "there is no time an hour later"),
    ],
)
def test_since_when_an_object_was_not_used_as_far_as_the_status_tells(
    told_at: datetime, used_at: datetime, reason: str
) -> None:
    told = endpoint(lastUsedAt=told_at.isoformat())
    assert Activities().last_use(told, started_at=CREATED) == used_at, reason
