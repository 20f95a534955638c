"""A watch of the API server in a thread of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from kubernetes import watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

Events = Iterator[Any]
Stream = Callable[..., Events]
"""The events of a list of the API server, by the client's function for the list and the arguments of that."""

_RECONNECT_SECONDS: Final = 3600
_STOP_SECONDS: Final = 0.05


@contextmanager
def watching(follow: Callable[[Stream], None]) -> Iterator[None]:
    """Have ``follow`` consume a stream in a thread inside a ``with`` block, and again whenever the connection ends.

    At the end the connection is closed, and the thread has ended: one that is left over would be sent every event.
    """
    # The client ships its watch without annotations.
    watcher, is_over = watch.Watch(), threading.Event()  # type: ignore[no-untyped-call]

    def stream(listing: Callable[..., Any], *arguments: str, **options: str) -> Events:
        events: Events = watcher.stream(listing, *arguments, **options, timeout_seconds=_RECONNECT_SECONDS)  # type: ignore[no-untyped-call]
        return events

    def run() -> None:
        while not is_over.is_set():
            with suppress(ApiException, HTTPError):
                follow(stream)

    thread = threading.Thread(target=run, daemon=True, name="watch")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        while thread.is_alive():
            watcher.stop()  # type: ignore[no-untyped-call]
            thread.join(_STOP_SECONDS)  # one that is about to connect does not know yet
