"""What is particular to scalable targets: policies and scheduled actions are part of them."""

from dataclasses import replace
from typing import Any

import pytest
from tests.aws.cloud import INSTANCE_TYPE, Cloud

from ephemeral_endpoints.engine.resources import DesiredResource
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    SCALABLE_TARGET,
    ScalableTargetSpec,
    ScalingMetric,
    ScheduledBounds,
    TargetTracking,
)

NIGHT = ScheduledBounds("night", "cron(0 20 ? * * *)", "Europe/Berlin", 1, 1)
MORNING = ScheduledBounds("morning", "cron(0 7 ? * * *)", "Europe/Berlin", 2, 4)
FASTER = TargetTracking(ScalingMetric.INVOCATIONS, 50, 300, 60)
BACKLOG = TargetTracking(ScalingMetric.BACKLOG, 5, 300, 60)

CHANGES: list[tuple[str, dict[str, Any], dict[str, Any], set[str]]] = [
    ("other bounds", {}, {"fixed_bounds": (1, 3), "bounds": (1, 3)}, {"RegisterScalableTarget"}),
    ("another target value", {}, {"tracking": FASTER}, {"PutScalingPolicy"}),
    ("another metric", {}, {"tracking": BACKLOG}, {"DeleteScalingPolicy", "PutScalingPolicy"}),
    (
        "a schedule in place of a metric",
        {},
        {"fixed_bounds": None, "tracking": None, "schedule": (NIGHT,)},
        {"RegisterScalableTarget", "DeleteScalingPolicy", "PutScheduledAction"},
    ),
    (
        "another schedule",
        {"fixed_bounds": None, "schedule": (NIGHT,)},
        {"fixed_bounds": None, "schedule": (MORNING,)},
        {"DeleteScheduledAction", "PutScheduledAction"},
    ),
]


def scaling(cloud: Cloud, **changes: object) -> DesiredResource:
    resource = cloud.resources[SCALABLE_TARGET]
    return replace(resource, spec=cloud.scaling(cloud.key(ENDPOINT), **changes))


def changed(cloud: Cloud) -> set[str]:
    called = cloud.aws.control.calls().get("application-autoscaling", {})
    return {operation for operation in called if not operation.startswith(("Describe", "List"))}


@pytest.mark.parametrize(
    ("before", "after", "operations"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES]
)
async def test_only_what_differs_is_changed(
    cloud: Cloud, before: dict[str, Any], after: dict[str, Any], operations: set[str]
) -> None:
    await cloud.prepare(SCALABLE_TARGET)
    await cloud.make(scaling(cloud, **before))
    cloud.aws.control.reset_meter()
    resource = scaling(cloud, **after)
    await cloud.make(resource)
    assert changed(cloud) == operations
    [found] = (await cloud.listed(SCALABLE_TARGET)).values()
    assert found.matches(resource)


async def test_without_targets_nothing_else_is_listed(cloud: Cloud) -> None:
    cloud.aws.control.reset_meter()
    assert await cloud.listed(SCALABLE_TARGET) == {}
    assert cloud.aws.control.calls() == {"application-autoscaling": {"DescribeScalableTargets": 1}}


async def test_a_target_whose_policy_was_never_made_cannot_become_what_is_wanted(cloud: Cloud) -> None:
    resource = await cloud.prepare(SCALABLE_TARGET)
    cloud.clients.autoscaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=resource.key.name,
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
    )
    [found] = (await cloud.listed(SCALABLE_TARGET)).values()
    assert isinstance(found.spec, ScalableTargetSpec)
    assert not found.spec.instance_type, "nobody knows for which type it was made"
    assert not found.can_become(resource)


async def test_it_names_the_instance_type_that_it_was_made_for(cloud: Cloud) -> None:
    await cloud.prepare(SCALABLE_TARGET)
    await cloud.make(scaling(cloud, fixed_bounds=None, tracking=None, schedule=(NIGHT,)))
    [found] = (await cloud.listed(SCALABLE_TARGET)).values()
    assert isinstance(found.spec, ScalableTargetSpec)
    assert found.spec.instance_type == INSTANCE_TYPE
