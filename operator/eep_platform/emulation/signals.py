"""An event that can be sent repeatedly and wakes the tasks that are waiting."""

import asyncio


class Signal:
    """Like `asyncio.Event`, but `send` wakes only the tasks that are already waiting."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def send(self) -> None:
        """Wake all waiting tasks; never blocks."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the next `send`."""
        await self._event.wait()
