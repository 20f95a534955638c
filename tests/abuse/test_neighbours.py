"""A namespace with very many objects is the trouble of that namespace alone."""

import asyncio
from datetime import UTC, datetime, timedelta

from ephemeral_endpoints.features.images.builds.policy import (
    Build,
    BuildLimits,
    BuildRequest,
    BuildTarget,
    Commit,
    Result,
    Step,
    Tenant,
    due_round,
)
from ephemeral_endpoints.kube.cache import ObjectKey, endpoint_key
from ephemeral_endpoints.kube.workqueue import Queue

TENANT = Tenant("uid-of-the-class", "previews")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/eep-c1-default-abcdefghij"


def _order(number: int) -> BuildTarget:
    return BuildTarget(
        REPOSITORY, Commit("https://github.com/acme/sentiment.git", f"{number:040x}"), "linux/amd64", TENANT
    )


def _demand(number: int, namespace: str) -> BuildRequest:
    """The higher the number, the younger the object."""
    return BuildRequest(NOW + timedelta(seconds=number), f"uid-{number:04}", _order(number), namespace)


def _running(number: int) -> Build:
    image = _order(number).image
    return Build(f"build-{number}", image, Result.RUNNING, Step.BUILDING, NOW, None, "")


CROWD = [_demand(number, "crowd") for number in range(500)]


def test_five_hundred_builds_of_one_namespace_hold_up_no_build_of_another() -> None:
    running = {_order(number).image: [_running(number)] for number in range(4)}
    todo = due_round([*CROWD, _demand(900, "alone")], running, limits=BuildLimits(5, 5), now=NOW)
    assert todo.begin == (_order(900),)
    assert len(todo.waiting) == 496


def test_namespaces_take_turns_and_in_each_the_oldest_is_first() -> None:
    requests = [_demand(3, "a"), _demand(1, "a"), _demand(2, "a"), _demand(8, "b"), _demand(9, "b"), _demand(5, "c")]
    todo = due_round(requests, {}, limits=BuildLimits(6, 6), now=NOW)
    assert todo.begin == tuple(map(_order, (1, 5, 8, 2, 9, 3)))


def test_what_runs_counts_for_its_namespace() -> None:
    """Without that, a crowd would take every place that becomes free."""
    running = {_order(0).image: [_running(0)]}
    todo = due_round([*CROWD[:3], _demand(900, "alone")], running, limits=BuildLimits(2, 2), now=NOW)
    assert todo.begin == (_order(900),)


async def test_five_hundred_objects_that_wait_hold_up_no_other() -> None:
    """Each waits for its own turn at AWS, none for another object."""
    handled, forever = [], asyncio.Event()

    async def handle(key: ObjectKey) -> None:
        if key.namespace == "crowd":
            await forever.wait()
        handled.append(key)

    queue: Queue[ObjectKey] = Queue(handle, clock=lambda: 0.0)
    for number in range(500):
        queue.enqueue(endpoint_key("crowd", f"pr-{number}"))
    queue.enqueue(endpoint_key("alone", "pr"))
    await asyncio.sleep(0)
    assert handled == [endpoint_key("alone", "pr")]
    forever.set()
    await queue.stop(10)
