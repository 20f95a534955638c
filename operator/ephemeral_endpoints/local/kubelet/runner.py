"""The process of a container: started, watched for its end and its exit code, ended."""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ephemeral_endpoints.local.processes import ManagedProcess, is_alive, spawn, stop

KILLED: Final = 137
"""128 + SIGKILL, as container runtimes tell it."""

_SUPERVISOR: Final = 'trap : TERM INT; "$@"; echo $? >"$0.new"; mv "$0.new" "$0"'
"""A process of ours is not waited for by its parent, which may be gone: what it exits with must be written down.

Signals go to the whole session; the shell only has to live through them.
"""

_LINES: Final = 80
_BYTES: Final = 2048
"""So much of a log becomes a termination message: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/"""


@dataclass(frozen=True, slots=True)
class Started:
    """A container's process, and the file that gets its exit code."""

    process: ManagedProcess
    code_file: Path

    def exit_code(self) -> int | None:
        """What it ended with; None while it runs."""
        if is_alive(self.process):
            return None
        with suppress(OSError, ValueError):
            return int(self.code_file.read_text())
        return KILLED

    def end(self, grace_seconds: float) -> int:
        """SIGTERM, after the grace SIGKILL; blocks until it is gone with all descendants, and returns its exit code."""
        stop(self.process, grace_seconds=grace_seconds)
        code = self.exit_code()
        return KILLED if code is None else code

    def last_lines(self) -> str:
        """The end of what it printed."""
        try:
            with self.process.log.open("rb") as log:
                lines = deque(log, maxlen=_LINES)
        except OSError:
            return ""
        return b"".join(lines)[-_BYTES:].decode(errors="replace")


def process_name(uid: str, container: str) -> str:
    """The name that a container's process is found by: a DNS label, for a container's name may be that long itself."""
    return re.sub(r"[^a-z0-9]+$", "", f"pod-{uid[:13]}-{container}"[:63])


def launch(name: str, argv: Sequence[str], environment: Mapping[str, str], *, state: Path, folder: Path) -> Started:
    """Start a container's process in a folder of its own. Raises PlatformError if that cannot be done."""
    code_file = folder / f"{name}.exit"
    code_file.unlink(missing_ok=True)
    supervised = ["/bin/sh", "-c", _SUPERVISOR, str(code_file), *argv]
    return Started(spawn(name, supervised, state=state, env=environment, cwd=folder), code_file)
