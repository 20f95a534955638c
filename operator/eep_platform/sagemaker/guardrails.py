"""Deployment guardrails: turns a `DeploymentConfig` into steps that shift traffic to a new fleet; pure.

Sources: "Deployment guardrails" and its exclusions in the SageMaker developer guide; BlueGreenUpdatePolicy,
RollingUpdatePolicy, TrafficRoutingConfig and CapacitySize in the API reference.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.endpoints import Deployment

_WHOLE = 100.0
_CANARY = (0.0, 50.0)
_LINEAR = (10.0, 50.0)
_BATCH = (5.0, 50.0)
_ROLLBACK_BATCH = (0.0, 100.0)


@dataclass(frozen=True, slots=True)
class Step:
    """One shift of traffic: the new fleet receives `share` of it (0 to 1), then bakes while alarms are watched."""

    share: float
    bake_seconds: float


@dataclass(frozen=True, slots=True)
class Rollout:
    """How an update shifts traffic. The last step's share is 1. Times are in seconds, as the caller gave them.

    `alarms` roll the update back, `limit_seconds` is its maximum duration; for `surge` see `Deployment`.
    """

    steps: tuple[Step, ...] = (Step(1.0, 0),)
    alarms: tuple[str, ...] = ()
    limit_seconds: float | None = None
    surge: int | None = None


def rollout(config: Mapping[str, Any], present: Deployment | None, pending: Deployment) -> Rollout:
    """The rollout of `pending` over `present`, which is None for a new endpoint.

    Raises:
        ServiceError: `ValidationException` for what the service model allows and the service rejects.
    """
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise validation_exception("Specify one of BlueGreenUpdatePolicy and RollingUpdatePolicy, not both.")
    alarms = _alarms(config)
    if not (blue_green or rolling or alarms):
        return Rollout()
    _refuse_serverless(present, pending)
    if rolling:
        return _rolling(rolling, present, pending, alarms)
    return _blue_green(blue_green, present, pending, alarms) if blue_green else Rollout(alarms=alarms)


def _blue_green(
    policy: Mapping[str, Any], present: Deployment | None, pending: Deployment, alarms: tuple[str, ...]
) -> Rollout:
    routing = policy["TrafficRoutingConfiguration"]
    shares = _shares(routing, pending)
    if len(shares) > 1:
        _refuse_other_names(present, pending)
    waits = [routing["WaitIntervalInSeconds"]] * (len(shares) - 1) + [policy.get("TerminationWaitInSeconds", 0)]
    return Rollout(_steps(shares, waits), alarms, _limit(policy, sum(waits)))


def _rolling(
    policy: Mapping[str, Any], present: Deployment | None, pending: Deployment, alarms: tuple[str, ...]
) -> Rollout:
    if any(len(deployment.variants) > 1 for deployment in (present, pending) if deployment):
        raise validation_exception("Rolling deployments are not supported for endpoints with several variants.")
    _refuse_other_names(present, pending)
    part = _part("MaximumBatchSize", policy["MaximumBatchSize"], pending, _BATCH)
    if "RollbackMaximumBatchSize" in policy:
        _part("RollbackMaximumBatchSize", policy["RollbackMaximumBatchSize"], pending, _ROLLBACK_BATCH)
    shares = _equal(part)
    waits = [policy["WaitIntervalInSeconds"]] * len(shares)
    batch = math.ceil(part * _smallest(pending))
    return Rollout(_steps(shares, waits), alarms, _limit(policy, sum(waits)), batch)


def _shares(routing: Mapping[str, Any], pending: Deployment) -> tuple[float, ...]:
    match routing["Type"]:
        case "CANARY":
            return _part("CanarySize", routing.get("CanarySize"), pending, _CANARY), 1.0
        case "LINEAR":
            return _equal(_part("LinearStepSize", routing.get("LinearStepSize"), pending, _LINEAR))
        case _:
            return (1.0,)


def _part(member: str, size: Mapping[str, Any] | None, pending: Deployment, bounds: tuple[float, float]) -> float:
    """A `CapacitySize` as a fraction of the fleet, 0 to 1."""
    if size is None:
        raise validation_exception(f"{member} is needed for this type of traffic routing.")
    counted = size["Type"] == "INSTANCE_COUNT"
    percent = _WHOLE * size["Value"] / _smallest(pending) if counted else float(size["Value"])
    least, most = bounds
    if not least <= percent <= most:
        raise validation_exception(
            f"{member} must be {least:g} to {most:g} percent of the variant's total instance count; "
            f"{size['Value']} as {size['Type']} is {percent:g} percent."
        )
    return percent / _WHOLE


def _smallest(pending: Deployment) -> int:
    return max(1, min(variant.instance_count for variant in pending.variants))


def _equal(part: float) -> tuple[float, ...]:
    # The tolerance keeps ten steps of a tenth at ten steps in spite of binary fractions.
    count = math.ceil(1 / part - 1e-9)
    return (*(number * part for number in range(1, count)), 1.0)


def _steps(shares: tuple[float, ...], waits: list[float]) -> tuple[Step, ...]:
    return tuple(Step(share, wait) for share, wait in zip(shares, waits, strict=True))


def _limit(policy: Mapping[str, Any], waits: float) -> float | None:
    limit: float | None = policy.get("MaximumExecutionTimeoutInSeconds")
    if limit is not None and limit <= waits:
        raise validation_exception(
            f"MaximumExecutionTimeoutInSeconds must be larger than the {waits:g} seconds that the deployment waits."
        )
    return limit


def _alarms(config: Mapping[str, Any]) -> tuple[str, ...]:
    listed = config.get("AutoRollbackConfiguration", {}).get("Alarms", ())
    return tuple(dict.fromkeys(alarm["AlarmName"] for alarm in listed if "AlarmName" in alarm))


def _refuse_serverless(present: Deployment | None, pending: Deployment) -> None:
    deployments = [deployment for deployment in (present, pending) if deployment]
    if any(variant.serverless for deployment in deployments for variant in deployment.variants):
        raise validation_exception("Deployment guardrails are not supported for serverless endpoints.")


def _refuse_other_names(present: Deployment | None, pending: Deployment) -> None:
    if present is None:
        return
    old, new = ({variant.name for variant in deployment.variants} for deployment in (present, pending))
    if old != new:
        raise validation_exception(
            "The new endpoint configuration must have the variant names of the present one for this deployment policy: "
            f"{', '.join(sorted(old))}, not {', '.join(sorted(new))}."
        )
