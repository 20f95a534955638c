"""RUN for a user to whom this machine allows neither namespaces nor chroot: commands see this machine's files.

Therefore only plain commands run, and `pip install` of locked wheels, which uv does from outside.
"""

import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NoReturn

import uv
from dockerfile_parse.util import WordSplitter

from eep_platform.containers import base, isolation, rootfs
from eep_platform.containers.errors import BuildError
from eep_platform.containers.steps import Run

_SHELL = frozenset("|&;<>()$`*?~#{}[]")
_TAIL = 4000
_WHY = "this machine allows you neither namespaces nor chroot: allow user namespaces, or install an engine"


def run(step: Run, root: Path) -> None:
    """Execute `step` on the files in `root`. Blocks until it ends.

    Raises:
        BuildError: the command needs isolation, or failed; the message ends with its output.
    """
    argv = step.argv
    if argv[:2] == ("/bin/sh", "-c"):
        argv = tuple(str(word) for word in WordSplitter(step.text).split() if word)
        if special := sorted(_SHELL & set(step.text)):
            raise BuildError(f"RUN {step.text}: {' '.join(special)} needs a shell, but {_WHY}")
    if step.secrets or step.caches:
        raise BuildError(f"RUN {step.text}: a mount cannot be made, because {_WHY}")
    if argv[:2] in {("pip", "install"), ("pip3", "install")} or argv[1:4] == ("-m", "pip", "install"):
        _install(argv, step.working_dir, root)
        return
    with tempfile.TemporaryDirectory() as folder:
        spec = isolation.prepare(
            root,
            argv,
            mode="loader",
            environment={**step.environment, "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0", "HOME": folder},
            working_dir=step.working_dir,
            user=(isolation.NOBODY, isolation.NOBODY),
            exit_file=Path(folder, "exit"),
            read_only=False,
        )
        done = subprocess.run(spec.write(Path(folder, "spec")), check=False, capture_output=True, text=True, env={})  # noqa: S603 (our own program)
        _check(done, f"RUN {step.text}")


class _PipOptions(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BuildError(f"RUN pip install: {message}; a lock file with hashes and --target are needed, because {_WHY}")


def _install(argv: Sequence[str], working_dir: str, root: Path) -> None:
    options = _PipOptions(add_help=False, allow_abbrev=False)
    options.add_argument("--target", "-t", required=True)
    options.add_argument("--requirement", "-r", action="append", required=True)
    options.add_argument("--require-hashes", action="store_true", required=True)
    for harmless in ("--no-cache-dir", "--no-compile", "--no-deps"):
        options.add_argument(harmless, action="store_true")
    given = options.parse_args(argv[argv.index("install") + 1 :])
    target = rootfs.resolve(root, PurePosixPath(working_dir, given.target))
    # Wheels only: building from source would run other people's code outside of any isolation.
    line = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable, "--link-mode", "copy"]
    line += ["--only-binary", ":all:", "--require-hashes", "--target", str(target)]
    for file in given.requirement:
        line += ["-r", str(rootfs.resolve(root, PurePosixPath(working_dir, file)))]
    _check(subprocess.run(line, check=False, capture_output=True, text=True), "RUN pip install")  # noqa: S603 (no shell)
    # Its scripts would name an interpreter of this machine.
    shutil.rmtree(target / "bin", ignore_errors=True)
    if not given.no_compile:
        base.compile_deterministically(target, root)


def _check(done: "subprocess.CompletedProcess[str]", what: str) -> None:
    if done.returncode != 0:
        raise BuildError(f"{what} ended with {done.returncode}:\n{f'{done.stdout}{done.stderr}'.strip()[-_TAIL:]}")
