"""The scaling itself: keeps instance counts within bounds, and follows schedules and policies."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.autoscaling.action_operations import next_due
from eep_platform.autoscaling.alarms import PolicyAlarms
from eep_platform.autoscaling.targets import Action, Policy, Target, Targets
from eep_platform.autoscaling.tracking import PERIOD_SECONDS, Brake, wanted
from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.endpoint_operations import EndpointOperations
from eep_platform.sagemaker.endpoints import EndpointStatus, Variant
from eep_platform.sagemaker.store import Store

_TICK_SECONDS = 0.1
_COOLDOWN_SECONDS = 300
_MOST_ACTIVITIES = 100
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Period:
    """The present period of a target: its start, and the count of invocations then.

    A period starts again while the endpoint is in transition: measurements then are of neither size.
    """

    since: float
    invocations: int
    scaled_out: float = float("-inf")
    scaled_in: float = float("-inf")

    def begin(self, now: float, invocations: int) -> None:
        """Start another period."""
        self.since, self.invocations = now, invocations


class Scaler:
    """Scales registered variants; waits while their endpoint is in transition."""

    def __init__(self, store: Store, targets: Targets, alarms: PolicyAlarms, endpoints: EndpointOperations) -> None:
        self._store = store
        self._targets = targets
        self._alarms = alarms
        self._endpoints = endpoints
        self._periods: dict[str, _Period] = {}

    async def run(self) -> None:
        """Scale until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            targets = list(self._targets)
            for gone in self._periods.keys() - {target.arn for target in targets}:
                del self._periods[gone]
            for target in targets:
                await self._tend(target)

    async def _tend(self, target: Target) -> None:
        for action in list(target.actions.values()):
            self._fire(target, action)
        record = self._store.endpoints.find(target.endpoint_name)
        variant = record.value.shown.variant(target.variant_name) if record else None
        if record is None or variant is None:
            return
        now, invocations = asyncio.get_running_loop().time(), self._store.invocations[record.arn, variant.name]
        period = self._periods.setdefault(target.arn, _Period(now, invocations))
        if record.value.status is not EndpointStatus.IN_SERVICE:
            period.begin(now, invocations)
        elif target.out_of_bounds:
            target.out_of_bounds = False
            within = target.within(variant.instance_count)
            await self._scale(target, record.name, variant, within, "minimum or maximum capacity was changed")
        else:
            await self._track(target, record.name, variant, period, invocations)

    def _fire(self, target: Target, action: Action) -> None:
        now = self._store.clock()
        if action.due is None or now < action.due:
            return
        action.due = next_due(action.schedule, action.body, action.created, now)
        if target.suspended["ScheduledScalingSuspended"]:
            return
        asked = action.body["ScalableTargetAction"]
        target.minimum = asked.get("MinCapacity", min(target.minimum, asked.get("MaxCapacity", target.minimum)))
        target.maximum = asked.get("MaxCapacity", max(target.maximum, target.minimum))
        target.out_of_bounds = True

    async def _track(
        self, target: Target, endpoint_name: str, variant: Variant, period: _Period, invocations: int
    ) -> None:
        """Apply the policies when a period is over."""
        now, pace = asyncio.get_running_loop().time(), self._store.settings.now.autoscaling_seconds_per_second
        minutes = (now - period.since) * pace / PERIOD_SECONDS
        if minutes < 1:
            return
        count = variant.instance_count
        per_instance = (invocations - period.invocations) / minutes / max(1, count)
        period.begin(now, invocations)
        asked = [await self._wanted(target, policy, count, per_instance) for policy in target.policies.values()]
        desired = target.within(max(asked)) if asked else count
        out = _brake(target, "Out", (now - period.scaled_out) * pace)
        in_ = _brake(target, "In", (now - max(period.scaled_in, period.scaled_out)) * pace)
        if desired > count and not out.holds:
            period.scaled_out = now
        elif desired < count and not in_.holds:
            period.scaled_in = now
        else:
            return
        await self._scale(target, endpoint_name, variant, desired, "a target tracking policy's metric left its target")

    async def _wanted(self, target: Target, policy: Policy, count: int, per_instance: float) -> int:
        metric: float | None = per_instance
        if "CustomizedMetricSpecification" in policy.config:
            metric = await self._read(target, policy)
        if metric is None:
            return count
        value = float(policy.config["TargetValue"])
        policy.streak = policy.streak.then(metric, value)
        desired = wanted(count, metric, value, policy.streak)
        return max(count, desired) if policy.config.get("DisableScaleIn") else desired

    async def _read(self, target: Target, policy: Policy) -> float | None:
        try:
            return await self._alarms.latest(target.resource_id, policy.config, self._store.clock())
        except (BotoCoreError, ClientError) as error:
            _log.warning("cannot read the metric of policy %s: %s", policy.name, error)
            return None

    async def _scale(self, target: Target, endpoint_name: str, variant: Variant, desired: int, cause: str) -> None:
        if desired == variant.instance_count:
            return
        change = {"VariantName": variant.name, "DesiredInstanceCount": desired}
        request = {"EndpointName": endpoint_name, "DesiredWeightsAndCapacities": [change]}
        outcome: dict[str, Any] = {"StatusCode": "Successful"}
        try:
            await self._endpoints.update_endpoint_weights_and_capacities(request)
        except ServiceError as error:
            outcome = {"StatusCode": "Failed", "StatusMessage": error.message}
        now = self._store.clock()
        activity = {
            "ActivityId": str(uuid4()),
            **target.identity,
            "Description": f"Setting desired instance count to {desired}.",
            "Cause": cause,
            "StartTime": now,
            "EndTime": now,
            **outcome,
        }
        target.activities = [activity, *target.activities[: _MOST_ACTIVITIES - 1]]


def _brake(target: Target, direction: str, since: float) -> Brake:
    """The brake on scaling "Out" or "In"; the longest cooldown of all policies counts."""
    cooldowns = [
        policy.config.get(f"Scale{direction}Cooldown", _COOLDOWN_SECONDS) for policy in target.policies.values()
    ]
    return Brake(target.suspended[f"DynamicScaling{direction}Suspended"], since, max(cooldowns, default=0))
