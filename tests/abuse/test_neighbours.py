"""A namespace with very many objects is the trouble of that namespace alone."""

import asyncio
from datetime import UTC, datetime, timedelta

from ephemeral_endpoints.core.builds import Build, Commit, Demand, Order, Result, Step, due_round
from ephemeral_endpoints.kube.queue import Queue
from ephemeral_endpoints.kube.store import ObjectKey

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/eep-c1-default-abcdefghij"


def _order(number: int) -> Order:
    return Order(REPOSITORY, Commit("https://github.com/acme/sentiment.git", f"{number:040x}"), "linux/amd64")


def _demand(number: int, namespace: str) -> Demand:
    """The higher the number, the younger the object."""
    return Demand(NOW + timedelta(seconds=number), f"uid-{number:04}", _order(number), namespace)


def _running(number: int) -> Build:
    image = _order(number).image
    return Build(f"build-{number}", image, Result.RUNNING, Step.BUILDING, NOW, None, "")


CROWD = [_demand(number, "crowd") for number in range(500)]


def test_five_hundred_builds_of_one_namespace_hold_up_no_build_of_another() -> None:
    running = {_order(number).image: [_running(number)] for number in range(4)}
    todo = due_round([*CROWD, _demand(900, "alone")], running, most=5, now=NOW)
    assert todo.begin == (_order(900),)
    assert len(todo.waiting) == 496


def test_namespaces_take_turns_and_in_each_the_oldest_is_first() -> None:
    demands = [_demand(3, "a"), _demand(1, "a"), _demand(2, "a"), _demand(8, "b"), _demand(9, "b"), _demand(5, "c")]
    todo = due_round(demands, {}, most=6, now=NOW)
    assert todo.begin == tuple(map(_order, (1, 5, 8, 2, 9, 3)))


def test_what_runs_counts_for_its_namespace() -> None:
    """Without that, a crowd would take every place that becomes free."""
    running = {_order(0).image: [_running(0)]}
    todo = due_round([*CROWD[:3], _demand(900, "alone")], running, most=2, now=NOW)
    assert todo.begin == (_order(900),)


async def test_five_hundred_objects_that_wait_hold_up_no_other() -> None:
    """Each waits for its own turn at AWS, none for another object."""
    handled, forever = [], asyncio.Event()

    async def handle(key: ObjectKey) -> None:
        if key.namespace == "crowd":
            await forever.wait()
        handled.append(key)

    queue: Queue[ObjectKey] = Queue(handle)
    for number in range(500):
        queue.wake(ObjectKey("crowd", f"pr-{number}"))
    queue.wake(ObjectKey("alone", "pr"))
    await asyncio.sleep(0)
    assert handled == [ObjectKey("alone", "pr")]
    forever.set()
    await queue.stop(10)
