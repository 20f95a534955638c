"""The processes of one build: a shell leads their session and runs one script after the other.

As in CodeBuild's own images, each command is a separate script. It inherits the exported variables and the working
directory of the previous command; `exit` in a command ends only that command.
"""

import asyncio
import os
import shlex
import signal
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil

BUILD_ID = "CODEBUILD_BUILD_ID"
"""The variable that identifies the processes of a build, even in another session."""

_SHELL = "/bin/sh"
# The marker takes the same way as the output, so it arrives after it; commands cannot know it.
_LOOP = 'while read -r marker script; do /bin/sh "$script" </dev/null; echo "$marker $?"; done'
_CHUNK_BYTES = 1 << 16
_MOST_LINE_BYTES = 1 << 18
_MARKER_BYTES = 64
"""How much of the end of an overlong line is kept back: a marker may begin there."""
_POLL_SECONDS = 0.02
_EARLY_END = 137

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BuildFolder:
    """The folder of a build."""

    root: Path

    @property
    def source(self) -> Path:
        """The source, in which commands start."""
        return self.root / "src"

    @property
    def variables(self) -> Path:
        """A script with the variables that the last command exported."""
        return self.root / "env.sh"

    @property
    def folder(self) -> Path:
        """The file with the working directory of the last command."""
        return self.root / "dir.txt"

    def make(self, variables: Mapping[str, str]) -> None:
        """Create the folders and the state for the first command."""
        for name in ("src", "home", "tmp"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.define(variables)
        self.folder.write_text(f"{self.source}\n", encoding="utf-8")

    def define(self, variables: Mapping[str, str]) -> None:
        """Set variables for the following commands."""
        with self.variables.open("a", encoding="utf-8") as file:
            file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())

    def exported(self, names: Collection[str]) -> dict[str, str]:
        """Those of these variables that the last command exported, with their values."""
        words = shlex.split(self.variables.read_text(encoding="utf-8"))
        found = dict(word.split("=", 1) for word in words if "=" in word)
        return {name: found[name] for name in names if name in found}

    def script(self, command: str, succeeding: bool) -> Path:  # noqa: FBT001 (the value of CODEBUILD_BUILD_SUCCEEDING)
        """Write a script that runs a command as part of the build."""
        variables, folder = shlex.quote(str(self.variables)), shlex.quote(str(self.folder))
        path = self.root / "script.sh"
        path.write_text(
            f'. {variables}\nexport CODEBUILD_BUILD_SUCCEEDING={int(succeeding)}\ncd "$(cat {folder})" || exit 1\n'
            f"{command}\nCODEBUILD_LAST_EXIT=$?\nexport -p > {variables}\npwd > {folder}\nexit $CODEBUILD_LAST_EXIT\n",
            encoding="utf-8",
        )
        return path


class Agent:
    """The shell of one build and all processes that it starts."""

    def __init__(self, build_id: str, process: asyncio.subprocess.Process, on_line: OnLine) -> None:
        self._build_id = build_id
        self._process = process
        self._on_line = on_line
        self._rest = b""
        self._lines: list[bytes] = []

    @classmethod
    async def start(cls, build_id: str, environment: Mapping[str, str], folder: Path, on_line: OnLine) -> "Agent":
        """Start the shell; `environment` is its whole environment, `on_line` receives the output."""
        process = await asyncio.create_subprocess_exec(
            *(_SHELL, "-c", _LOOP),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**environment, BUILD_ID: build_id},
            cwd=folder,
            start_new_session=True,
        )
        return cls(build_id, process, on_line)

    async def run(self, script: Path) -> int:
        """Run a script and return its exit status, after all of its output was passed on."""
        marker = uuid4().hex
        assert self._process.stdin is not None  # noqa: S101 - narrows what the type cannot say
        with suppress(ConnectionError):
            self._process.stdin.write(f"{marker} {script}\n".encode())
            await self._process.stdin.drain()
        while (line := await self._next_line()) is not None:
            text, found, status = line.decode(errors="replace").partition(f"{marker} ")
            if not found:
                self._on_line(text)
                continue
            if text:
                self._on_line(text)
            return int(status)
        return _EARLY_END

    async def close(self, grace_seconds: float) -> None:
        """End all processes of the build with SIGTERM, then SIGKILL; returns when none is left."""
        for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 10.0)):
            await asyncio.to_thread(self._signal, number)
            if await self._gone(seconds):
                break
        transport = self._process._transport  # type: ignore[attr-defined]  # noqa: SLF001 - no other way closes the pipes
        transport.close()
        await self._process.wait()

    async def _next_line(self) -> bytes | None:
        """The next line without its newline; None when no process is left to write one."""
        assert self._process.stdout is not None  # noqa: S101 - narrows what the type cannot say
        while not self._lines:
            chunk = await self._process.stdout.read(_CHUNK_BYTES)
            if not chunk:
                rest, self._rest = self._rest, b""
                return rest or None
            *self._lines, self._rest = (self._rest + chunk).split(b"\n")
            if len(self._rest) > _MOST_LINE_BYTES:
                self._lines.append(self._rest[:-_MARKER_BYTES])
                self._rest = self._rest[-_MARKER_BYTES:]
        return self._lines.pop(0)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
        for stray in self._members():
            with suppress(psutil.NoSuchProcess):
                stray.send_signal(number)

    async def _gone(self, seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds
        while await asyncio.to_thread(self._members):
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    def _members(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        """Whether it is in the build's session, or has the build's marker in another session; zombies do not count."""
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            if os.getsid(process.pid) == self._process.pid:
                return True
            return process.environ().get(BUILD_ID) == self._build_id
        return False
