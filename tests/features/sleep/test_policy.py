"""One life of an object on instances: created at 00:00 on Tuesday, in the hours of ``at``."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import endpoint, make_class, subject

from ephemeral_endpoints.api import SLEEP_ANNOTATION, WAKE_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.sleep import AwakeSchedule, Sleep
from ephemeral_endpoints.features.sleep.policy import (
    Calls,
    Rest,
    Use,
    commanded_at,
    decide,
    later_than,
    refusal,
    rest_of,
    rules_of,
    use_of,
    wakes_on_request,
)
from ephemeral_endpoints.features.subject import Subject

DAY = datetime(2026, 12, 1, tzinfo=UTC)
INSTANCES: dict[str, Any] = {"serving": {"instances": {"type": "ml.m5.large"}}}
QUEUE = {"events": {"queueName": "eep-events"}}
IDLE = Sleep(idle_timeout=timedelta(hours=2))
HOURS = Sleep(schedule=AwakeSchedule(awake=("Mon-Fri 08:00-19:00",)))
BOTH = Sleep(idle_timeout=timedelta(hours=2), schedule=HOURS.schedule)


def at(hours: float) -> datetime:
    return DAY + timedelta(hours=hours)


NEW = Use(created_at=at(0), active_since=at(0), ready_since=at(0))


def use(**changes: Any) -> Use:  # noqa: ANN401 - fields of several types
    return replace(NEW, **changes)


@pytest.mark.parametrize(
    ("rules", "known", "hour", "sleeps", "next_hour", "reason"),
    [
        (None, NEW, 99, False, None, "without rules it never sleeps"),
        (Sleep(), NEW, 99, False, None, "nor with empty ones"),
        (IDLE, NEW, 1.9, False, 2, "it has just been created"),
        (IDLE, NEW, 2, True, None, "nobody has used it"),
        (IDLE, use(used_at=at(1)), 2, False, 3, "somebody has"),
        (IDLE, use(used_at=at(1)), 3, True, None, "two hours after that"),
        (IDLE, use(ready_since=at(1.5)), 3, False, 3.5, "a revision was rolled out meanwhile"),
        (IDLE, use(active_since=at(1.5)), 3, False, 3.5, "it was woken meanwhile"),
        (IDLE, use(wake_at=at(1.5)), 3, False, 3.5, "it was told to be awake"),
        (IDLE, use(is_changing=True), 9, False, None, "never while it changes"),
        (IDLE, use(is_ready=False), 9, False, None, "nor before it is ready"),
        (IDLE, use(is_ready=False, is_asleep=True), 9, True, None, "an outage wakes nobody"),
        (IDLE, use(is_certain=False), 9, False, 9 + 1 / 60, "the clocks differ: nobody knows how long ago that was"),
        (IDLE, use(is_certain=False, is_asleep=True), 9, True, None, "clocks that differ wake nobody"),
        (HOURS, NEW, 8, False, 19, "the hours begin"),
        (HOURS, NEW, 18.9, False, 19, "they last, whether it is used or not"),
        (HOURS, NEW, 19, True, 32, "they end"),
        (HOURS, use(used_at=at(18.8)), 19, False, 19.3, "they end while it is used"),
        (HOURS, use(used_at=at(18.8)), 19.3, True, 32, "half an hour later"),
        (HOURS, use(wake_at=at(22)), 22.1, False, 22.5, "woken at night"),
        (HOURS, use(wake_at=at(22)), 22.5, True, 32, "not for long"),
        (HOURS, use(used_at=at(18)), 32, False, 43, "the next morning"),
        (BOTH, NEW, 12, False, 19, "hours come before idleness"),
        (BOTH, use(used_at=at(18)), 19.5, False, 20, "after hours its own time counts"),
        (BOTH, use(used_at=at(18)), 20, True, 32, "until that is over"),
        (None, use(sleep_at=at(5)), 5, True, None, "by a command, without any rules"),
        (IDLE, use(sleep_at=at(1)), 1, True, None, "by a command, before it would by itself"),
        (HOURS, use(sleep_at=at(10)), 10, True, 32, "by a command within hours, until the next begin"),
        (HOURS, use(sleep_at=at(10)), 32, False, 43, "which has come"),
        (None, use(sleep_at=at(5), wake_at=at(6)), 7, False, None, "the later command counts"),
        (None, use(sleep_at=at(6), wake_at=at(5)), 7, True, None, "whichever it is"),
        (None, use(sleep_at=at(5), wake_at=at(5)), 7, False, None, "of the same second the one that harms nobody"),
        (None, use(sleep_at=at(5), active_since=at(6)), 7, False, None, "a change has woken it"),
        (None, use(sleep_at=at(5), is_changing=True), 7, False, None, "a command waits for a rollout and for checks"),
        (None, use(sleep_at=at(5), used_at=at(6)), 7, True, None, "use wakes nobody: a notice of it does"),
        (None, use(sleep_at=at(9)), 7, True, None, "the clock of who commands is ahead"),
        (IDLE, use(wake_at=at(20)), 19, False, 22, "a time to come keeps it awake until then"),
    ],
)
def test_an_object_sleeps_by_command_by_its_hours_or_when_nobody_uses_it(
    rules: Sleep | None, known: Use, hour: float, next_hour: float | None, reason: str, *, sleeps: bool
) -> None:
    found = decide(rules, known, at(hour))
    assert found.is_asleep is sleeps, reason
    assert found.next_at == (None if next_hour is None else at(next_hour)), reason


MOMENTS = st.none() | st.integers(0, 600).map(lambda minutes: DAY + timedelta(minutes=minutes))
USES = st.builds(
    Use,
    created_at=st.just(DAY),
    sleep_at=MOMENTS,
    wake_at=MOMENTS,
    used_at=MOMENTS,
    active_since=MOMENTS,
    ready_since=MOMENTS,
    is_changing=st.booleans(),
    is_ready=st.booleans(),
)


@given(st.sampled_from((None, Sleep(), IDLE, HOURS, BOTH)), USES, st.integers(600, 6000))
def test_nothing_changes_before_the_time_that_is_named_and_then_it_is_decided_anew(
    rules: Sleep | None, known: Use, minute: int
) -> None:
    now = DAY + timedelta(minutes=minute)
    found = decide(rules, known, now)
    just_before = found.next_at - timedelta(seconds=1) if found.next_at else now + timedelta(days=30)
    if just_before > now:
        assert decide(rules, known, just_before) == found
    assert found.next_at is None or found.next_at > now
    assert not (found.is_asleep and known.is_changing)


@given(st.sampled_from((None, Sleep(), IDLE, HOURS, BOTH)), USES, st.integers(600, 6000))
def test_who_sleeps_stays_asleep_once_that_is_written(rules: Sleep | None, known: Use, minute: int) -> None:
    now = DAY + timedelta(minutes=minute)
    if decide(rules, known, now).is_asleep:
        written = replace(known, is_asleep=True, active_since=None, ready_since=None, is_ready=False)
        assert decide(rules, written, now).is_asleep


def sleeper(status: dict[str, Any] | None = None, annotations: dict[str, str] | None = None, **spec: Any) -> Subject:  # noqa: ANN401
    changes = {"spec": {**INSTANCES, **spec}, "status": status or {}, "metadata": {"annotations": annotations or {}}}
    return Subject("c1", endpoint(changes), make_class({"spec": QUEUE}))


def condition(type_: str, status: str, since: str = "2026-12-01T01:00:00Z", generation: int = 1) -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": "X",
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }


SERVED: dict[str, Any] = {
    "observedGeneration": 1,
    "revision": "1f0c2a9",
    "conditions": [condition("Ready", "True"), condition("EndpointReady", "True"), condition("Active", "True")],
}
ASLEEP = {**SERVED, "conditions": [condition("Ready", "True"), condition("Active", "False")]}


@pytest.mark.parametrize(
    ("status", "changed", "reason"),
    [
        ({}, True, "nothing is served yet"),
        (SERVED, False, "everything is"),
        ({**SERVED, "revision": "0000000"}, True, "another commit is"),
        (ASLEEP, False, "asleep, everything is as it was"),
        ({**SERVED, "conditions": [condition("Active", "False", generation=0)]}, True, "the spec was changed"),
        ({"revision": "1f0c2a9", "observedGeneration": 0}, True, "the same of one that has never slept"),
    ],
)
def test_a_change_of_spec_or_commit_is_seen(status: dict[str, Any], reason: str, *, changed: bool) -> None:
    assert use_of(sleeper(status), Calls(), at(9), is_busy=False).is_changing is changed, reason


def test_what_is_written_counts() -> None:
    annotations = {SLEEP_ANNOTATION: "2026-12-01T05:00:00+01:00", WAKE_ANNOTATION: "whenever"}
    known = use_of(sleeper(SERVED, annotations), Calls(at(3)), at(9), is_busy=False)
    expected = (at(4), None, at(3), at(1), at(1))
    assert (known.sleep_at, known.wake_at, known.used_at, known.active_since, known.ready_since) == expected
    assert not known.is_asleep
    asleep = use_of(sleeper(ASLEEP), Calls(at(8)), at(9), is_busy=False)
    assert (asleep.is_asleep, asleep.active_since, asleep.ready_since, asleep.used_at) == (True, None, None, None)
    assert use_of(sleeper(SERVED), Calls(), at(9), is_busy=True).is_changing


@pytest.mark.parametrize("text", ["", "soon", "9999-12-31T23:59:59Z", "2027-12-31T00:00:00Z"])
def test_a_command_of_no_time_or_of_one_far_ahead_is_none(text: str) -> None:
    assert commanded_at(text, at(9)) is None
    assert later_than(text, at(9)) == at(9)


def test_a_command_counts_although_the_opposite_one_is_of_a_clock_that_is_ahead() -> None:
    assert later_than("2026-12-01T12:00:00Z", at(9)) == at(12) + timedelta(seconds=1)
    assert later_than("2026-12-01T08:00:00Z", at(9)) == at(9)


def test_only_what_costs_while_it_is_idle_and_loses_no_request_sleeps() -> None:
    asynchronous = {"instances": {"type": "ml.m5.large"}, "asynchronous": {"s3Uri": "s3://bucket/x"}}
    command = {"metadata": {"annotations": {SLEEP_ANNOTATION: "2026-12-01T05:00:00Z"}}, "status": SERVED}
    endpoint_class = make_class({"spec": {**QUEUE, "sleep": {"idleTimeout": "1h"}}})
    for serving, sleeps, answers in (
        ({}, False, False),
        ({"serverless": {"maxConcurrency": 2}}, False, False),
        (asynchronous, False, False),
        (INSTANCES["serving"], True, False),
        ({"serverless": {"provisionedConcurrency": 1}}, True, True),
    ):
        made = Subject("c1", endpoint({**command, "spec": {"serving": serving}}), endpoint_class)
        spent = Rest(is_asleep=True, why="a budget is spent", is_forced=True)
        for rest in (rest_of(made, Calls(), at(9), is_busy=False, forced=forced) for forced in (Rest(), spent)):
            assert (rest.is_asleep, rest.answers) == (sleeps, answers)
            assert rest.is_stopped is (sleeps and not answers)
        assert (rules_of(made) is not None) is sleeps
        assert wakes_on_request(made) is sleeps


def test_an_object_has_its_own_rules_or_those_of_its_class() -> None:
    endpoint_class = {**QUEUE, "sleep": {"idleTimeout": "1h"}}
    assert rules_of(subject(INSTANCES, endpoint_class)) == Sleep(idle_timeout=timedelta(hours=1))
    assert rules_of(subject({**INSTANCES, "sleep": {}}, endpoint_class)) == Sleep()
    assert rules_of(subject(INSTANCES)) is None


@pytest.mark.parametrize(
    ("spec", "policy", "message"),
    [
        ({"sleep": {}}, {}, "set spec.sleep.wakeOn to Command"),
        ({"sleep": {"wakeOn": "Command"}}, {}, ""),
        ({"sleep": {"wakeOn": "Command", "idleTimeout": "2h"}}, {}, "remove spec.sleep.idleTimeout"),
        ({"sleep": {}}, QUEUE, ""),
        ({}, {}, ""),
        (
            {"sleep": {"schedule": {"awake": ["Mon 08:00-09:00"], "timeZone": "Europe/Berln"}}},
            QUEUE,
            "timeZone Europe/Berln in spec.sleep is no time zone",
        ),
        (
            {},
            {**QUEUE, "sleep": {"schedule": {"awake": ["Mon 08:00-09:00"], "timeZone": "Mars/Base"}}},
            "timeZone Mars/Base in sleep of the class is no time zone",
        ),
    ],
)
def test_what_could_not_wake_or_names_no_zone_is_refused(
    spec: dict[str, Any], policy: dict[str, Any], message: str
) -> None:
    refused = refusal(subject({**INSTANCES, **spec}, policy))
    assert message in str(refused) if message else refused is None


def test_a_call_wakes_an_object_that_calls_wake() -> None:
    woken = Calls(woken_at=at(6))
    annotations = {SLEEP_ANNOTATION: "2026-12-01T05:00:00Z"}
    assert not rest_of(sleeper(ASLEEP, annotations), woken, at(9), is_busy=False).is_asleep
    assert rest_of(sleeper(ASLEEP, annotations, sleep={"wakeOn": "Command"}), woken, at(9), is_busy=False).is_asleep
    assert rest_of(sleeper(ASLEEP, annotations), Calls(woken_at=at(4)), at(9), is_busy=False).is_asleep


def test_without_a_queue_or_by_its_own_will_no_request_wakes_it() -> None:
    assert not wakes_on_request(sleeper(api={"auth": {"type": "None"}}))
    assert wakes_on_request(sleeper())
    assert not wakes_on_request(sleeper(sleep={"wakeOn": "Command"}))
    assert not wakes_on_request(subject(INSTANCES))
