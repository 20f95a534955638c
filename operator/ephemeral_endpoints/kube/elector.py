"""Leader election: of all replicas one acts, the one that holds a Lease; by the rules of client-go's leader election.

The holder renews the Lease; another replica takes it when it has seen it unchanged for the holder's lease duration.
That is measured by each replica's own monotonic clock; the times written into the Lease are for people only. A holder
measures by its time of day as well: the monotonic clock of a paused virtual machine stands, and the time of day is set
when it goes on. Every write is guarded by the resource version. A holder that cannot renew in time may not act any more
well before another may begin to; two fences, around AWS calls and around Kubernetes requests, see to that even in a
process that was stopped or whose event loop was busy meanwhile. A request may still be in flight: names in AWS are
deterministic and writes to Kubernetes guarded, so that it creates no duplicate.

The election of the Kubernetes client (``kubernetes.aio.leaderelection``) uses the wall clock, does not release,
waits minutes for an API server that does not answer, and ends with an exception when it refuses connections.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from math import inf
from typing import Final, NoReturn

from ephemeral_endpoints.kube.errors import Conflict, Gone, KubernetesError
from ephemeral_endpoints.kube.lease import Lease, Record, Sighting, Timing, claimed, free_in, resigned, sight

logger = logging.getLogger(__name__)

DEFAULT_TIMING: Final = Timing()


class LeaseLost(Exception):  # noqa: N818 - an outcome of the election, no fault
    """This replica may not act any more."""


class Elector:
    """Competes for the Lease for one process. ``clock`` is monotonic seconds, ``now`` the time of day in UTC."""

    def __init__(
        self,
        lease: Lease,
        identity: str,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        self._lease = lease
        self._identity = identity
        self._clock = clock
        self._now = now
        self._timing = timing
        self._sighting: Sighting | None = None
        self._version: str | None = None
        self._held_until = -inf
        self._held_until_day = now()
        self.is_informed = False
        """Whether the Lease has been read from the API server."""

    def is_leading(self) -> bool:
        """Whether this process may act at this moment. For any thread; does not block."""
        return self._clock() < self._held_until and self._now() < self._held_until_day

    @property
    def holder(self) -> str:
        """The identity that holds the Lease as far as is known; empty for nobody."""
        return self._sighting.record.holder if self._sighting else ""

    async def acquire(self) -> None:
        """Return when this process leads. Waits without end, also for an API server that is unavailable."""
        while not await self._attempt(self._timing.request):
            free = free_in(self._sighting, self._identity, self._clock())
            await asyncio.sleep(min(free, self._timing.retry) or self._timing.retry)

    async def keep(self) -> NoReturn:
        """Renew until cancelled. Raises LeaseLost, at the renew deadline at the latest.

        An attempt begins ``retry`` seconds after the one before, or when that one has ended: an attempt on a
        connection that was dropped takes longer, and closes it, so that the next one opens another.
        """
        began = self._clock()
        while True:
            pause = max(0.0, began + self._timing.retry - self._clock())
            await asyncio.sleep(min(pause, self._left()))
            if not self.is_leading():
                raise LeaseLost(f"the Lease could not be renewed for {self._timing.renew_deadline:g} s")
            began = self._clock()
            await self._attempt(min(self._timing.request, self._left()))

    async def release(self) -> None:
        """Stop leading and let others begin at once, as far as the API server can be reached."""
        self._held_until = -inf
        with suppress(KubernetesError, TimeoutError):
            async with asyncio.timeout(self._timing.request):
                record, version = await self._lease.read()
                if record and record.holder == self._identity:
                    await self._lease.write(resigned(record, self._now()), version)

    def _left(self) -> float:
        return max(0.0, self._held_until - self._clock())

    async def _attempt(self, seconds: float) -> bool:
        """Acquire or renew, once. Raises LeaseLost if another replica holds the Lease that this one held."""
        try:
            async with asyncio.timeout(seconds):
                return await self._renew() or await self._take()
        except (Conflict, Gone):
            self._version = None
        except (KubernetesError, TimeoutError) as error:
            message = str(error) or f"no answer within {seconds:g} s"
            logger.warning("the operator cannot read or write the Lease; it tries again", extra={"error": message})
        return False

    async def _renew(self) -> bool:
        """One write and no read, while no other client changes the Lease."""
        if self._sighting is None or self._version is None or not self.is_leading():
            return False
        try:
            await self._write(self._sighting.record)
        except (Conflict, Gone):
            return False
        return True

    async def _take(self) -> bool:
        record, self._version = await self._lease.read()
        self.is_informed = True
        self._sighting = sight(self._sighting, record, self._clock())
        if self.is_leading() and record and record.holder not in {"", self._identity}:
            self._held_until = -inf
            raise LeaseLost(f"the Lease was taken by {record.holder}")
        if free_in(self._sighting, self._identity, self._clock()):
            return False
        await self._write(record)
        return True

    async def _write(self, before: Record | None) -> None:
        # Others see the renewal after it was sent, never before: counted from here, they wait longer than we act.
        sent, day = self._clock(), self._now()
        record = claimed(before, self._identity, self._timing.lease, day)
        self._version = await self._lease.write(record, self._version)
        self._sighting = Sighting(record, sent)
        self._held_until = sent + self._timing.renew_deadline
        self._held_until_day = day + timedelta(seconds=self._timing.renew_deadline)


@asynccontextmanager
async def leadership(
    elector: Elector, *, stop: asyncio.Event, on_lost: Callable[[LeaseLost], None]
) -> AsyncIterator[bool]:
    """Wait for the Lease, keep it within the context, and release it at the end.

    Yields whether this process leads; it does not if the ``stop`` flag was set first. ``on_lost`` is called within
    the context and should not return: the work there must not continue.
    """
    keeping: asyncio.Task[None] | None = None
    try:
        leads = await _unless(stop, elector.acquire())
        if leads:
            keeping = asyncio.create_task(_keep(elector, on_lost))
        yield leads
    finally:
        if keeping:
            keeping.cancel()
            await asyncio.wait([keeping])
        await elector.release()


async def _keep(elector: Elector, on_lost: Callable[[LeaseLost], None]) -> None:
    try:
        await elector.keep()
    except LeaseLost as lost:
        on_lost(lost)


async def _unless(stop: asyncio.Event, wanted: Awaitable[None]) -> bool:
    tasks = asyncio.ensure_future(wanted), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
        return tasks[0].done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
