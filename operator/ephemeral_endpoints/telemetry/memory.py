"""Free memory that is returned to the system: the C library keeps what a list or a burst took for a moment."""

import asyncio
import ctypes
from collections.abc import Awaitable, Callable
from typing import Final

INTERVAL_SECONDS: Final = 15.0


def trim() -> bool:
    """Return whole free pages of all heaps; returns whether the C library can, which only glibc's does.

    Takes a few milliseconds, without the interpreter's lock. Without it, glibc returns only what lies at the end of a
    heap: https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is None:
        return False
    malloc_trim(0)
    return True


async def trim_regularly(sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
    """Trim now and again until cancelled; ends by itself where that is not possible."""
    while trim():
        await sleep(INTERVAL_SECONDS)
