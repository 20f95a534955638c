"""Requests that go on in the background, whatever happens."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

Answer = TypeVar("Answer", int, str)
_PAUSE_SECONDS: Final = 0.05


@contextmanager
def requests_meanwhile(send: Callable[[], Answer]) -> Iterator[Counter[Answer]]:
    """Send requests one after the other in the background during the block; counts the results of ``send``."""
    answers: Counter[Answer] = Counter()
    done = threading.Event()

    def work() -> None:
        while not done.wait(_PAUSE_SECONDS):
            answers[send()] += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()
