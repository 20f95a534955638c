"""Declared permissions are sufficient and minimal: what the whole life of a kind calls, and nothing else."""

import time
from contextlib import suppress
from dataclasses import replace

from tests.aws.test_autoscaling import NIGHT, scaling
from tests.aws.test_components import (
    kinds,
    no_expiry,
    no_scan,
    no_stage,
    other_code,
    other_memory,
    other_retention,
    tags_that_move,
)
from tests.aws.world import World

from ephemeral_endpoints.api.serving import Strategy
from ephemeral_endpoints.aws import images
from ephemeral_endpoints.aws.logs import READ_ACTIONS, last_lines
from ephemeral_endpoints.core.errors import AwsError
from ephemeral_endpoints.core.images import ImageReference
from ephemeral_endpoints.core.names import endpoint_logs
from ephemeral_endpoints.core.resources import Have, Kind, RolloutSpec
from ephemeral_endpoints.core.tags import RETAINED_MARKS
from ephemeral_endpoints.iam.authorization import actions_of

NO_DIGEST = f"sha256:{'0' * 64}"

DRIFTS = {
    Kind.FUNCTION: [other_code, other_memory],
    Kind.LOG_GROUP: [other_retention],
    Kind.REPOSITORY: [tags_that_move, no_scan, no_expiry],
}
"""Kinds that different changes repair by different calls."""


def needed(called: dict[str, dict[str, int]]) -> set[str]:
    """The IAM actions that the calls need."""
    return {action for service, names in called.items() for name in names for action in actions_of(service, name)}


async def live(world: World, kind: Kind, *, marking: bool = True) -> None:
    """Everything that the component can do to one resource; without ``marking`` all but changing its tags."""
    want, component = world.wants[kind], world.components[kind]
    have = await world.make(want)
    await component.observe(world.calls, world.known)
    await component.tags(world.calls, have)
    if marking:
        await component.mark(world.calls, have, RETAINED_MARKS)
    await update(world, kind, have)
    await world.remove(kind)


async def update(world: World, kind: Kind, have: Have) -> None:
    """Every way to repair."""
    want = world.wants[kind]
    if kind in {Kind.MODEL, Kind.ENDPOINT_CONFIG}:
        return
    for drift in DRIFTS.get(kind, []):
        drift(world, want.key.name)
        drifted = await world.components[kind].look(world.calls, want.key, world.known)
        assert drifted is not None
        world.known[want.key] = drifted
        await world.make(want)
    if kind is Kind.SCALABLE_TARGET:
        for changes in ({"schedule": (NIGHT,), "tracking": None}, {"schedule": ()}):
            await world.make(scaling(world, **changes))
    if kind is Kind.HTTP_API:
        no_stage(world, want.key.name)
    if kind is Kind.ENDPOINT:
        want = replace(want, spec=replace(want.spec, rollout=RolloutSpec(Strategy.CANARY, 10, 0)))  # type: ignore[arg-type]  # an EndpointSpec
    if kind not in DRIFTS:
        await world.components[kind].apply(world.calls, want, have, world.known)
        await world.rest(want.key)


@kinds
async def test_a_component_declares_exactly_the_actions_that_it_needs(
    world: World, kind: Kind, told: list[tuple[str, str, str]]
) -> None:
    await world.prepare(kind)
    told.clear()
    await live(world, kind)
    called: dict[str, dict[str, int]] = {}
    for service, operation, outcome in told:
        if outcome == "ok":
            called.setdefault(service, {})[operation] = 1
    assert needed(called) == world.components[kind].actions


async def test_reading_logs_and_images_needs_what_they_declare(world: World) -> None:
    group = endpoint_logs(world.names.base)
    world.clients.logs.create_log_group(logGroupName=group)
    world.clients.logs.create_log_stream(logGroupName=group, logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": "line\n"}
    world.clients.logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])  # type: ignore[list-item]
    world.aws.control.reset_meter()
    assert await last_lines(world.calls, world.clients.logs, group, count=2) == ("line",)
    assert needed(world.aws.control.calls()) == READ_ACTIONS

    world.aws.control.reset_meter()
    uri = f"{world.scope.account_id}.dkr.ecr.{world.scope.region}.amazonaws.com/none:1"
    reference, ecr = ImageReference.parse(uri), images.Images(world.clients.ecr)
    await ecr.resolve(world.calls, reference)
    for each in (ecr.scan(world.calls, reference, NO_DIGEST), ecr.list_tagged(world.calls, "none")):
        with suppress(AwsError):
            await each
    await ecr.take_off(world.calls, "none", ["1"])
    assert needed(world.aws.control.calls()) == images.ACTIONS
