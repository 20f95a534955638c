"""Executes a command in a root file system, isolated as far as the kernel allows the caller.

It runs as a program, by path and without other modules of the package, so that it starts in milliseconds:
`python -I -S jail.py SPEC`, where SPEC is a file with the JSON of `isolation.Spec`. It is the parent of the command:
it forwards SIGTERM and SIGINT, writes the exit code into a file and exits with it (like a shell: 128 + signal, 127 if
there is no such program, 125 if the isolation failed). If it dies, so does the command.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _SIOCSIFADDR, _IFF_UP = 0x8914, 0x8916, 1
# A server that listens on 127.0.0.1 only cannot be reached at an address of its container, here as on AWS.
_ADDRESS = "172.17.0.2"
_PORT = 8080  # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
_CHUNK_BYTES = 1 << 16
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


def unshare(*, as_root: bool = False, listener: socket.socket | None = None, offline: bool = False) -> None:
    """Give this process new mount and (for its children) PID namespaces; a user namespace as well unless it is root.

    In a user namespace it keeps its ids, or appears `as_root`. With a `listener` it gets a network namespace in which
    there is nothing but the container's address, to which connections of the listener are passed on; `offline` gives it
    the same without connections.

    Raises:
        OSError: the kernel or a security policy denies it.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNS | (_CLONE_NEWUSER if uid else 0) | (_CLONE_NEWNET if listener or offline else 0)
    _check(_libc.unshare(flags), "unshare")
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{0 if as_root else uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{0 if as_root else gid} {gid} 1")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    if listener or offline:
        _make_network()
    if listener:
        _begin_relay(listener)
    _check(_libc.unshare(_CLONE_NEWPID), "unshare")


def _make_network() -> None:
    """Make 127.0.0.1 and the address of the container work in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
        address = struct.pack("=H2x4s8x", socket.AF_INET, socket.inet_aton(_ADDRESS))
        fcntl.ioctl(control, _SIOCSIFADDR, struct.pack("16s16s", b"lo:1", address))


def _begin_relay(listener: socket.socket) -> None:
    """Pass connections of `listener`, a socket of the machine's network, on to the server in this one.

    A process does it: this one can have no threads once its children have another PID namespace. It dies with this one,
    and not before: SIGTERM, which is blocked, lets a server finish its requests.
    """
    parent = os.getpid()
    if os.fork() == 0:
        _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
        if os.getppid() == parent:
            _relay(listener)
        os._exit(0)
    listener.close()


def _relay(listener: socket.socket) -> None:
    while True:
        caller, _ = listener.accept()
        try:
            server = socket.create_connection((_ADDRESS, _PORT))
        except OSError:  # it does not listen, yet or at all: a reset, since nothing can be refused any more
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            caller.close()
            continue
        for source, target in ((caller, server), (server, caller)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK_BYTES):
            target.sendall(data)
    # The other direction may still have something to say; the last one to end closes both.
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


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
    # A surrounding container may deny this: then there is no /proc, which few programs need. It is read-only, because
    # root may change settings of the kernel there even without capabilities.
    with suppress(OSError):
        _mount("proc", f"{root}/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_RDONLY)
    if spec["read_only"]:
        _read_only(root)


def _become(spec: dict[str, Any], *, is_root: bool) -> None:
    if is_root:
        os.setgroups([])
        os.setgid(spec["gid"])
        os.setuid(spec["uid"])
    if os.geteuid() == 0:
        _drop_capabilities(frozenset(spec["capabilities"]))
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    # A change of user clears it, so it comes last.
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def _drop_capabilities(kept: frozenset[int]) -> None:
    """Leave root only these capabilities, and what it owns: with others it could undo its isolation."""
    if not kept:
        _check(_libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NOROOT | _SECBIT_NOROOT_LOCKED, 0, 0, 0), "prctl")
    number = 0
    while _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        if number not in kept:
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
        # It stays in the network in which it is made.
        listener = None if spec["port"] is None else socket.create_server(("127.0.0.1", spec["port"]))
        if spec["mode"] == "namespaces":
            unshare(as_root=spec["uid"] == 0, listener=listener, offline=spec["offline"])
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
