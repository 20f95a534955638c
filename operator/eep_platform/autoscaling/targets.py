"""The registered scalable targets with their policies and scheduled actions."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from eep_platform.autoscaling.alarms import PolicyAlarms
from eep_platform.autoscaling.errors import object_not_found
from eep_platform.autoscaling.schedules import Schedule
from eep_platform.autoscaling.tracking import Streak
from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.endpoints import Deployment

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_RESOURCE = re.compile(r"endpoint/(?P<endpoint>[^/]+)/variant/(?P<variant>[^/]+)")


@dataclass(slots=True)
class Policy:
    """A target tracking policy, with its CloudWatch alarms and the recent streak of its metric."""

    name: str
    arn: str
    created: datetime
    config: Mapping[str, Any]
    alarms: Mapping[str, str]
    """ARNs by name."""
    streak: Streak = field(default_factory=Streak)


@dataclass(slots=True)
class Action:
    """A scheduled action; `due` is its next time, None if there is none."""

    name: str
    arn: str
    created: datetime
    body: Mapping[str, Any]
    schedule: Schedule
    due: datetime | None


@dataclass(slots=True)
class Target:
    """A variant whose instance count stays within bounds.

    `out_of_bounds` makes the scaler bring the count within them, which scaling policies do not do by themselves.
    """

    resource_id: str
    endpoint_name: str
    variant_name: str
    arn: str
    created: datetime
    minimum: int
    maximum: int
    suspended: Mapping[str, bool]
    tags: dict[str, str]
    policies: dict[str, Policy] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    activities: list[dict[str, Any]] = field(default_factory=list)
    out_of_bounds: bool = True

    @property
    def identity(self) -> dict[str, str]:
        """The members that identify the target in requests and answers."""
        return identity(self.resource_id)

    def within(self, capacity: int) -> int:
        """The nearest capacity within the bounds."""
        return max(self.minimum, min(self.maximum, capacity))


def identity(resource_id: str) -> dict[str, str]:
    """The members that identify a target in requests and answers."""
    return {"ServiceNamespace": NAMESPACE, "ResourceId": resource_id, "ScalableDimension": DIMENSION}


def parse_resource(resource_id: str) -> tuple[str, str]:
    """The endpoint and the variant of a resource ID.

    Raises:
        ServiceError: `ValidationException` for a malformed ID.
    """
    match = _RESOURCE.fullmatch(resource_id)
    if match is None:
        raise validation_exception(f"Unsupported resource ID {resource_id}: write endpoint/NAME/variant/NAME.")
    return match["endpoint"], match["variant"]


def refuse_below_least(shown: Deployment, *capacities: int | None) -> None:
    """Raise `ValidationException` for a capacity below the minimum of the endpoint's variants; None is fine.

    Source: "Autoscale an asynchronous endpoint" in the SageMaker developer guide: only such endpoints go to zero.
    """
    least = 0 if shown.async_inference else 1
    if any(capacity is not None and capacity < least for capacity in capacities):
        raise validation_exception(f"Capacities must be at least {least} for this variant.")


class Targets:
    """All scalable targets. Endpoint names are case-insensitive."""

    def __init__(self, alarms: PolicyAlarms) -> None:
        self._alarms = alarms
        self._targets: dict[str, Target] = {}

    def __iter__(self) -> Iterator[Target]:
        return iter(list(self._targets.values()))

    def find(self, resource_id: str) -> Target | None:
        """The target of a resource; None if it is not registered."""
        return self._targets.get(_key(resource_id))

    def get(self, resource_id: str) -> Target:
        """The target of a resource; raises `ObjectNotFoundException`."""
        target = self.find(resource_id)
        if target is None:
            raise object_not_found("scalable target", identity(resource_id))
        return target

    def add(self, target: Target) -> None:
        """Register a target."""
        self._targets[_key(target.resource_id)] = target

    def clear(self) -> None:
        """Remove all targets."""
        self._targets.clear()

    async def remove(self, target: Target) -> None:
        """Deregister a target with its policies and scheduled actions; has no effect if it raises botocore's errors."""
        await self._alarms.delete([name for policy in target.policies.values() for name in policy.alarms])
        self._targets.pop(_key(target.resource_id), None)

    def refuse_update(self, endpoint_name: str, present: Deployment, pending: Deployment) -> None:
        """See `sagemaker.scaling.Scaling`.

        Source: "Update endpoints that use auto scaling" in the SageMaker developer guide.
        """
        for target in self._of(endpoint_name):
            before, after = present.variant(target.variant_name), pending.variant(target.variant_name)
            if before is None:
                continue
            old, new = (" or ".join(each.instance_types) if each else "" for each in (before, after))
            if old != new:
                change = f"change its instance type from {old} to {new}" if new else "take it off its instances"
                raise validation_exception(
                    f"Variant {target.variant_name} is registered as a scalable target of Application Auto Scaling: "
                    f"deregister it before an update may {change}."
                )

    async def forget(self, endpoint_name: str) -> None:
        """See `sagemaker.scaling.Scaling`.

        Source: "Delete endpoints configured for auto scaling" in the SageMaker developer guide.
        """
        targets = self._of(endpoint_name)
        for target in targets:
            self._targets.pop(_key(target.resource_id), None)
        policies = [policy for target in targets for policy in target.policies.values()]
        await self._alarms.delete_if_possible([name for policy in policies for name in policy.alarms])

    def _of(self, endpoint_name: str) -> list[Target]:
        return [target for target in self if target.endpoint_name.lower() == endpoint_name.lower()]


def _key(resource_id: str) -> str:
    endpoint, separator, rest = resource_id.partition("/variant/")
    return endpoint.lower() + separator + rest
