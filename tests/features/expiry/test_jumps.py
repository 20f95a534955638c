import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ephemeral_endpoints.features.expiry.jumps import LOOK_SECONDS, notice_jumps

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
HOURS = timedelta(hours=8)


class Machine:
    """A machine that runs for as long as the operator waits, and does after each wait what ``happens`` says."""

    def __init__(self, *happens: Callable[["Machine"], None]) -> None:
        self.now, self.elapsed, self.jumps = NOON, 0.0, 0
        self._happens = list(happens)

    def sleeps(self) -> None:
        self.now += HOURS

    def runs(self) -> None:
        """Nothing happens."""

    def is_rounded(self) -> None:
        self.now += timedelta(seconds=2)

    def is_set_back(self) -> None:
        self.now -= HOURS

    async def wait(self, seconds: float) -> None:
        if not self._happens:
            raise asyncio.CancelledError
        self.now += timedelta(seconds=seconds)
        self.elapsed += seconds
        self._happens.pop(0)(self)

    def jumped(self) -> None:
        self.jumps += 1


@pytest.mark.parametrize(
    ("happens", "jumps", "why"),
    [
        ((Machine.runs, Machine.runs), 0, "time passed by both clocks alike"),
        ((Machine.runs, Machine.sleeps, Machine.runs), 1, "timers stood for hours"),
        ((Machine.sleeps, Machine.sleeps), 2, "it slept again"),
        ((Machine.is_rounded, Machine.is_rounded), 0, "the API server's time is in whole seconds"),
        ((Machine.is_set_back,), 0, "what is due later is due later"),
    ],
)
async def test_a_machine_that_slept_is_noticed(
    happens: tuple[Callable[[Machine], None], ...], jumps: int, why: str
) -> None:
    machine = Machine(*happens)
    with pytest.raises(asyncio.CancelledError):
        await notice_jumps(lambda: machine.now, lambda: machine.elapsed, machine.jumped, machine.wait)
    assert machine.jumps == jumps, why
    assert machine.elapsed == LOOK_SECONDS * len(happens)
