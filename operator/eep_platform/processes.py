"""Processes of a platform, which outlive the program that starts them and which later programs find again.

Two things identify a process: its record (`state/run/<name>.json`: PID and creation time) and a marker in its
environment, the path of that record. The process has the marker from its first instruction on, so it is found even if
the starting program was killed before it wrote the record. Descendants inherit the marker and are ended as well.
"""

import json
import os
import random
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import psutil

from eep_platform.errors import PlatformError
from eep_platform.lock import exclusive
from eep_platform.paths import cache_dir, log_file, private_dir, record_file, write_atomically

MARKER = "EEP_LOCAL_PROCESS"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CREATED_TOLERANCE_SECONDS = 1.0  # the kernel derives the boot time from the wall clock, which is slewed
_LASTING_PORTS = range(15000, 32000)
"""Below the kernel's range for connections, which by default begins at 32768 (Linux) or 49152 (macOS)."""

_GIVEN_SECONDS = 300.0
"""For so long nobody is given a port that another one was given."""

_POLL_SECONDS = 0.02
_LONGEST_POLL_SECONDS = 0.25
_POLL_SHARE = 0.1  # of what has been waited: so much longer it may last, for a fraction of the checks
_KILL_SECONDS = 10.0
_LOG_TAIL_LINES = 15
_LOG_TAIL_BYTES = 8192

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ManagedProcess:
    """A process that `spawn` started: leader of its own session, identified by PID and creation time (Unix seconds)."""

    name: str
    pid: int
    created: float
    state: Path

    @property
    def log(self) -> Path:
        """The file with the output of this process and of its predecessors with the same name."""
        return log_file(self.state, self.name)


def spawn(
    name: str,
    argv: Sequence[str | Path],
    *,
    state: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> ManagedProcess:
    """Start `argv` as the process `name` of the platform `state` and return at once; it may not serve yet.

    The process has no input, appends its output to `state/log/<name>.log`, and outlives the caller. `env` is its whole
    environment (default: the caller's). Unrecorded processes of a killed caller with this name are ended first.

    Raises:
        PlatformError: a recorded process of this name is alive, or the program cannot be executed.
        ValueError: `name` is not a DNS label.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name of a process must be a DNS label, not {name!r}")
    if (running := find(name, state)) is not None:
        raise PlatformError(f"{name} is already running (PID {running.pid}): stop it first")
    record = record_file(state, name)
    _end(_members(None, record), grace_seconds=0)
    log = log_file(state, name)
    private_dir(log.parent)
    private_dir(record.parent)
    environment = {**(os.environ if env is None else env), MARKER: str(record)}
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(  # noqa: S603 - the callers are this package, no shell is involved
                [str(argument) for argument in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise PlatformError(f"{name} cannot be started: {error}") from error
    child.returncode = 0  # it outlives this object intentionally; without a return code the destructor would warn
    try:
        created = psutil.Process(child.pid).create_time()
    except psutil.NoSuchProcess:  # another thread's wait has reaped it; is_alive will be false
        created = 0.0
    write_atomically(record, json.dumps({"name": name, "pid": child.pid, "created": created}))
    return ManagedProcess(name, child.pid, created, state.resolve())


def find(name: str, state: Path) -> ManagedProcess | None:
    """Return the live, recorded process `name` of the platform `state`, or None. Changes nothing."""
    try:
        record = json.loads(record_file(state, name).read_bytes())
        process = ManagedProcess(name, int(record["pid"]), float(record["created"]), state.resolve())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return process if is_alive(process) else None


def is_alive(process: ManagedProcess) -> bool:
    """Whether this very process runs: a recycled PID is another process, a zombie is dead (and is reaped)."""
    return _leader(process) is not None


def terminate(process: ManagedProcess) -> None:
    """Send SIGTERM to the process itself and return at once. Already gone is no error."""
    leader = _leader(process)
    if leader is not None:
        with suppress(psutil.NoSuchProcess):
            leader.terminate()


def stop(process: ManagedProcess, *, grace_seconds: float = 10.0) -> None:
    """End the process with its whole session and all its descendants, then forget its record.

    Blocks until all are gone: SIGTERM, at most `grace_seconds` later SIGKILL; with 0, SIGKILL at once. Already gone is
    no error.
    """
    if find(process.name, process.state) not in (None, process):
        return  # a successor runs, and the leftovers of this one were ended before it started
    record = record_file(process.state, process.name)
    _end(_members(process, record), grace_seconds=grace_seconds)
    record.unlink(missing_ok=True)


def stop_all(state: Path, names: Iterable[str] | None = None, *, grace_seconds: float = 10.0) -> int:
    """End the processes `names` (default: all) of the platform `state`, recorded or not; returns their number.

    Blocks like `stop`, with one grace period for all together.
    """
    run = record_file(state, "any").parent
    records = sorted(run.glob("*.json")) if names is None else [record_file(state, name) for name in names]
    members = list(_marked(f"{run}{os.sep}")) if names is None else []
    for record in records:
        members += _members(find(record.stem, state), record)
    unique = list(dict.fromkeys(members))
    _end(unique, grace_seconds=grace_seconds)
    for record in records:
        record.unlink(missing_ok=True)
    return len(unique)


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports of 127.0.0.1 that are free, and that nobody was given in the last minutes.

    What asks for a port listens on it later, and others ask meanwhile. The ports are outside the range from which the
    kernel takes ports for connections, so that no connection can occupy the port of a restarting service. Blocks while
    another process does the same. Raises PlatformError if there are too few.
    """
    record = cache_dir() / "ports.json"
    with exclusive(cache_dir() / "lock" / "ports", on_wait=lambda: None), ExitStack() as stack:
        given = _given_lately(record)
        first = random.randrange(len(_LASTING_PORTS))  # noqa: S311 - any will do
        ports = (*_LASTING_PORTS[first:], *_LASTING_PORTS[:first])
        free = (port for port in ports if str(port) not in given and _binds(stack.enter_context(socket.socket()), port))
        found = list(islice(free, count))
        if len(found) == count:
            write_atomically(record, json.dumps(given | dict.fromkeys(map(str, found), time.time())))
            return found
    raise PlatformError(f"fewer than {count} ports are free in {_LASTING_PORTS}")


def _binds(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def _given_lately(record: Path) -> dict[str, float]:
    """When each port was given, by its number."""
    try:
        given = json.loads(record.read_bytes())
        return {port: time_ for port, time_ in given.items() if abs(time.time() - time_) < _GIVEN_SECONDS}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]


def wait_until(
    check: Callable[[], Answer],
    *,
    seconds: float,
    what: str,
    process: ManagedProcess | None = None,
) -> Answer:
    """Call `check` until its result is true, and return that. Blocks for up to `seconds`.

    A check that takes long is repeated less often, as is one that has been in vain for long: it must not take the
    machine from what it waits for.

    Raises:
        PlatformError: `process` ended meanwhile, or the time ran out; the message names `what` and ends with the last
            lines of the process's log. Exceptions of `check` pass through.
    """
    first = began = time.monotonic()
    deadline = first + seconds
    while not (answer := check()):
        if process is not None and not is_alive(process):
            raise PlatformError(f"{what}: {process.name} ended early{_log_tail(process)}")
        if time.monotonic() > deadline:
            raise PlatformError(f"{what}: not within {seconds:g} s{_log_tail(process)}")
        now = time.monotonic()
        time.sleep(max(_POLL_SECONDS, now - began, min((now - first) * _POLL_SHARE, _LONGEST_POLL_SECONDS)))
        began = time.monotonic()
    return answer


def _leader(process: ManagedProcess) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        candidate = psutil.Process(process.pid)
        same = abs(candidate.create_time() - process.created) <= _CREATED_TOLERANCE_SECONDS
        return candidate if same and _runs(candidate) else None
    return None


def _runs(process: psutil.Process) -> bool:
    """Whether a process runs. A zombie does not; a child is reaped here, others by their parent or init."""
    with suppress(psutil.NoSuchProcess):
        if not process.is_running():
            return False
        if process.status() != psutil.STATUS_ZOMBIE:
            return True
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    return False


def _marked(prefix: str) -> Iterator[psutil.Process]:
    """The user's processes whose marker begins with `prefix`, except this process."""
    for candidate in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if candidate.pid == os.getpid() or candidate.uids().real != os.getuid():
                continue
            if candidate.environ().get(MARKER, "").startswith(prefix):
                yield candidate


def _members(process: ManagedProcess | None, record: Path) -> list[psutil.Process]:
    """All processes of a record: the session of its process, and the processes with its marker."""
    leader = process and _leader(process)
    session = [leader, *_session(leader)] if leader else []
    return list(dict.fromkeys([*session, *_marked(str(record))]))


def _session(leader: psutil.Process) -> Iterator[psutil.Process]:
    for candidate in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(candidate.pid) == leader.pid and candidate.pid != os.getpid():
                yield candidate


def _end(processes: Sequence[psutil.Process], *, grace_seconds: float) -> None:
    """End processes. psutil compares the creation time before it signals, so a recycled PID is safe."""
    if grace_seconds > 0:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
    for process in _survivors(processes, grace_seconds):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _survivors(processes, _KILL_SECONDS)


def _survivors(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    while alive := [process for process in processes if _runs(process)]:
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_SECONDS)
    return alive


def _log_tail(process: ManagedProcess | None) -> str:
    if process is None or not process.log.exists():
        return ""
    with process.log.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
        lines = log.read().decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join(("", f"last lines of {process.log}:", *lines)) if lines else ""
