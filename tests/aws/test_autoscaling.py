"""What is particular to scalable targets: policies and scheduled actions are part of them."""

from dataclasses import replace
from typing import Any

import pytest
from tests.aws.world import INSTANCE_TYPE, World

from ephemeral_endpoints.core.resources import (
    Kind,
    ScalableTargetSpec,
    ScalingMetric,
    ScheduledBounds,
    TargetTracking,
    Want,
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


def scaling(world: World, **changes: object) -> Want:
    want = world.wants[Kind.SCALABLE_TARGET]
    return replace(want, spec=world.scaling(world.key(Kind.ENDPOINT), **changes))


def changed(world: World) -> set[str]:
    called = world.aws.control.calls().get("application-autoscaling", {})
    return {operation for operation in called if not operation.startswith(("Describe", "List"))}


@pytest.mark.parametrize(
    ("before", "after", "operations"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES]
)
async def test_only_what_differs_is_changed(
    world: World, before: dict[str, Any], after: dict[str, Any], operations: set[str]
) -> None:
    await world.prepare(Kind.SCALABLE_TARGET)
    await world.make(scaling(world, **before))
    world.aws.control.reset_meter()
    want = scaling(world, **after)
    await world.make(want)
    assert changed(world) == operations
    [found] = (await world.observed(Kind.SCALABLE_TARGET)).values()
    assert found.matches(want)


async def test_without_targets_nothing_else_is_listed(world: World) -> None:
    world.aws.control.reset_meter()
    assert await world.observed(Kind.SCALABLE_TARGET) == {}
    assert world.aws.control.calls() == {"application-autoscaling": {"DescribeScalableTargets": 1}}


async def test_a_target_whose_policy_was_never_made_cannot_become_what_is_wanted(world: World) -> None:
    want = await world.prepare(Kind.SCALABLE_TARGET)
    world.clients.autoscaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=want.key.name,
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
    )
    [found] = (await world.observed(Kind.SCALABLE_TARGET)).values()
    assert isinstance(found.spec, ScalableTargetSpec)
    assert not found.spec.instance_type, "nobody knows for which type it was made"
    assert not found.can_become(want)


async def test_it_tells_the_instance_type_that_it_was_made_for(world: World) -> None:
    await world.prepare(Kind.SCALABLE_TARGET)
    await world.make(scaling(world, fixed_bounds=None, tracking=None, schedule=(NIGHT,)))
    [found] = (await world.observed(Kind.SCALABLE_TARGET)).values()
    assert isinstance(found.spec, ScalableTargetSpec)
    assert found.spec.instance_type == INSTANCE_TYPE
