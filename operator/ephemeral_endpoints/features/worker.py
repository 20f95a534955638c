"""A process of its own for what pull requests can make take for ever, and what can be ended."""

import asyncio
import json
import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

_LONGEST_LINE: Final = 64 * 1024


class WorkerError(Exception):
    """The process did not answer. The message says why, as the end of a sentence about what was asked."""


class Worker:
    """Asks a module that answers each line of JSON with one, in a process that is started when needed, until ``close``.

    One question at a time. The process has nothing of the environment but the way to the modules: no credentials.
    """

    def __init__(self, module: str, max_seconds: float) -> None:
        self._module = module
        self._max_seconds = max_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
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
            try:
                async with asyncio.timeout(self._max_seconds):
                    return await self._answer(request)
            except TimeoutError as error:
                await self.close()
                raise WorkerError(f"takes longer than {self._max_seconds:g} s to apply") from error
            except asyncio.CancelledError:
                await self.close()
                raise
            except (OSError, ValueError) as error:
                await self.close()
                raise WorkerError("could not be applied: the process that does it ended") from error

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Raises OSError and ValueError if the process has ended."""
        process = self._process or await self._started()
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process was started without pipes")
        process.stdin.write(json.dumps(request).encode() + b"\n")
        await process.stdin.drain()
        answer: dict[str, Any] = json.loads(await process.stdout.readline())
        return answer

    async def _started(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", self._module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            limit=_LONGEST_LINE,
        )
        return self._process
