import asyncio
import logging

import pytest

from ephemeral_endpoints.features.runs import Runs
from ephemeral_endpoints.kube.cache import ObjectKey, endpoint_key

KEY = endpoint_key("nlp", "pr-42")


class Work:
    """Work that goes on until it is let go; counts how often it began, was done, and was cancelled."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.at_once = 0
        self.most_at_once = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1
        return f"result {self.begun}"


class Bench:
    def __init__(self, most: int = 2) -> None:
        self.enqueued: list[ObjectKey] = []
        self.runs: Runs[str] = Runs(self.enqueued.append, most=most)
        self.work = Work()

    def begin(self, id_: str = "one", uid: str = "uid-1") -> None:
        self.runs.begin(KEY, uid, id_, self.work)

    async def turns(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_the_object_is_enqueued_for_the_result_which_is_kept() -> None:
    bench = Bench()
    bench.begin()
    await bench.turns()
    assert (bench.runs.result("uid-1", "one"), bench.runs.is_running("uid-1"), bench.enqueued) == (None, True, [])
    bench.work.may_end.set()
    await bench.turns()
    assert (bench.runs.result("uid-1", "one"), bench.enqueued) == ("result 1", [KEY])
    bench.begin()
    await bench.turns()
    assert bench.work.begun == 1, "what is done is not done again"


async def test_the_same_run_is_begun_once_while_it_is_under_way() -> None:
    bench = Bench()
    for _ in range(3):
        bench.begin()
        await bench.turns()
    assert bench.work.begun == 1
    await bench.runs.stop()


async def test_another_run_of_an_object_replaces_the_one_under_way() -> None:
    bench = Bench()
    bench.begin("one")
    await bench.turns()
    bench.begin("two")
    bench.work.may_end.set()
    await bench.turns()
    assert bench.work.cancelled == 1
    assert (bench.runs.result("uid-1", "one"), bench.runs.result("uid-1", "two")) == (None, "result 2")
    assert bench.enqueued == [KEY]


async def test_so_many_run_at_once_and_the_others_in_turn() -> None:
    bench = Bench(most=2)
    for uid in ("a", "b", "c", "d"):
        bench.begin(uid=uid)
    await bench.turns()
    assert (bench.work.begun, bench.work.most_at_once) == (2, 2)
    bench.work.may_end.set()
    await bench.turns()
    await bench.turns()
    assert (bench.work.begun, bench.work.most_at_once, len(bench.enqueued)) == (4, 2, 4)


async def test_a_run_that_is_cancelled_enqueues_nobody_and_is_forgotten() -> None:
    bench = Bench()
    bench.begin()
    await bench.turns()
    bench.runs.cancel("uid-1")
    bench.runs.cancel("uid-of-nobody")
    bench.work.may_end.set()
    await bench.turns()
    assert (bench.work.cancelled, bench.enqueued, bench.runs.is_running("uid-1")) == (1, [], False)


async def test_a_run_that_fails_is_logged_and_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()

    async def fail() -> str:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        bench.runs.begin(KEY, "uid-1", "one", fail)
        await bench.turns()
    assert "by a fault of the operator" in caplog.text
    assert bench.enqueued == [], "it would fail again at once"
    bench.work.may_end.set()
    bench.begin()
    await bench.turns()
    assert bench.runs.result("uid-1", "one") == "result 1"


async def test_the_end_of_all_runs_is_waited_for() -> None:
    bench = Bench(most=2)
    for uid in ("a", "b", "c"):
        bench.begin(uid=uid)
    await bench.turns()
    await bench.runs.stop()
    assert (bench.work.at_once, bench.work.cancelled, bench.enqueued) == (0, 2, [])


async def test_runs_that_hang_in_a_namespace_keep_no_other_from_its_turn() -> None:
    bench = Bench(most=8)
    for number in range(20):
        bench.begin(uid=f"uid-{number}")
    other = Work()
    bench.runs.begin(endpoint_key("vision", "pr-1"), "uid-other", "one", other)
    await bench.turns()
    assert (bench.work.begun, other.begun) == (6, 1)
    await bench.runs.stop()
