"""Threads for long calls that must not delay the end of the process."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import ParamSpec, TypeVar

from typing_extensions import override

P = ParamSpec("P")
R = TypeVar("R")


class DaemonThreads(ThreadPoolExecutor):
    """Runs each call in a daemon thread of its own, such as a long poll.

    The interpreter joins the threads of a pool when it exits, even if they wait for a call. This pool keeps none.
    """

    @override
    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
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

        Thread(target=run, name="call", daemon=True).start()
        return future
