"""RUN without an engine: commands run in the jail, except `pip install`, which uv does from outside."""

import os
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NoReturn

import uv

from eep_platform.containers import base, isolation, rootfs
from eep_platform.containers.dockerfile import Run, SecretMount
from eep_platform.containers.errors import BuildError
from eep_platform.containers.store import make_mount_points

_REPEATABLE = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0", "HOME": "/tmp"}  # noqa: S108 (of the container)
_TAIL = 4000


def run(step: Run, root: Path, secrets: Mapping[str, str]) -> None:
    """Execute `step` on the files in `root`, with the `secrets` (by id) that it mounts. Blocks until it ends.

    Raises:
        BuildError: the command failed; the message ends with its output.
    """
    if _is_pip(step.argv) and step.secrets:
        raise BuildError("RUN pip install with a secret needs an engine")
    if _is_pip(step.argv):
        _install(step, root)
    else:
        with _present(step.secrets, secrets, root):
            _run_jailed(step, root)


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


def _is_pip(argv: Sequence[str]) -> bool:
    return argv[:2] in {("pip", "install"), ("pip3", "install")} or (argv[1:4] == ("-m", "pip", "install"))


class _PipOptions(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BuildError(f"RUN pip install: {message}; without an engine a lock file with hashes is needed")


def _install(step: Run, root: Path) -> None:
    options = _PipOptions(add_help=False, allow_abbrev=False)
    options.add_argument("--target", "-t", required=True)
    options.add_argument("--requirement", "-r", action="append", required=True)
    options.add_argument("--require-hashes", action="store_true", required=True)
    for harmless in ("--no-cache-dir", "--no-compile", "--no-deps"):
        options.add_argument(harmless, action="store_true")
    words = step.argv[step.argv.index("install") + 1 :]
    given, unknown = options.parse_known_args(words)
    if unknown:
        raise BuildError(
            f"RUN pip install: {' '.join(unknown)} needs an engine: list packages in a locked requirements file instead"
        )
    target = rootfs.resolve(root, PurePosixPath(step.working_dir, given.target))
    files = [str(rootfs.resolve(root, PurePosixPath(step.working_dir, file))) for file in given.requirement]
    _install_wheels(target, files)
    _tidy(target)
    if not given.no_compile:
        base.compile_deterministically(target, root)


def _install_wheels(target: Path, files: Sequence[str]) -> None:
    # Wheels only: building from source would run other people's code outside of the jail.
    argv = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable, "--link-mode", "copy"]
    argv += ["--only-binary", ":all:", "--require-hashes", "--target", str(target)]
    for file in files:
        argv += ["-r", file]
    _check(subprocess.run(argv, check=False, capture_output=True, text=True), "RUN pip install")  # noqa: S603 (no shell)


def _tidy(target: Path) -> None:
    """Remove tests, and scripts, whose first line would name an interpreter of this machine."""
    shutil.rmtree(target / "bin", ignore_errors=True)
    (target / ".lock").unlink(missing_ok=True)
    for tests in [path for path in target.rglob("tests") if path.is_dir()]:
        shutil.rmtree(tests, ignore_errors=True)


def _run_jailed(step: Run, root: Path) -> None:
    make_mount_points(root)
    _hand_over(root)
    with tempfile.TemporaryDirectory() as folder:
        spec = isolation.prepare(
            root,
            step.argv,
            mode=isolation.best_mode(),
            environment={**step.environment, **_REPEATABLE},
            working_dir=step.working_dir,
            user=(isolation.NOBODY, isolation.NOBODY),
            exit_file=Path(folder, "exit"),
            read_only=False,
        )
        argv = spec.write(Path(folder, "spec"))
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env={})  # noqa: S603 (jailed)
        _check(done, f"RUN {' '.join(step.argv)}")


def _hand_over(root: Path) -> None:
    """Give the folders of `root` to the user nobody; files stay ours, because other stages share them."""
    if os.geteuid() == 0:
        for folder, _, _ in os.walk(root):
            os.chown(folder, isolation.NOBODY, isolation.NOBODY)


def _check(done: "subprocess.CompletedProcess[str]", what: str) -> None:
    if done.returncode != 0:
        output = f"{done.stdout}{done.stderr}".strip()[-_TAIL:]
        raise BuildError(f"{what} ended with {done.returncode}:\n{output}")
