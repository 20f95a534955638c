"""The requests to one forge that publish objects: one after the other, each object as it is at its turn."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.features.reviews.errors import ForgeError, ForgeLimited, ForgeUnavailable
from ephemeral_endpoints.features.reviews.forge import PublishingForge
from ephemeral_endpoints.features.reviews.publishing.turns import Turns

logger = logging.getLogger(__name__)

QUIET_FAILURES: Final = 3
"""So often in a row a forge may not answer before that counts as an outage, which is said of objects too."""

SILENT_SECONDS: Final = 60.0
"""The longest pause between two tries of a forge that answers nothing, whichever object's turn it is."""


MOST_TRIES: Final = 10
"""Of what the forge refuses of something that is gone: its pull request may be, too, or the access to it."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far something has been published.

    ``problem`` is why it is not published as it should be. ``is_current``: whether that was found out at all since the
    start. ``is_over``: its end is shown, or is not tried any more.
    """

    problem: Cause | None = None
    is_current: bool = False
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """``was_asked``: whether the forge was asked anything. ``again_in``: when it is due although nothing changes."""

    was_asked: bool
    again_in: timedelta | None = None


class Work(Protocol):
    """Something that has to be published."""

    @property
    def place(self) -> tuple[str, str]:
        """The namespace and the repository that its turns count for."""
        ...

    async def publish(self, forge: PublishingForge) -> Done:
        """Publish it as it is now. Raises a ForgeError; it is then called again."""
        ...

    def failed(self, error: ForgeError, failures: int) -> bool:
        """It was not published for the so manieth time; returns whether it is tried again."""
        ...


def is_worth_a_try(error: ForgeError, failures: int) -> bool:
    """Whether something that is gone is tried again after so many failures."""
    return isinstance(error, ForgeUnavailable) or failures < MOST_TRIES


class Lane:
    """What waits for one forge. One task runs it. ``clock`` is monotonic seconds."""

    def __init__(self, forge: PublishingForge, clock: Callable[[], float]) -> None:
        self._forge = forge
        self._clock = clock
        self._turns: Turns[str] = Turns()
        self._works: dict[str, Work] = {}
        self._silences = 0
        self._paused_until = float("-inf")
        self._woken = asyncio.Event()

    def add(self, id_: str, work: Work, *, is_urgent: bool = False) -> None:
        """Have something published at its turn, in place of what waits under its id. Does not wait."""
        self._works[id_] = work
        self._turns.add(id_, *work.place, self._clock(), is_urgent=is_urgent)
        self._woken.set()

    async def run(self) -> None:
        """Give turns until cancelled."""
        while True:
            self._woken.clear()
            if not await self.turn():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.due_in()):
                        await self._woken.wait()

    def due_in(self) -> float | None:
        """In how many seconds the next turn can be; None while nothing waits."""
        now = self._clock()
        due = self._turns.due_in(now)
        return None if due is None else max(due, self._paused_until - now)

    async def turn(self) -> bool:
        """Publish what has its turn; returns whether anything had. Raises nothing for the sake of one of them."""
        now = self._clock()
        id_ = self._turns.take(now) if now >= self._paused_until else None
        if id_ is None:
            return False
        work = self._works.pop(id_)
        try:
            done = await work.publish(self._forge)
        except ForgeError as error:
            self._failed(id_, work, error)
        except Exception:
            logger.exception("an object was not published by a fault of the operator", extra={"object": id_})
            self._again(id_, work, None)
        else:
            self._done(id_, work, done)
        # What needs no request would otherwise make everything else in the process wait.
        await asyncio.sleep(0)
        return True

    def _done(self, id_: str, work: Work, done: Done) -> None:
        now = self._clock()
        self._turns.done(id_)
        if done.again_in:
            self._works.setdefault(id_, work)
            self._turns.schedule(id_, *work.place, now + done.again_in / timedelta(seconds=1))
        if done.was_asked and self._silences:
            self._silences = 0
            self._turns.revive(now)

    def _failed(self, id_: str, work: Work, error: ForgeError) -> None:
        now, is_silent = self._clock(), isinstance(error, ForgeUnavailable)
        if isinstance(error, ForgeLimited):
            self._turns.hold(work.place[1], now + error.retry_after)
            self._again(id_, work, 0.0)
            return
        failures = self._again(id_, work, None)
        self._silences = self._silences + 1 if is_silent else 0
        if self._silences >= QUIET_FAILURES:
            self._paused_until = now + min(SILENT_SECONDS, 2.0**self._silences)
        if is_silent and failures < QUIET_FAILURES:
            return
        extra = {"object": id_, "failures": failures, "error": str(error)}
        logger.warning("an object was not published; the operator tries again", extra=extra)
        if not work.failed(error, failures):
            self._turns.discard(id_)
            self._works.pop(id_, None)

    def _again(self, id_: str, work: Work, after: float | None) -> int:
        self._works.setdefault(id_, work)
        return self._turns.failed(id_, self._clock(), after=after)
