import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

import pytest
from tests.features.reviews.github.clients import Time

from ephemeral_endpoints.features.reviews.errors import ForgeDenied, ForgeError, ForgeLimited, ForgeUnavailable
from ephemeral_endpoints.features.reviews.forge import PublishingForge
from ephemeral_endpoints.features.reviews.publishing.lane import QUIET_FAILURES, SILENT_SECONDS, Done, Lane
from ephemeral_endpoints.features.reviews.publishing.turns import DEBOUNCE_SECONDS

FORGE = cast("PublishingForge", object())
SILENT, DENIED = ForgeUnavailable("no answer"), ForgeDenied("no")


@dataclass
class Task:
    """Work that ends as it is told, each time with the next outcome, the last one for ever."""

    outcomes: list[Done | Exception]
    place: tuple[str, str] = ("nlp", "acme/wine")
    times: int = 0
    told: list[int] = field(default_factory=list)
    gives_up: bool = False

    async def publish(self, forge: PublishingForge) -> Done:
        assert forge is FORGE
        outcome = self.outcomes[min(self.times, len(self.outcomes) - 1)]
        self.times += 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def failed(self, error: ForgeError, failures: int) -> bool:
        del error
        self.told.append(failures)
        return not self.gives_up


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def lane(time: Time) -> Lane:
    return Lane(FORGE, time.monotonic)


async def pass_time(lane: Lane, time: Time, seconds: int, until: Callable[[], bool] = lambda: False) -> None:
    end = time.seconds + seconds
    while time.seconds < end and not until():
        if not await lane.turn():
            time.seconds += 1.0


async def test_an_outage_is_told_after_a_while_and_asked_about_once_a_minute(lane: Lane, time: Time) -> None:
    tasks = [Task([SILENT]) for _ in range(10)]
    for number, task in enumerate(tasks):
        lane.add(f"{number}", task)
    await pass_time(lane, time, 600)
    before = sum(task.times for task in tasks)
    await pass_time(lane, time, 3600)
    assert sum(task.times for task in tasks) - before <= 3600 / SILENT_SECONDS + 1
    assert {min(task.told) for task in tasks if task.told} == {QUIET_FAILURES}
    for task in tasks:
        task.outcomes = [Done(was_asked=True)]
    await pass_time(lane, time, int(SILENT_SECONDS) + 10)
    assert lane.due_in() is None


async def test_one_that_always_fails_stops_no_other(lane: Lane, time: Time) -> None:
    bad, good = Task([SILENT], ("nlp", "acme/bad")), [Task([Done(was_asked=True)]) for _ in range(20)]
    lane.add("bad", bad)
    for number, task in enumerate(good):
        lane.add(f"{number}", task)
    await pass_time(lane, time, 10)
    assert all(task.times == 1 for task in good)


async def test_what_is_refused_is_told_at_once(lane: Lane, time: Time) -> None:
    task = Task([DENIED, Done(was_asked=True)])
    lane.add("a", task)
    await pass_time(lane, time, 20)
    assert (task.told, task.times) == ([1], 2)


async def test_what_gives_up_is_not_tried_again(lane: Lane, time: Time) -> None:
    task = Task([DENIED], gives_up=True)
    lane.add("a", task)
    await pass_time(lane, time, 600)
    assert task.times == 1
    assert lane.due_in() is None


async def test_a_limit_is_told_to_nobody_and_holds_its_repository_only(lane: Lane, time: Time) -> None:
    limited, other = (
        Task([ForgeLimited("wait", 100.0), Done(was_asked=True)]),
        Task([Done(was_asked=True)], ("nlp", "b")),
    )
    lane.add("a", limited)
    lane.add("same", same := Task([Done(was_asked=True)]))
    lane.add("other", other)
    await pass_time(lane, time, 90)
    assert (limited.told, other.times) == ([], 1)
    assert limited.times + same.times <= 2
    await pass_time(lane, time, 30)
    assert (limited.times, same.times) == (2, 1)


async def test_a_fault_of_the_operator_ends_nothing_else(
    lane: Lane, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Task([ValueError("a fault")]), Task([Done(was_asked=True)])
    lane.add("bad", bad)
    lane.add("good", good)
    await pass_time(lane, time, 120)
    assert (good.times, bad.told) == (1, [])
    assert 2 <= bad.times <= 6
    assert "by a fault of the operator" in caplog.text


async def test_what_is_due_again_comes_again_by_itself(lane: Lane, time: Time) -> None:
    task = Task([Done(was_asked=True, again_in=timedelta(minutes=25)), Done(was_asked=False)])
    lane.add("a", task)
    await pass_time(lane, time, 25 * 60)
    assert task.times == 1
    await pass_time(lane, time, 10)
    assert task.times == 2
    assert lane.due_in() is None


async def test_what_is_added_while_it_is_published_is_published_once_more(lane: Lane, time: Time) -> None:
    later = Task([Done(was_asked=True)])

    class Changing(Task):
        async def publish(self, forge: PublishingForge) -> Done:
            lane.add("a", later)
            return await super().publish(forge)

    lane.add("a", Changing([Done(was_asked=True)]))
    await pass_time(lane, time, 10)
    assert later.times == 1


async def test_it_sleeps_until_something_is_due_and_wakes_for_what_is_new(lane: Lane, time: Time) -> None:
    running = asyncio.create_task(lane.run())
    await asyncio.sleep(0)
    task = Task([Done(was_asked=True)])
    lane.add("a", task)
    time.seconds += DEBOUNCE_SECONDS
    lane.add("b", Task([Done(was_asked=False)]))
    async with asyncio.timeout(60):
        while not task.times:
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
