"""What commands mean for objects: what is written, once, or why nothing is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import CLUSTER, endpoint, make_class

from ephemeral_endpoints.api import EXTEND_UNTIL_ANNOTATION, RECONCILE_AT_ANNOTATION, SLEEP_ANNOTATION, WAKE_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.review_commands import ReviewCommand
from ephemeral_endpoints.features.reviews.commands.orders import NotDone, Order, order
from ephemeral_endpoints.features.reviews.commands.parser import Command
from ephemeral_endpoints.features.reviews.forge import Comment, PullRequestKey
from ephemeral_endpoints.features.subject import Subject

CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOON = CREATED + 24 * HOUR
COMMENT = Comment(7, PullRequestKey("acme/sentiment", 42), "ada", "", NOON, NOON, is_bot=False)
INSTANCES = {"serving": {"instances": {"type": "ml.m5.large"}}}
SLEEP, WAKE = Command(ReviewCommand.SLEEP), Command(ReviewCommand.WAKE)
DELETE, REBUILD = Command(ReviewCommand.DELETE), Command(ReviewCommand.REBUILD)


def extend(hours: int) -> Command:
    return Command(ReviewCommand.EXTEND, hours * HOUR)


def subject(
    metadata: dict[str, Any] | None = None, *, spec: dict[str, Any] | None = None, ready: str = "False", **policy: str
) -> Subject:
    """An object that lives for three days, of a class that grants two weeks."""
    ready_condition = {"type": "Ready", "status": ready, "reason": "X", "lastTransitionTime": "2026-11-01T12:00:00Z"}
    changes = {"metadata": metadata or {}, "spec": spec or {}, "status": {"conditions": [ready_condition]}}
    return Subject(CLUSTER, endpoint(changes), make_class({"spec": {"lifecycle": policy}}))


def test_an_extension_counts_from_the_comment_and_its_event_names_the_person() -> None:
    found = order(extend(100), COMMENT, subject(), NOON + HOUR)
    assert found == Order(
        {EXTEND_UNTIL_ANNOTATION: "2026-11-06T16:00:00Z"},
        event="to live until 2026-11-06T16:00:00Z at the request of ada in comment 7 on acme/sentiment#42",
    )


@given(st.integers(1, 1000), st.integers(0, 500))
def test_an_extension_that_is_read_again_writes_nothing(hours: int, later: int) -> None:
    found = order(extend(hours), COMMENT, subject(), NOON)
    annotations = found.annotations if isinstance(found, Order) else {}
    extended = subject({"annotations": annotations})
    again = order(extend(hours), COMMENT, extended, min(NOON + later * HOUR, extended.lifetime.expires_at - HOUR))
    assert again == (Order() if isinstance(found, Order) else found)


@pytest.mark.parametrize(
    ("found", "hours", "expected"),
    [
        pytest.param(subject(), 48, Order(), id="it lives as long as that already"),
        pytest.param(
            subject({"annotations": {EXTEND_UNTIL_ANNOTATION: "2026-11-10T12:00:00Z"}}),
            100,
            Order(),
            id="somebody has extended it for longer",
        ),
    ],
)
def test_what_is_so_already_is_not_written(found: Subject, hours: int, expected: Order) -> None:
    assert order(extend(hours), COMMENT, found, NOON) == expected


def test_an_extension_is_cut_by_the_class_and_the_event_says_until_when() -> None:
    found = order(extend(1000), COMMENT, subject(), NOON)
    assert isinstance(found, Order)
    assert "to live until 2026-11-15T12:00:00Z" in found.event


REFUSED: list[Any] = [
    pytest.param(
        extend(400),
        subject(defaultTtl="48h", maxTtl="48h"),
        "no preview of this class may live longer than 48h in all, so this one ends at 2026-11-03 12:00 UTC",
        id="the class grants no more",
    ),
    pytest.param(extend(1), subject({"deletionTimestamp": "2026-11-02T11:00:00Z"}), "deleted already", id="deleted"),
    pytest.param(extend(400), subject(spec={"lifecycle": {"ttl": "1h"}}), "deleted already", id="expired"),
    pytest.param(REBUILD, subject({"deletionTimestamp": "2026-11-02T11:00:00Z"}), "deleted already", id="gone soon"),
    pytest.param(REBUILD, subject(spec={"suspend": True}), "suspended: set `spec.suspend` to false", id="suspended"),
    pytest.param(REBUILD, subject(ready="True"), "To build again, push a new commit", id="nothing has failed"),
    pytest.param(
        DELETE,
        subject({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}),
        "remove it where the tool reads it, or close the pull request",
        id="a tool would make it anew",
    ),
]


@pytest.mark.parametrize(("command", "found", "why"), REFUSED)
def test_what_cannot_be_done_is_refused_with_what_to_do(command: Command, found: Subject, why: str) -> None:
    refused = order(command, COMMENT, found, NOON)
    assert isinstance(refused, NotDone)
    assert why in refused.why


def test_a_rebuild_is_asked_for_as_a_retry_is_and_once_for_a_comment() -> None:
    found = order(REBUILD, COMMENT, subject(), NOON)
    assert isinstance(found, Order)
    assert found.annotations == {RECONCILE_AT_ANNOTATION: "2026-11-02T12:00:00Z comment 7"}
    assert order(REBUILD, COMMENT, subject({"annotations": found.annotations}), NOON) == Order()


def test_an_object_is_deleted_once_also_when_its_life_is_over() -> None:
    assert order(DELETE, COMMENT, subject(), NOON) == Order(
        deletes=True, event="deleted at the request of ada in comment 7 on acme/sentiment#42"
    )
    assert order(DELETE, COMMENT, subject({"deletionTimestamp": "2026-11-02T11:00:00Z"}), NOON) == Order()
    expired = order(DELETE, COMMENT, subject(spec={"lifecycle": {"ttl": "1h"}}), NOON)
    assert isinstance(expired, Order)
    assert expired.deletes


@pytest.mark.parametrize(("command", "annotation"), [(SLEEP, SLEEP_ANNOTATION), (WAKE, WAKE_ANNOTATION)])
def test_an_object_sleeps_or_wakes_as_of_the_comment_unless_a_later_command_holds(
    command: Command, annotation: str
) -> None:
    found = order(command, COMMENT, subject(spec=INSTANCES), NOON + HOUR)
    assert isinstance(found, Order)
    assert found.annotations == {annotation: "2026-11-02T12:00:00Z"}
    assert found.event == f"to {command.name.lower()} at the request of ada in comment 7 on acme/sentiment#42"
    for each in (SLEEP_ANNOTATION, WAKE_ANNOTATION):
        later = subject({"annotations": {each: "2026-11-02T12:00:00Z"}}, spec=INSTANCES)
        assert order(command, COMMENT, later, NOON + HOUR) == Order()


def test_what_cannot_sleep_is_not_sent_to_sleep() -> None:
    assert order(SLEEP, COMMENT, subject(), NOON) == NotDone(
        "the preview does not sleep: only endpoints on instances that answer at once do, and those with "
        "provisioned concurrency"
    )
    assert isinstance(order(WAKE, COMMENT, subject(spec={**INSTANCES, "suspend": True}), NOON), NotDone)
