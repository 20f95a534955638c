"""What objects say that sleep."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tests.engine.objects import CLUSTER, endpoint, make_class

from ephemeral_endpoints.features.sleep.policy import Rest, refusal
from ephemeral_endpoints.features.sleep.stage import activity
from ephemeral_endpoints.features.subject import Subject

_INSTANCES = {"instances": {"type": "ml.m5.large"}}
_HOURS = {"awake": ["Mon-Fri 08:00-19:00"], "timeZone": "Europe/Berlin"}
_QUEUE = {"events": {"queueName": "eep-events"}}
_AT_EIGHT = datetime(2026, 12, 1, 7, tzinfo=UTC)
_ASLEEP = {"type": "Active", "status": "False", "reason": "Asleep", "lastTransitionTime": "2026-12-01T01:00:00Z"}
_COMMAND = "the annotation ephemeral-endpoints.io/sleep asks for it"


def told() -> Iterator[tuple[str, str]]:
    idle = _subject({"idleTimeout": "2h"}, _QUEUE)
    hours = _subject({"idleTimeout": "2h", "schedule": _HOURS}, _QUEUE)
    for subject, rest in (
        (idle, Rest()),
        (hours, Rest()),
        (_subject({}, _QUEUE), Rest()),
        (idle, Rest(why=_COMMAND)),
        (idle, Rest(is_asleep=True, why="not used for 2h")),
        (_subject(None), Rest(is_asleep=True, why=_COMMAND)),
        (hours, Rest(is_asleep=True, why="outside of the hours of the schedule, not used for 2h", next_at=_AT_EIGHT)),
        (_subject({}, _QUEUE, conditions=[_ASLEEP]), Rest()),
        (idle, Rest(is_asleep=True, why="not used for 2h", answers=True)),
        (idle, Rest(is_asleep=True, why="the budget is spent; it wakes in time", is_forced=True, answers=True)),
        (_subject({}, _QUEUE, conditions=[_ASLEEP]), Rest(answers=True)),
    ):
        update = activity(subject, rest, serves=False)
        assert update
        yield f"{update.type}={update.status} {update.reason}", update.message
    for asked in ({}, {"idleTimeout": "2h", "wakeOn": "Command"}, {"schedule": {**_HOURS, "timeZone": "Mars/Base"}}):
        refused = refusal(_subject(asked))
        assert refused
        yield f"Ready=False {refused.reason}", str(refused)


def _subject(sleep: dict[str, Any] | None, policy: dict[str, Any] | None = None, **status: Any) -> Subject:  # noqa: ANN401
    spec = {"serving": _INSTANCES, **({} if sleep is None else {"sleep": sleep})}
    return Subject(CLUSTER, endpoint({"spec": spec, "status": status}), make_class({"spec": policy or {}}))
