"""The operations on scheduled actions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from eep_platform.autoscaling.errors import object_not_found
from eep_platform.autoscaling.requests import parts_page, target_of
from eep_platform.autoscaling.schedules import Schedule, schedule
from eep_platform.autoscaling.targets import NAMESPACE, Action, Target, Targets, refuse_below_least
from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.store import Store

_BODY = ("Schedule", "Timezone", "ScalableTargetAction")
_LIMITS = ("StartTime", "EndTime")


class ActionOperations:
    """The operations on scheduled actions."""

    def __init__(self, store: Store, targets: Targets) -> None:
        self._store = store
        self._targets = targets

    async def put_scheduled_action(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """PutScheduledAction: creates an action, or changes the members in the request and always its start and end."""
        target, name = target_of(self._targets, request), request["ScheduledActionName"]
        present = target.actions.get(name)
        body = {member: request[member] for member in _BODY if member in request}
        body = {member: present.body[member] for member in _BODY if present and member in present.body} | body
        body |= {member: request[member] for member in _LIMITS if member in request}
        due = _schedule(body)
        self._refuse_capacities(target, body.get("ScalableTargetAction", {}))
        now = self._store.clock()
        if present is None:
            path = f"scheduledAction:{uuid4()}:resource/{NAMESPACE}/{target.resource_id}:scheduledActionName/{name}"
            arn, created = self._store.account.arn("autoscaling", path), now
        else:
            arn, created = present.arn, present.created
        target.actions[name] = Action(name, arn, created, body, due, next_due(due, body, created, now))
        return {}

    async def describe_scheduled_actions(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeScheduledActions."""
        actions, token = parts_page(
            self._targets, request, lambda target: target.actions.values(), request.get("ScheduledActionNames")
        )
        return {"ScheduledActions": [_shown(*pair) for pair in actions], "NextToken": token}

    async def delete_scheduled_action(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteScheduledAction."""
        target, name = target_of(self._targets, request), request["ScheduledActionName"]
        if target.actions.pop(name, None) is None:
            raise object_not_found("scheduled action", target.identity, {"scheduled action name": name})
        return {}

    def _refuse_capacities(self, target: Target, action: Mapping[str, Any]) -> None:
        least, most = action.get("MinCapacity"), action.get("MaxCapacity")
        if least is None and most is None:
            raise validation_exception("ScalableTargetAction needs MinCapacity, MaxCapacity or both.")
        if least is not None and most is not None and most < least:
            raise validation_exception(f"MaxCapacity ({most}) must not be less than MinCapacity ({least}).")
        refuse_below_least(self._store.endpoints.get(target.endpoint_name).value.shown, least, most)


def next_due(schedule: Schedule, body: Mapping[str, Any], created: datetime, now: datetime) -> datetime | None:
    """The next time of an action after `now`, between its start and its end; None if there is none. Pure."""
    start, end = body.get("StartTime"), body.get("EndTime")
    due = schedule.next_after(max(now, start) if start else now, start or created)
    return due if due and (end is None or due <= end) else None


def _schedule(body: Mapping[str, Any]) -> Schedule:
    if "Schedule" not in body:
        raise validation_exception("Schedule is needed to create a scheduled action.")
    try:
        return schedule(body["Schedule"], body.get("Timezone"))
    except ValueError as error:
        raise validation_exception(f"Schedule {body['Schedule']!r} is not valid: {error}.") from error


def _shown(target: Target, action: Action) -> dict[str, Any]:
    return {
        "ScheduledActionName": action.name,
        "ScheduledActionARN": action.arn,
        **target.identity,
        "CreationTime": action.created,
        **action.body,
    }
