"""ministack as a program, nearer to AWS in two things.

It keeps event sources that begin with ``aws.`` for its own services; our SageMaker stands beside it and plays one of
them. And it kills the workers of a function whose code changes in the midst of what they do, where Lambda lets
invocations in flight end (https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html).
"""

import functools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ministack.app import main
from ministack.core import lambda_runtime
from ministack.services import eventbridge

_POLL_SECONDS = 0.05

Kill = Callable[[Iterable[Any]], None]


def sparing_busy(kill: Kill) -> Kill:
    """Kill idle workers at once, and each busy one as soon as it is idle."""

    def retire(worker: Any) -> None:  # noqa: ANN401 - ministack has no types
        while worker.in_use:
            time.sleep(_POLL_SECONDS)
        kill([worker])

    def kill_idle(workers: Iterable[Any]) -> None:
        listed = [worker for worker in workers if worker is not None]
        kill([worker for worker in listed if not worker.in_use])
        for worker in listed:
            if worker.in_use:
                threading.Thread(target=retire, args=(worker,), daemon=True).start()

    return kill_idle


if __name__ == "__main__":
    publish = eventbridge._put_events  # noqa: SLF001 - no setting does it
    eventbridge._put_events = functools.partial(publish, allow_aws_source=True)  # noqa: SLF001 - likewise
    lambda_runtime.kill_workers = sparing_busy(lambda_runtime.kill_workers)
    main()
