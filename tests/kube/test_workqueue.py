import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from tests.fixtures.logs import of_operator

from ephemeral_endpoints.kube.workqueue import Queue

Due = float | None


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Worker:
    """A handler whose runs end when the test says so. ``begun`` holds the keys in the order of their runs."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._gates: dict[str, asyncio.Future[Due]] = {}
        self._changed = asyncio.Condition()

    async def __call__(self, key: str) -> Due:
        assert key not in self._gates, f"{key} is handled twice at once"
        gate = self._gates[key] = _gate()
        await self._note(self.begun, key)
        try:
            return await gate
        finally:
            del self._gates[key]
            self.ended.append(key)

    async def until_begun(self, *keys: str) -> None:
        """Wait until exactly these runs have begun."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: len(self.begun) >= len(keys))
        assert self.begun == list(keys)

    def end(self, key: str, result: Due | BaseException = None) -> None:
        if isinstance(result, BaseException):
            self._gates[key].set_exception(result)
        else:
            self._gates[key].set_result(result)

    async def _note(self, where: list[str], key: str) -> None:
        async with self._changed:
            where.append(key)
            self._changed.notify_all()


def _gate() -> "asyncio.Future[Due]":
    return asyncio.get_running_loop().create_future()


async def idle(queue: Queue[str]) -> None:
    """Wait until nothing runs any more."""
    async with asyncio.timeout(60):
        while len(queue):
            await asyncio.sleep(0)


class Timers:
    """The timers that a queue sets on the loop: how far ahead, and which of them are still to fire."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, at_once: bool) -> None:
        """``at_once`` has them fire without the delay."""
        self.delays: list[float] = []
        self._handles: list[asyncio.TimerHandle] = []
        self._at_once = at_once
        loop = asyncio.get_running_loop()
        self._real = loop.call_later
        monkeypatch.setattr(loop, "call_later", self._call_later)

    @property
    def pending(self) -> int:
        now = asyncio.get_running_loop().time()
        return sum(not handle.cancelled() and handle.when() > now for handle in self._handles)

    def _call_later(self, delay: float, callback: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        if getattr(callback, "__name__", "") != "enqueue":
            return self._real(delay, callback, *arguments)
        handle = self._real(0 if self._at_once else delay, callback, *arguments)
        self.delays.append(delay)
        self._handles.append(handle)
        return handle


async def test_keys_are_handled_side_by_side() -> None:
    worker = Worker()
    queue = Queue(worker, clock=Clock())
    queue.enqueue("a")
    queue.enqueue("b")
    await worker.until_begun("a", "b")
    assert len(queue) == 2
    worker.end("a")
    worker.end("b")
    await idle(queue)
    assert worker.ended == ["a", "b"]


async def test_a_queue_tells_what_waits_what_runs_and_for_how_long() -> None:
    worker, clock, waited = Worker(), Clock(), list[tuple[str, float]]()
    queue = Queue(worker, clock=clock, waited=lambda key, seconds: waited.append((key, seconds)))
    assert (queue.depth, queue.longest_running) == (0, 0.0)
    queue.enqueue("a")
    assert queue.depth == 1, "its run has not begun"
    await worker.until_begun("a")
    clock.now = 3.0
    queue.enqueue("a")
    clock.now = 5.0
    queue.enqueue("a")
    queue.enqueue("b")
    await worker.until_begun("a", "b")
    assert (queue.depth, len(queue), queue.longest_running) == (1, 2, 5.0)
    clock.now = 9.0
    worker.end("a", 60.0)
    await worker.until_begun("a", "b", "a")
    assert waited == [("a", 0.0), ("b", 0.0), ("a", 6.0)], "since the first trigger"
    assert (queue.depth, queue.longest_running) == (0, 4.0)
    worker.end("a")
    worker.end("b")
    await idle(queue)
    assert queue.longest_running == 0.0


async def test_a_key_that_is_enqueued_while_it_runs_runs_once_more_however_often_it_was_enqueued() -> None:
    worker = Worker()
    queue = Queue(worker, clock=Clock())
    queue.enqueue("a")
    await worker.until_begun("a")
    for _ in range(3):
        queue.enqueue("a")
    await asyncio.sleep(0)
    assert worker.begun == ["a"]
    worker.end("a", 3600.0)
    await worker.until_begun("a", "a")
    worker.end("a")
    await idle(queue)
    assert worker.begun == ["a", "a"]


async def test_a_key_is_due_when_the_handler_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    queue = Queue(worker, clock=Clock())
    waited = Timers(monkeypatch, at_once=True).delays
    queue.enqueue("a")
    await worker.until_begun("a")
    worker.end("a", 12.5)
    await worker.until_begun("a", "a")
    assert waited == [12.5]
    worker.end("a", None)
    await idle(queue)
    assert waited == [12.5]


async def test_a_key_that_is_enqueued_early_is_not_due_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    queue = Queue(worker, clock=Clock())
    timers = Timers(monkeypatch, at_once=False)
    queue.enqueue("a")
    await worker.until_begun("a")
    worker.end("a", 3600.0)
    await idle(queue)
    assert timers.pending == 1
    queue.enqueue("a")
    await worker.until_begun("a", "a")
    assert timers.pending == 0
    worker.end("a")
    await idle(queue)
    assert timers.delays == [3600.0]
    assert timers.pending == 0


async def test_a_handler_that_fails_is_tried_again_after_growing_pauses_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    waited = Timers(monkeypatch, at_once=True).delays
    many = 1100  # 2.0 ** 1024 is more than a float holds
    results = iter([True] * many + [False, True, False])
    done = asyncio.Event()

    async def handle(_: str) -> Due:
        if next(results):
            raise RuntimeError("broken")
        if len(waited) > many:
            done.set()
            return None
        return 7.0

    Queue(handle, clock=Clock()).enqueue("a")
    async with asyncio.timeout(60):
        await done.wait()
    assert waited[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert set(waited[8:many]) == {60.0}
    assert waited[many:] == [7.0, 1.0], "a success ends the count"


async def test_a_failure_is_logged_with_its_object(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    queue = Queue(worker, clock=Clock())
    queue.enqueue("nlp/pr-42")
    await worker.until_begun("nlp/pr-42")
    worker.end("nlp/pr-42", RuntimeError("broken"))
    await idle(queue)
    (record,) = of_operator(caplog)
    assert record.__dict__["object"] == "nlp/pr-42"
    assert "broken" in caplog.text
    await queue.stop(0)


async def test_one_key_that_fails_does_not_hold_up_the_others() -> None:
    worker = Worker()
    queue = Queue(worker, clock=Clock())
    queue.enqueue("bad")
    queue.enqueue("good")
    await worker.until_begun("bad", "good")
    worker.end("bad", RuntimeError("broken"))
    worker.end("good")
    await idle(queue)
    queue.enqueue("good")
    await worker.until_begun("bad", "good", "good")
    await queue.stop(0)


async def test_a_run_that_is_cancelled_from_within_does_not_block_its_key() -> None:
    worker = Worker()
    queue = Queue(worker, clock=Clock())
    queue.enqueue("a")
    await worker.until_begun("a")
    worker.end("a", asyncio.CancelledError())
    await idle(queue)
    queue.enqueue("a")
    await worker.until_begun("a", "a")
    await queue.stop(0)


async def test_stopping_lets_what_runs_finish_and_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = Timers(monkeypatch, at_once=False)
    worker = Worker()
    queue = Queue(worker, clock=Clock())
    queue.enqueue("a")
    await worker.until_begun("a")
    queue.enqueue("a")
    stopping = asyncio.create_task(queue.stop(grace_seconds=60))
    await asyncio.sleep(0)
    queue.enqueue("b")
    worker.end("a", 0.0)
    async with asyncio.timeout(60):
        await stopping
    assert (worker.begun, worker.ended) == (["a"], ["a"])
    assert timers.delays == []


async def test_what_ends_while_stopping_is_not_due_again(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = Timers(monkeypatch, at_once=False)
    worker = Worker()
    queue = Queue(worker, clock=Clock())
    queue.enqueue("a")
    await worker.until_begun("a")
    stopping = asyncio.create_task(queue.stop(grace_seconds=60))
    await asyncio.sleep(0)
    worker.end("a", 3600.0)
    async with asyncio.timeout(60):
        await stopping
    assert timers.delays == []


async def test_stopping_forgets_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = Timers(monkeypatch, at_once=False)
    worker = Worker()
    queue = Queue(worker, clock=Clock())
    queue.enqueue("a")
    await worker.until_begun("a")
    worker.end("a", 3600.0)
    await idle(queue)
    assert timers.pending == 1
    await queue.stop(0)
    assert timers.pending == 0


async def test_what_does_not_finish_in_time_is_cancelled_and_over_when_stop_returns() -> None:
    cleaned: list[str] = []
    begun = asyncio.Event()

    async def handle(key: str) -> Due:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(key)
        return None

    handler: Callable[[str], Awaitable[Due]] = handle
    queue = Queue(handler, clock=Clock())
    queue.enqueue("a")
    await begun.wait()
    await queue.stop(grace_seconds=0)
    assert cleaned == ["a"]
    assert len(queue) == 0
