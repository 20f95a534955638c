"""The operations on scheduled actions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from ephemeral_endpoints.local.autoscaling.errors import object_not_found
from ephemeral_endpoints.local.autoscaling.requests import asked_targets, paged, target_of
from ephemeral_endpoints.local.autoscaling.schedules import Schedule, schedule
from ephemeral_endpoints.local.autoscaling.targets import (
    DIMENSION,
    NAMESPACE,
    Action,
    Target,
    Targets,
    refuse_below_least,
)
from ephemeral_endpoints.local.sagemaker.errors import validation_exception
from ephemeral_endpoints.local.sagemaker.store import Store

_BODY = ("Schedule", "Timezone", "ScalableTargetAction")
_LIMITS = ("StartTime", "EndTime")


class ActionOperations:
    """The operations on scheduled actions."""

    def __init__(self, store: Store, targets: Targets) -> None:
        self._store = store
        self._targets = targets

    async def put_scheduled_action(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """PutScheduledAction: makes an action, or changes what the request names of one; start and end always."""
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
            arn, created = self._store.account.arn(path, "autoscaling"), now
        else:
            arn, created = present.arn, present.created
        target.actions[name] = Action(name, arn, created, body, due, next_due(due, body, created, now))
        return {}

    async def describe_scheduled_actions(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeScheduledActions."""
        wanted = request.get("ScheduledActionNames")
        found = [
            (target, action)
            for target in asked_targets(self._targets, request)
            for action in target.actions.values()
            if wanted is None or action.name in wanted or action.arn in wanted
        ]
        given, token = paged(found, lambda pair: pair[1].arn, request)
        return {"ScheduledActions": [_shown(*pair) for pair in given], "NextToken": token}

    async def delete_scheduled_action(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteScheduledAction."""
        target, name = target_of(self._targets, request), request["ScheduledActionName"]
        if target.actions.pop(name, None) is None:
            raise object_not_found(
                f"No scheduled action found for service namespace: {NAMESPACE}, resource ID: {target.resource_id}, "
                f"scalable dimension: {DIMENSION}, scheduled action name: {name}"
            )
        return {}

    def _refuse_capacities(self, target: Target, action: Mapping[str, Any]) -> None:
        least, most = action.get("MinCapacity"), action.get("MaxCapacity")
        if least is None and most is None:
            raise validation_exception("ScalableTargetAction needs MinCapacity, MaxCapacity or both.")
        if least is not None and most is not None and most < least:
            raise validation_exception(f"MaxCapacity ({most}) must not be less than MinCapacity ({least}).")
        refuse_below_least(self._store.endpoints.get(target.endpoint_name).value.shown, least, most)


def next_due(schedule: Schedule, body: Mapping[str, Any], created: datetime, now: datetime) -> datetime | None:
    """When an action comes next after `now`, between its start and its end; None if never. Pure."""
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
        "ServiceNamespace": NAMESPACE,
        "ResourceId": target.resource_id,
        "ScalableDimension": DIMENSION,
        "CreationTime": action.created,
        **action.body,
    }
