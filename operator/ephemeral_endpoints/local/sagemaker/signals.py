"""A repeatable event: wakes all who wait at the moment."""

import asyncio


class Signal:
    """Like `asyncio.Event`, but each sending wakes only those that wait already."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def send(self) -> None:
        """Wake all waiting; never blocks."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the next sending."""
        await self._event.wait()
