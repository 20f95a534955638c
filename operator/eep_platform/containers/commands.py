"""RUN without an engine: commands run in the jail, as root with a part of its rights where the kernel confines it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import uv

from eep_platform.containers import isolation, lent_pip, rootfs, unprivileged
from eep_platform.containers.errors import BuildError
from eep_platform.containers.steps import Run, SecretMount
from eep_platform.containers.store import make_mount_points

_REPEATABLE = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0"}
_NETWORK = ("/etc/resolv.conf", "/etc/hosts")
# CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID of the kernel's linux/capability.h: a part of what Docker
# leaves to root (https://docs.docker.com/engine/security/#linux-kernel-capabilities).
_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7)
_TAIL = 4000


def run(step: Run, root: Path, secrets: Mapping[str, str]) -> None:
    """Execute `step` on the files in `root`, with the `secrets` (by id) that it mounts. Blocks until it ends.

    The files must belong to nobody else: the command may write to them. What it finds of this machine is its network.

    Raises:
        BuildError: the command failed; the message ends with its output.
    """
    mode = isolation.best_mode()
    if mode == "loader":
        unprivileged.run(step, root)
        return
    with _present(step.secrets, secrets, root), _lent(root):
        _run_jailed(step, root, mode)


def furnish(root: Path) -> None:
    """Create in `root` what commands need and an image may lack."""
    make_mount_points(root)
    is_confined = isolation.best_mode() == "namespaces"
    for file in _NETWORK:
        place = rootfs.resolve(root, file)
        place.parent.mkdir(parents=True, exist_ok=True)
        if Path(file).exists() and not place.exists():
            place.write_bytes(b"" if is_confined else Path(file).read_bytes())
    if not is_confined and os.geteuid() == 0:
        for folder, _, files in os.walk(root):
            for path in (Path(folder), *(Path(folder, file) for file in files)):
                os.lchown(path, isolation.NOBODY, isolation.NOBODY)


@contextmanager
def _lent(root: Path) -> Iterator[None]:
    """Put uv where `pip` of the base image finds it, for one command."""
    place = rootfs.place(root, lent_pip.UV)
    # An earlier command may have left a link there, which must not be followed.
    shutil.rmtree(place.parent, ignore_errors=True)
    place.parent.mkdir(parents=True)
    shutil.copy(uv.find_uv_bin(), place)
    try:
        yield
    finally:
        place = rootfs.place(root, lent_pip.UV)
        if place.parent.is_dir():
            shutil.rmtree(place.parent)


def _run_jailed(step: Run, root: Path, mode: isolation.Mode) -> None:
    is_confined = mode == "namespaces"
    for cache in step.caches:
        rootfs.resolve(root, cache).mkdir(parents=True, exist_ok=True)
    user = (isolation.NOBODY, isolation.NOBODY)
    if is_confined:
        user = isolation.owner_of(step.user, root)
    home = {"HOME": "/root" if user[0] == 0 else "/tmp"}  # noqa: S108 (of the container)
    with tempfile.TemporaryDirectory() as folder:
        spec = isolation.prepare(
            root,
            step.argv,
            mode=mode,
            environment={**home, **step.environment, **_REPEATABLE},
            working_dir=step.working_dir,
            user=user,
            exit_file=Path(folder, "exit"),
            binds=[(Path(file), file) for file in _NETWORK if Path(file).exists()] if is_confined else [],
            scratch=[(cache, "1777") for cache in step.caches],
            read_only=False,
            capabilities=_CAPABILITIES,
        )
        argv = spec.write(Path(folder, "spec"))
        done = subprocess.run(argv, check=False, capture_output=True, text=True, errors="replace", env={})  # noqa: S603 (jailed)
    for cache in [] if is_confined else step.caches:
        shutil.rmtree(rootfs.resolve(root, cache), ignore_errors=True)
    check(done, f"line {step.line}: RUN {step.text}")


def check(done: "subprocess.CompletedProcess[str]", what: str) -> None:
    """Raise BuildError with the output of a command that failed."""
    if done.returncode != 0:
        output = f"{done.stdout}{done.stderr}".strip()[-_TAIL:]
        raise BuildError(f"{what} ended with {done.returncode}:\n{output}")


@contextmanager
def _present(mounts: Sequence[SecretMount], values: Mapping[str, str], root: Path) -> Iterator[None]:
    """Write secrets to files in `root`, which nobody else uses yet; removes them and their folders afterwards."""
    missing = [mount.id for mount in mounts if mount.required and mount.id not in values]
    if missing:
        raise BuildError(f"secret {missing[0]}: not found")
    made: list[Path] = []
    try:
        for mount in (each for each in mounts if each.id in values):
            made += _write_secret(rootfs.place(root, mount.path), values[mount.id])
        yield
    finally:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)


def _write_secret(file: Path, value: str) -> Iterator[Path]:
    """Write the file for the user of commands only; yields the paths created, the outermost first."""
    for folder in reversed([folder for folder in file.parents if not folder.exists()]):
        folder.mkdir()
        yield folder
    if os.path.lexists(file):
        raise BuildError(f"cannot mount the secret: the image already has a file {file.name} there")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    yield file
    with os.fdopen(descriptor, "w", encoding="utf-8") as content:
        content.write(value)
    if os.geteuid() == 0:
        os.chown(file, isolation.NOBODY, isolation.NOBODY)
