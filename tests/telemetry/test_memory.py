import asyncio

import psutil
import pytest

from ephemeral_endpoints.telemetry import memory
from ephemeral_endpoints.telemetry.memory import INTERVAL_SECONDS, trim, trim_regularly

_MB = 1024**2
_LARGE = 4096
"""Bytes that Python asks the C library for, because its own arenas hold at most 512."""


def _resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_free_memory_between_used_memory_is_returned() -> None:
    taken = [bytes(_LARGE) + b"." for _ in range(32 * _MB // _LARGE)]
    pinned = taken[::32]
    taken.clear()
    before = _resident()

    if not trim():
        pytest.skip("the C library cannot return it")

    assert before - _resident() > 16 * _MB
    assert len(pinned) == 32 * _MB // _LARGE // 32


async def test_it_is_returned_at_once_and_then_regularly() -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await trim_regularly(sleep)

    assert pauses == [INTERVAL_SECONDS] * 3


async def test_nothing_is_tried_again_where_the_c_library_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "trim", lambda: False)

    await asyncio.wait_for(trim_regularly(), 1)
