"""What the reaper of a class should be, how long it stays, and what the class says of it."""

from dataclasses import replace
from typing import Any

import pytest
from tests.engine.objects import CLUSTER, make_class

from ephemeral_endpoints.engine.errors import Denied, ReconcileError
from ephemeral_endpoints.engine.names import LAMBDA_LOG_PREFIX, Names, capture_name
from ephemeral_endpoints.engine.resources import Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.features.expiry.reaper.handler import rules_of
from ephemeral_endpoints.features.monitoring.specs import ALARM, IN_ALARM, LOG_GROUP
from ephemeral_endpoints.features.reaping.alarms import ERRORS, FAILS, HOLDS, SILENT, ReaperAlarm
from ephemeral_endpoints.features.reaping.desired import _settings, alarm_key, function_key, is_part, reaper_of_class
from ephemeral_endpoints.features.reaping.package import package
from ephemeral_endpoints.features.reaping.specs import EVENT_RULE, EventRuleSpec
from ephemeral_endpoints.features.reaping.stage import reaping
from ephemeral_endpoints.features.routing.specs import FUNCTION, HTTP_API

ROLE = "arn:aws:iam::123456789012:role/reaper"
CLASS = make_class({"spec": {"reaper": {"roleArn": ROLE}}})
DELETED = make_class({"metadata": {"deletionTimestamp": "2026-12-01T00:00:00Z"}, "spec": {"reaper": {"roleArn": ROLE}}})
NAME = function_key(CLUSTER, CLASS).name
API = Key(HTTP_API, f"eep-{CLUSTER}-default-api-aaaaaaaaaa")
OWN = function_key(CLUSTER, DELETED)
DENIED = Denied("not authorized to perform events:PutRule", operation="PutRule")


def observed(*off: ReaperAlarm, **changes: Any) -> dict[Key, ObservedResource]:  # noqa: ANN401 - members of a spec
    """The parts as they should be, with these alarms gone off."""
    key = function_key(CLUSTER, CLASS)
    spec = replace(EventRuleSpec("rate(15 minutes)", key.name), **changes)
    parts = [ObservedResource(key, Phase.READY), ObservedResource(Key(EVENT_RULE, key.name), Phase.READY, spec)]
    parts += [ObservedResource(alarm_key(key, each), Phase.READY, status=IN_ALARM) for each in off]
    return {each.key: each for each in parts}


@pytest.mark.parametrize(
    ("asked", "rest", "is_used", "made", "reason"),
    [
        (CLASS, (), False, True, "before the first object"),
        (make_class({}), (), True, False, "nobody asks for it"),
        (DELETED, (OWN,), True, True, "an object is left"),
        (DELETED, (OWN, API), False, True, "something of the class is left"),
        (DELETED, (OWN, Key(EVENT_RULE, OWN.name)), False, False, "it is the last"),
    ],
)
def test_it_is_the_first_and_the_last_of_a_class(
    asked: Any,  # noqa: ANN401 - a table's column
    rest: tuple[Key, ...],
    is_used: bool,  # noqa: FBT001 - a table's column
    made: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    assert bool(reaper_of_class(CLUSTER, asked, rest, is_used=is_used)) is made, reason


def test_all_that_is_made_is_known_as_part_of_it() -> None:
    parts = [each.key for each in reaper_of_class(CLUSTER, CLASS, (), is_used=False)]
    assert all(map(is_part, parts))
    preview = Names(CLUSTER, "my-reaper", "u-1")
    capture = capture_name(CLUSTER, "my-reaper", "u-1")
    others = [Key(ALARM, preview.alarm("latency")), Key(FUNCTION, preview.base), Key(ALARM, f"{capture}:lost"), API]
    assert is_part(Key(LOG_GROUP, LAMBDA_LOG_PREFIX + NAME))
    assert not any(map(is_part, others[2:]))


def test_the_function_reads_the_rules_of_the_class() -> None:
    asked = {"grace": "36h", "maxObjects": 7, "maxSharePercent": 50, "repositoryAge": "60d"}
    policy = make_class({"spec": {"reaper": {"roleArn": ROLE, **asked}}}).spec.reaper
    assert policy is not None
    rules = rules_of(_settings(CLUSTER, "default", policy))
    assert (rules.grace, rules.most, rules.share, rules.repository_age) == (
        policy.grace,
        policy.max_objects,
        0.5,
        policy.repository_age,
    )


def test_other_rules_are_another_package_and_equal_ones_the_same() -> None:
    assert package({"A": "1", "B": "2"}) == package({"B": "2", "A": "1"}) != package({"A": "1", "B": "3"})


STATES: list[tuple[ObservedResources, ReconcileError | None, str]] = [
    (observed(), None, "True ReaperRunning"),
    ({}, None, "False ReaperChanging"),
    (observed(function=""), None, "False ReaperChanging"),
    (observed(is_permitted=False), None, "False ReaperChanging"),
    (observed(), DENIED, "False ReaperFailed"),
    (observed(SILENT, FAILS), None, "False ReaperSilent"),
    (observed(FAILS), None, "False ReaperFailing"),
    (observed(ERRORS), None, "False ReaperFailing"),
    (observed(HOLDS), None, "False ReaperHolding"),
]


@pytest.mark.parametrize(("found", "error", "told"), STATES)
def test_a_class_says_whether_its_reaper_runs(
    found: ObservedResources, error: ReconcileError | None, told: str
) -> None:
    update = reaping(CLASS.spec.reaper, function_key(CLUSTER, CLASS), found, error)
    assert update is not None
    assert f"{update.status} {update.reason}" == told


def test_a_class_without_one_says_nothing() -> None:
    assert reaping(None, function_key(CLUSTER, CLASS), {}, None) is None
