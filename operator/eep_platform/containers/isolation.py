"""Detects the isolation that this machine allows, and prepares commands for it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

from eep_platform.containers import jail, rootfs
from eep_platform.containers.errors import InvalidImage
from eep_platform.containers.image import ImageConfig

# namespaces: own mounts and processes, the image read-only; for root, or where users can create namespaces.
# chroot: for root inside a container that cannot mount.
# loader: only the environment is isolated; the image's ELF loader runs its programs in place.
Mode = Literal["namespaces", "chroot", "loader"]

NOBODY = 65534
_SCRATCH = (("/tmp", "1777"), ("/dev/shm", "1777"))  # noqa: S108 (of the container)
_SCRATCH_OF_BUILDS = (("/dev/shm", "1777"),)  # noqa: S108 (likewise); what a command leaves in /tmp the next one finds
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_LIBRARY_FOLDERS = ("lib/*-linux-gnu", "usr/lib/*-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib")
_PROBE = (
    "import os, socket, sys; sys.path.insert(0, sys.argv[1]); import jail; "
    "jail.unshare(listener=socket.create_server(('127.0.0.1', 0)) if sys.argv[2:] else None); "
    "child = os.fork(); sys.exit(child and os.waitpid(child, 0)[1])"
)


@dataclass(frozen=True, slots=True)
class Spec:
    """A command for `jail`.

    Attributes:
        working_dir: inside of the root file system.
        environment: the whole environment.
        binds: (path on this machine, mount point below rootfs as a path on this machine, writable).
        scratch: (mount point of a tmpfs below rootfs as a path on this machine, octal mode).
        exit_file: the file for the exit code.
        port: the command gets a network of its own, whose port 8080 is this port of 127.0.0.1; None: this machine's.
        offline: without a port, the command gets a network of its own that nothing reaches.
        capabilities: those that root keeps, by number.
    """

    mode: Mode
    rootfs: str
    argv: list[str]
    environment: dict[str, str]
    working_dir: str
    uid: int
    gid: int
    read_only: bool
    binds: list[tuple[str, str, bool]]
    scratch: list[tuple[str, str]]
    exit_file: str
    port: int | None = None
    capabilities: tuple[int, ...] = ()
    offline: bool = False

    def write(self, path: Path) -> list[str]:
        """Write the spec, readable by the owner only because it may hold secrets; returns the argv that executes it."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        return [sys.executable, "-I", "-S", jail.__file__, str(path)]


@cache
def best_mode() -> Mode:
    """The strongest isolation that this machine allows this user; tried once, because no setting shows it reliably."""
    if _can_unshare():
        return "namespaces"
    return "chroot" if os.geteuid() == 0 else "loader"


@cache
def has_networks() -> bool:
    """Whether this machine allows this user namespaces with a network of their own; tried once, likewise."""
    return _can_unshare("network")


def _can_unshare(*more: str) -> bool:
    probe = [sys.executable, "-I", "-S", "-c", _PROBE, str(Path(jail.__file__).parent), *more]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0  # noqa: S603 (ourselves)


def prepare(  # noqa: PLR0913 (each is one decision of the caller, all by keyword)
    root: Path,
    argv: Sequence[str],
    *,
    mode: Mode,
    environment: Mapping[str, str],
    working_dir: str,
    user: tuple[int, int],
    exit_file: Path,
    binds: Sequence[tuple[Path, str]] = (),
    volumes: Sequence[tuple[Path, str]] = (),
    scratch: Sequence[tuple[str, str]] = (),
    read_only: bool = True,
    port: int | None = None,
    capabilities: tuple[int, ...] = (),
) -> Spec:
    """Return the spec of a command in `root`, whose mount points must exist.

    `binds` are (here, path in the image), and read-only; `volumes` are the same, and writable.

    Raises:
        InvalidImage: the program is not in the image (checked in loader mode only).
    """
    arguments, variables, folder = list(argv), dict(environment), working_dir
    if mode == "loader":
        arguments = _by_loader(root, argv, variables)
        variables = {name: _relocated(root, value) for name, value in variables.items()} | _home(root, argv, variables)
        folder = str(rootfs.resolve(root, working_dir))
    devices = [(Path(device), device) for device in _DEVICES]
    return Spec(
        mode=mode,
        rootfs=str(root),
        argv=arguments,
        environment=variables,
        working_dir=folder,
        uid=user[0],
        gid=user[1],
        read_only=read_only,
        binds=[(str(here), str(rootfs.resolve(root, there)), False) for here, there in binds]
        + [(str(here), str(rootfs.resolve(root, there)), True) for here, there in (*devices, *volumes)],
        scratch=[
            (str(rootfs.resolve(root, there)), access)
            for there, access in [*(_SCRATCH if read_only else _SCRATCH_OF_BUILDS), *scratch]
        ],
        exit_file=str(exit_file),
        port=port,
        capabilities=capabilities,
    )


def user_of(config: ImageConfig, root: Path, mode: Mode) -> tuple[int, int]:
    """The (uid, gid) of the image's user by its own passwd and group files.

    Root has no capabilities in namespaces; without them it could change the image, which containers share, and is
    nobody.

    Raises:
        InvalidImage: the image has no such user or group.
    """
    uid, gid = owner_of(config.user, root)
    return (uid, gid) if uid or mode == "namespaces" else (NOBODY, NOBODY)


def owner_of(text: str, root: Path) -> tuple[int, int]:
    """The (uid, gid) of `user[:group]` by the passwd and group files of an image; root's if it is empty.

    Raises:
        InvalidImage: the image has no such user or group.
    """
    name, _, group = text.partition(":")
    uid, gid = _lookup(root, "etc/passwd", name or "0")
    return uid, _lookup(root, "etc/group", group)[0] if group else gid


def _lookup(root: Path, file: str, name: str) -> tuple[int, int]:
    path = rootfs.resolve(root, file)
    rows = [line.split(":") for line in path.read_text().splitlines()] if path.is_file() else []
    for row in rows:
        if name in {row[0], row[2]}:
            return int(row[2]), int(row[3]) if row[3:] and row[3].isdigit() else 0
    if not name.isdigit():
        raise InvalidImage(f"there is no {name!r} in the image's /{file}")
    return int(name), 0


def _relocated(root: Path, value: str) -> str:
    """Convert search paths of the image to paths of this machine; other values stay the same."""
    parts = value.split(":")
    if not all(part.startswith("/") for part in parts):
        return value
    return ":".join(str(rootfs.resolve(root, part)) for part in parts)


def _program(root: Path, name: str, variables: Mapping[str, str]) -> Path:
    folders = [""] if "/" in name else variables.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")
    for folder in folders:
        candidate = rootfs.resolve(root, PurePosixPath("/", folder, name))
        if candidate.is_file():
            return candidate
    raise InvalidImage(f"{name} is not in the image")


def _by_loader(root: Path, argv: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    program = _program(root, argv[0], variables)
    with program.open("rb") as file:
        first = file.readline(256)
    if first.startswith(b"#!"):
        return _by_loader(
            root,
            [*first[2:].decode().split(), str(PurePosixPath("/", program.relative_to(root))), *argv[1:]],
            variables,
        )
    loaders = [
        path for pattern in ("lib64/ld-linux*", "lib/ld-linux*", "usr/lib*/ld-linux*") for path in root.glob(pattern)
    ]
    if not loaders:
        raise InvalidImage("the image has no ELF loader, which is needed to run it without privileges")
    libraries = [str(folder) for pattern in _LIBRARY_FOLDERS for folder in sorted(root.glob(pattern))]
    loader = str(rootfs.resolve(root, PurePosixPath("/", loaders[0].relative_to(root))))
    arguments = [_relocated(root, argument) for argument in argv[1:]]
    return [loader, "--library-path", ":".join(libraries), "--argv0", argv[0], str(program), *arguments]


def _home(root: Path, argv: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
    """A Python that the loader starts cannot find its own folder."""
    program = _program(root, argv[0], variables)
    return {"PYTHONHOME": str(program.parent.parent)} if re.fullmatch(r"python[0-9.]*", program.name) else {}
