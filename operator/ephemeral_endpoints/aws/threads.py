"""Threads for calls that take long and that nobody waits for at the end."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class DaemonThreads(ThreadPoolExecutor):
    """Runs each call in a daemon thread of its own: a long poll must not hold up the end of the process.

    The threads of a pool are joined when the interpreter exits, whatever they wait for. Here the pool keeps none.
    """

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """See ``Executor``."""
        future: Future[R] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is the future's to raise
                future.set_exception(error)
            else:
                future.set_result(result)

        Thread(target=run, name="long poll", daemon=True).start()
        return future
