"""Mutual exclusion between programs of one machine."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ephemeral_endpoints.local.paths import private_dir


@contextmanager
def exclusive(path: Path, *, on_wait: Callable[[], None]) -> Iterator[int]:
    """Hold the lock file `path`; blocks without limit while another program holds it, after one call of `on_wait`.

    The kernel frees the lock when the last holder of the descriptor (which this yields) is gone, however it ended.
    """
    private_dir(path.parent)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()
