"""The process of a container: starts it, reads its exit code, and ends it."""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eep_platform.processes import ManagedProcess, is_alive, spawn, stop

KILLED: Final = 137
"""128 + SIGKILL, as container runtimes report it."""

_SUPERVISOR: Final = 'trap : TERM INT; "$@"; echo $? >"$0.new"; mv "$0.new" "$0"'
"""The shell writes the exit code to a file, because the parent may be gone and does not wait for the process.

Signals go to the whole session; the shell only has to survive them.
"""

_LINES: Final = 80
_BYTES: Final = 2048
"""The limit of a log as a termination message:
https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/"""

_WRITTEN_BYTES: Final = 4096
"""The limit of a termination message that the program itself has written."""


@dataclass(frozen=True, slots=True)
class Started:
    """A container's process, and the files for its exit code and its termination message."""

    process: ManagedProcess
    code_file: Path
    message_file: Path

    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        if is_alive(self.process):
            return None
        with suppress(OSError, ValueError):
            return int(self.code_file.read_text())
        return KILLED

    def end(self, grace_seconds: float) -> int:
        """Send SIGTERM, then SIGKILL; blocks until it and all descendants have ended, and returns the exit code."""
        stop(self.process, grace_seconds=grace_seconds)
        code = self.exit_code()
        return KILLED if code is None else code

    def written(self) -> str:
        """The termination message that it has written; empty if there is none."""
        try:
            with self.message_file.open("rb") as file:
                return file.read(_WRITTEN_BYTES).decode(errors="replace")
        except OSError:
            return ""

    def last_lines(self) -> str:
        """The last lines of its log."""
        try:
            with self.process.log.open("rb") as log:
                lines = deque(log, maxlen=_LINES)
        except OSError:
            return ""
        return b"".join(lines)[-_BYTES:].decode(errors="replace")


def process_name(uid: str, container: str) -> str:
    """The name of a container's process, shortened to a DNS label."""
    return re.sub(r"[^a-z0-9]+$", "", f"pod-{uid[:13]}-{container}"[:63])


def message_file(folder: Path, name: str) -> Path:
    """The file for the termination message of a process."""
    return folder / f"{name}.message"


def launch(name: str, argv: Sequence[str], environment: Mapping[str, str], *, state: Path, folder: Path) -> Started:
    """Start a container's process in the folder `folder`. Raises PlatformError if that fails."""
    code_file = folder / f"{name}.exit"
    message = message_file(folder, name)
    for each in (code_file, message):
        each.unlink(missing_ok=True)
    supervised = ["/bin/sh", "-c", _SUPERVISOR, str(code_file), *argv]
    return Started(spawn(name, supervised, state=state, env=environment, cwd=folder), code_file, message)
