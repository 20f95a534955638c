import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from eep_platform import processes
from eep_platform.errors import PlatformError
from eep_platform.paths import cache_dir, log_file, record_file
from eep_platform.processes import ManagedProcess, find, is_alive, spawn, stop, stop_all, wait_until

SLEEP = ("sleep", "120")
DEADLINE_SECONDS = 120


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    stop_all(tmp_path, grace_seconds=0)


def python(code: str) -> Sequence[str]:
    return [sys.executable, "-c", code]


def logged(process: ManagedProcess, text: str) -> None:
    wait_until(lambda: text in process.log.read_text(), seconds=DEADLINE_SECONDS, what=text, process=process)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_a_spawned_process_is_found_again_by_name(state: Path) -> None:
    process = spawn("server", SLEEP, state=state)
    assert find("server", state) == process
    assert find("other", state) is None


def test_output_of_both_streams_is_appended_to_the_log(state: Path) -> None:
    for word in ("first", "second"):
        process = spawn("server", python(f"import sys; print('{word}'); sys.exit('{word} failed')"), state=state)
        wait_until(lambda p=process: not is_alive(p), seconds=DEADLINE_SECONDS, what="end")  # type: ignore[misc]
    lines = log_file(state, "server").read_text().split("\n")
    assert sorted(filter(None, lines)) == ["first", "first failed", "second", "second failed"]


def test_a_process_gets_the_given_environment_and_folder_only(state: Path) -> None:
    code = "import os; print(sorted(os.environ), os.getcwd(), flush=True); import time; time.sleep(99)"
    process = spawn("server", python(code), state=state, env={"GREETING": "hello"}, cwd=state)
    logged(process, str(state))
    assert "GREETING" in process.log.read_text()
    assert "HOME" not in process.log.read_text()


def test_a_second_process_of_the_same_name_is_refused_while_the_first_lives(state: Path) -> None:
    spawn("server", SLEEP, state=state)
    with pytest.raises(PlatformError, match="server is already running"):
        spawn("server", SLEEP, state=state)


def test_platforms_side_by_side_do_not_see_each_other(state: Path) -> None:
    one, two = (spawn("server", SLEEP, state=state / name) for name in ("one", "two"))
    assert stop_all(state / "one", grace_seconds=1) == 1
    assert not is_alive(one)
    assert is_alive(two)
    stop_all(state / "two", grace_seconds=0)


def test_a_program_that_is_not_there_is_named_in_the_error(state: Path) -> None:
    with pytest.raises(PlatformError, match=r"server cannot be started: .*no-such-program"):
        spawn("server", ["/no-such-program"], state=state)


@pytest.mark.parametrize("name", ["", "../escape", "a/b", "Upper", "-dash", "x" * 64])
def test_a_name_that_is_no_dns_label_is_refused(state: Path, name: str) -> None:
    with pytest.raises(ValueError, match="DNS label"):
        spawn(name, SLEEP, state=state)


def test_a_recycled_pid_is_not_taken_for_the_process_and_never_touched(state: Path) -> None:
    stranger = subprocess.Popen(SLEEP, start_new_session=True)  # noqa: S603 - a literal command
    try:
        created = psutil.Process(stranger.pid).create_time() - 60
        process = ManagedProcess("server", stranger.pid, created, state)
        assert not is_alive(process)
        stop(process, grace_seconds=0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("", "the disk was full"),
        ("{}", "fields are missing"),
        ("[]", "no object"),
        ('{"pid": null, "created": 0}', "wrong types"),
    ],
)
def test_a_record_that_cannot_be_read_counts_as_none(state: Path, record: str, reason: str) -> None:
    record_file(state, "server").parent.mkdir()
    record_file(state, "server").write_text(record)
    assert find("server", state) is None, reason


def test_a_process_that_ended_by_itself_is_dead_and_leaves_no_zombie(state: Path) -> None:
    process = spawn("server", ["true"], state=state)
    wait_until(lambda: not is_alive(process), seconds=DEADLINE_SECONDS, what="end")
    assert not psutil.pid_exists(process.pid)


def test_stopping_lets_the_process_finish_within_its_grace(state: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('farewell', flush=True), sys.exit()))\n"
        "print('ready', flush=True); time.sleep(99)"
    )
    process = spawn("server", python(code), state=state)
    logged(process, "ready")
    stop(process)
    assert "farewell" in process.log.read_text()
    assert not is_alive(process)
    assert not record_file(state, "server").exists()


def test_stopping_ends_what_ignores_the_polite_signal(state: Path) -> None:
    process = spawn("server", ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], state=state)
    logged(process, "ready")
    stop(process, grace_seconds=0.2)
    assert not is_alive(process)


def test_stopping_without_grace_gives_no_time_to_react(state: Path) -> None:
    process = spawn(
        "server", ["sh", "-c", "trap 'echo ended' TERM; echo ready; while :; do sleep 0.01; done"], state=state
    )
    logged(process, "ready")
    stop(process, grace_seconds=0)
    assert not is_alive(process)
    assert process.log.read_text() == "ready\n"


def test_stopping_ends_descendants_even_those_that_left_the_session(state: Path) -> None:
    code = (
        "import subprocess, time\n"
        "children = [subprocess.Popen(['sleep', '120'], start_new_session=own) for own in (False, True)]\n"
        "print(*(c.pid for c in children), 'pids', flush=True); time.sleep(99)"
    )
    process = spawn("server", python(code), state=state)
    logged(process, "pids")
    children = [int(word) for word in process.log.read_text().split()[:2]]
    stop(process, grace_seconds=1)
    assert all(gone(pid) for pid in children)


def test_stopping_ends_the_descendants_of_a_leader_that_died_before(state: Path) -> None:
    process = spawn("server", ["sh", "-c", "sleep 120 & echo $! pid; wait"], state=state)
    logged(process, "pid")
    child = int(process.log.read_text().split()[0])
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(process), seconds=DEADLINE_SECONDS, what="end")
    stop(process, grace_seconds=1)
    assert gone(child)


def test_stopping_twice_is_no_error(state: Path) -> None:
    process = spawn("server", SLEEP, state=state)
    stop(process, grace_seconds=1)
    stop(process, grace_seconds=1)


def test_stopping_a_predecessor_leaves_its_successor_alone(state: Path) -> None:
    process = spawn("server", SLEEP, state=state)
    predecessor = replace(process, created=process.created - 60)
    stop(predecessor, grace_seconds=1)
    assert find("server", state) == process


KILLED_PARENT = """
import os, signal, sys
from pathlib import Path
from eep_platform import processes
if sys.argv[2] == "unrecorded":
    processes.write_atomically = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
processes.spawn("server", ["sleep", "120"], state=Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_parent(state: Path, how: str) -> psutil.Process:
    """Let another program spawn `server` and be killed; return what it left behind."""
    subprocess.run(  # noqa: S603 - a literal program
        [*python(KILLED_PARENT), state, how],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    (left,) = (each for each in psutil.process_iter() if marker_of(each) == str(record_file(state, "server")))
    return left


def marker_of(process: psutil.Process) -> str | None:
    with suppress(psutil.Error):
        return process.environ().get(processes.MARKER)
    return None


def test_what_a_killed_parent_recorded_is_found_by_the_next_program(state: Path) -> None:
    left = killed_parent(state, "recorded")
    process = find("server", state)
    assert process is not None
    assert process.pid == left.pid
    stop(process, grace_seconds=1)
    assert gone(left.pid)


def test_what_a_killed_parent_could_not_record_is_ended_before_its_successor_starts(state: Path) -> None:
    left = killed_parent(state, "unrecorded")
    assert find("server", state) is None
    spawn("server", SLEEP, state=state)
    assert gone(left.pid)


def test_what_a_killed_parent_could_not_record_is_ended_with_the_platform(state: Path) -> None:
    left = killed_parent(state, "unrecorded")
    assert stop_all(state, grace_seconds=1) == 1
    assert gone(left.pid)


def test_ending_some_by_name_leaves_the_others(state: Path) -> None:
    one, two = (spawn(name, SLEEP, state=state) for name in ("one", "one-and-a-half"))
    assert stop_all(state, ["one"], grace_seconds=1) == 1
    assert not is_alive(one)
    assert is_alive(two)


def test_free_ports_differ_and_can_be_bound() -> None:
    ports = processes.free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


def test_a_port_is_given_once_in_some_minutes_whoever_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(processes, "_LASTING_PORTS", processes._LASTING_PORTS[:80])  # noqa: SLF001 - else none is scarce
    few = "from eep_platform import processes as p; p._LASTING_PORTS = p._LASTING_PORTS[:80]; print(*p.free_ports(2))"
    theirs = subprocess.check_output([sys.executable, "-c", few], text=True)  # noqa: S603 - our own
    given = {*map(int, theirs.split()), *(processes.free_port() for _ in range(58))}
    assert len(given) == 60
    with pytest.raises(PlatformError, match="fewer than 21 ports"):
        processes.free_ports(21)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 301)
    assert given & {*processes.free_ports(30)}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"15000": "soon"}'], ids=["empty", "a list", "cut off", "no time"])
def test_a_record_of_ports_that_cannot_be_read_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (cache_dir() / "ports.json").parent.mkdir()
    (cache_dir() / "ports.json").write_text(content)
    assert {*processes.free_ports(2)}.isdisjoint(processes.free_ports(2))


def test_waiting_returns_the_first_true_answer() -> None:
    answers = iter(["", "", "ready"])
    assert wait_until(lambda: next(answers), seconds=DEADLINE_SECONDS, what="the answer") == "ready"


class Clock:
    """Time that passes in sleep only."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_what_lets_wait_for_long_is_looked_at_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, seen = Clock(), list[float]()
    monkeypatch.setattr(processes, "time", clock)

    def is_over() -> bool:
        seen.append(clock.now)
        return clock.now >= 60

    wait_until(is_over, seconds=DEADLINE_SECONDS, what="a minute")
    pauses = [later - earlier for earlier, later in pairwise(seen)]
    assert pauses[:5] == pytest.approx([0.02] * 5), "what comes soon is seen at once"
    assert max(pauses) == pytest.approx(0.25)
    assert len(seen) < 300, "every 20 milliseconds it would be ten times as often"


def test_waiting_for_a_process_that_ends_quotes_the_end_of_its_log(state: Path) -> None:
    process = spawn("server", python("print(*range(99), sep='\\n'); print('no such option')"), state=state)
    with pytest.raises(PlatformError) as caught:
        wait_until(lambda: False, seconds=DEADLINE_SECONDS, what="waiting for the port", process=process)
    lines = str(caught.value).splitlines()
    assert lines[0] == "waiting for the port: server ended early"
    assert lines[-1] == "no such option"
    assert len(lines) < 20


def test_waiting_is_given_up_when_time_is_up() -> None:
    with pytest.raises(PlatformError, match=r"waiting for the port: not within 0\.1 s"):
        wait_until(lambda: False, seconds=0.1, what="waiting for the port")
