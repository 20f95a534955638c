"""Executes a command in a root file system, isolated as far as the kernel allows the caller.

It runs as a program, by path and without other modules of the package, so that it starts in milliseconds:
`python -I -S jail.py SPEC`, where SPEC is a file with the JSON of `isolation.Spec`. It is the parent of the command:
it forwards SIGTERM and SIGINT, writes the exit code into a file and exits with it (like a shell: 128 + signal, 127 if
there is no such program, 125 if the isolation failed). If it dies, so does the command.
"""

import ctypes
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
# An unprivileged remount must keep the flags of the mount: statvfs' flags and mount's.
_KEPT = {2: _MS_NOSUID, 4: _MS_NODEV, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
_PR_SET_PDEATHSIG, _PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 1, 23, 24, 28, 38
_SECBIT_NOROOT, _SECBIT_NOROOT_LOCKED = 1, 2

CANNOT_START = 125
NOT_FOUND = 127

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(*, as_root: bool = False) -> None:
    """Give this process new mount and (for its children) PID namespaces; a user namespace as well unless it is root.

    In a user namespace it keeps its ids, or appears `as_root`.

    Raises:
        OSError: the kernel or a security policy denies it.
    """
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID | (_CLONE_NEWUSER if uid else 0)), "unshare")
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{0 if as_root else uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{0 if as_root else gid} {gid} 1")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [text.encode() if text is not None else None for text in (source, target, kind)]
    _check(_libc.mount(*encoded, ctypes.c_ulong(flags), options.encode() if options else None), f"mount {target}")


def _read_only(target: str) -> None:
    has = os.statvfs(target).f_flag
    kept = sum(flag for bit, flag in _KEPT.items() if has & bit)
    _mount(None, target, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | kept)


def _furnish(spec: dict[str, Any]) -> None:
    """Mount the root file system, read-only unless it is being built, and what programs expect inside of it."""
    root = spec["rootfs"]
    _mount(root, root, None, _MS_BIND | _MS_REC)
    for source, target, writable in spec["binds"]:
        _mount(source, target, None, _MS_BIND)
        if not writable:
            _read_only(target)
    for target, mode in spec["scratch"]:
        _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode={mode}")
    # A surrounding container may deny this: then there is no /proc, which few programs need.
    with suppress(OSError):
        _mount("proc", f"{root}/proc", "proc", _MS_NOSUID | _MS_NODEV)
    if spec["read_only"]:
        _read_only(root)


def _become(spec: dict[str, Any], *, is_root: bool) -> None:
    if is_root:
        os.setgroups([])
        os.setgid(spec["gid"])
        os.setuid(spec["uid"])
    if os.geteuid() == 0:
        _drop_capabilities()
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    # A change of user clears it, so it comes last.
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def _drop_capabilities() -> None:
    """Leave root nothing but what it owns: with capabilities it could undo its isolation."""
    _check(_libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NOROOT | _SECBIT_NOROOT_LOCKED, 0, 0, 0), "prctl")
    number = 0
    while _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        _check(_libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), "prctl")
        number += 1


def _execute(spec: dict[str, Any], parent: int, *, is_root: bool) -> None:
    try:
        if spec["mode"] == "namespaces":
            _furnish(spec)
        if spec["mode"] != "loader":
            os.chroot(spec["rootfs"])
        os.chdir(spec["working_dir"])
        os.umask(0o022)
        _become(spec, is_root=is_root)
        # The parent is outside of the PID namespace and appears as 0.
        if os.getppid() not in {0, parent}:
            os._exit(CANNOT_START)
        os.execvpe(spec["argv"][0], spec["argv"], spec["environment"])  # noqa: S606 (intentionally no shell)
    except FileNotFoundError as error:
        os.write(2, f"cannot start {spec['argv'][0]}: {error}\n".encode())
        os._exit(NOT_FOUND)
    except OSError as error:
        os.write(2, f"cannot start {spec['argv'][0]}: {error}\n".encode())
        os._exit(CANNOT_START)


def _supervise(spec: dict[str, Any]) -> int:
    is_root = os.geteuid() == 0
    forwarded = {signal.SIGTERM, signal.SIGINT}
    # Blocked until there is a child to forward them to.
    signal.pthread_sigmask(signal.SIG_BLOCK, forwarded)
    try:
        if spec["mode"] == "namespaces":
            unshare(as_root=spec["uid"] == 0)
        parent = os.getpid()
        child = os.fork()
    except OSError as error:
        os.write(2, f"cannot start {spec['argv'][0]}: {error}\n".encode())
        return CANNOT_START
    if child == 0:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, forwarded)
        _execute(spec, parent, is_root=is_root)
    for number in forwarded:
        signal.signal(number, lambda received, _: os.kill(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, forwarded)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def main(spec_file: str) -> int:
    """Execute the spec; blocks until the command ends and returns its exit code."""
    spec = json.loads(Path(spec_file).read_text(encoding="utf-8"))
    code = _supervise(spec)
    done = Path(spec["exit_file"])
    partial = done.with_suffix(".partial")
    partial.write_text(str(code))
    partial.rename(done)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
