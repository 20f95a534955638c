"""Mutual exclusion between the processes of one machine."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eep_platform.paths import private_dir


@contextmanager
def exclusive(path: Path, *, on_wait: Callable[[], None]) -> Iterator[int]:
    """Hold the lock file `path`. If another process holds it, calls `on_wait` once and blocks without limit.

    Yields the descriptor; the kernel frees the lock when the last process with the descriptor has ended.
    """
    private_dir(path.parent)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()
