"""A process of its own for what pull requests can make take for ever, and what can be ended."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

START_SECONDS: Final = 60.0
_LONGEST_LINE: Final = 64 * 1024


class WorkerError(Exception):
    """The process did not answer. The message says why, as the end of a sentence about what was asked."""


class Worker:
    """Asks a module that ``worker_process`` serves, in a process that is started when needed, until ``close``.

    One question at a time. The process has nothing of the environment but the way to the modules: no credentials.
    ``max_seconds`` counts for each answer, and not for the start: on a busy node that takes seconds, and says nothing
    of what is asked.
    """

    def __init__(self, module: str, max_seconds: float) -> None:
        self._module = module
        self._max_seconds = max_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Start the process. Raises WorkerError."""
        async with self._turn:
            await self._ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the process, and wait for that."""
        if process := self._process:
            self._process = None
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises WorkerError; the process is then ended."""
        async with self._turn:
            process = await self._ready()
            late = f"takes longer than {self._max_seconds:g} s to apply"
            async with self._ended_on_failure(self._max_seconds, late):
                return await _answer(process, request)

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._process:
            return self._process
        async with self._ended_on_failure(START_SECONDS, "could not be applied: its process does not start"):
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", self._module),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                limit=_LONGEST_LINE,
            )
            await _line(self._process)
            return self._process

    @asynccontextmanager
    async def _ended_on_failure(self, max_seconds: float, late: str) -> AsyncIterator[None]:
        """Raises WorkerError, with the words of ``late`` after so many seconds."""
        try:
            async with asyncio.timeout(max_seconds):
                yield
        except TimeoutError as error:
            await self.close()
            raise WorkerError(late) from error
        except asyncio.CancelledError:
            await self.close()
            raise
        except (OSError, ValueError) as error:
            await self.close()
            raise WorkerError("could not be applied: the process that does it ended") from error


async def _answer(process: asyncio.subprocess.Process, request: dict[str, Any]) -> dict[str, Any]:
    """Raises OSError and ValueError if the process has ended."""
    if process.stdin is None:
        raise ValueError("the process was started without pipes")
    process.stdin.write(json.dumps(request).encode() + b"\n")
    await process.stdin.drain()
    answer: dict[str, Any] = json.loads(await _line(process))
    return answer


async def _line(process: asyncio.subprocess.Process) -> bytes:
    """Raises OSError and ValueError if the process has ended."""
    if process.stdout is None:
        raise ValueError("the process was started without pipes")
    line = await process.stdout.readline()
    if not line:
        raise ValueError("the process has ended")
    return line
