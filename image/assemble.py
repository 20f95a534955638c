"""Assembles the root file system of the operator's image, in the build stage of the Dockerfile.

    python3 assemble.py IMAGE

IMAGE holds two parts of that file system, ``packages`` and ``program``, as they were installed and copied. This deletes
what the operator never reads, adds the part ``base`` (the interpreter, and all that the three are linked with) and
compiles every module. It needs Python and ``ldd``. The result has no shell and no package manager.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

INTERPRETER: Final = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")

SERVICES: Final = frozenset(
    {
        "apigatewayv2",
        "application-autoscaling",
        "cloudwatch",
        "codebuild",
        "dynamodb",
        "firehose",
        "ecr",
        "iam",
        "lambda",
        "logs",
        "resourcegroupstaggingapi",
        "s3",
        "sagemaker",
        "sns",
        "sqs",
        "ssm",
        "sts",
    }
)
"""The services of AWS whose models are kept: those of ``aws.clients.Clients``. All four hundred take 25 MB."""

UNUSED_PACKAGES: Final = (
    "bin/*",
    "boto3/data/*/",
    "kubernetes/client/api/[!_]*.py",
    "kubernetes/client/models/[!_]*.py",
    "kubernetes/aio/client/api/[!_]*.py",
    "kubernetes/aio/client/models/[!_]*.py",
)
"""Commands, resources of boto3, and the 70 MB of the Kubernetes client that it imports where they are called for.

The operator calls for none of them: it speaks JSON by ``kube.rest``.
"""

UNUSED_LIBRARY: Final = (
    "__pycache__",
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "turtledemo",
    "tkinter",
    "lib2to3",
    "ensurepip",
    "config-*",
    "_tkinter*",
    "_test*",
)
"""Parts of the standard library."""

LIBC: Final = "libc.so.6"
LOADED_BY_LIBC: Final = "libgcc_s.so.1"
"""Nothing is linked with it: the C library loads it when a thread ends (pthread_exit), and aborts without it."""


def assemble(image: Path) -> None:
    """Complete the image. Raises SystemExit where the interpreter cannot be copied."""
    base = image / "base"
    prune(image / "packages" / "opt" / "packages")
    copy_interpreter(base)
    copy_libraries(image, base)
    add_users(base)
    for part in image.iterdir():
        compile_modules(part)


def prune(packages: Path) -> None:
    """Take away what the operator never reads of a folder of installed packages."""
    services = (path for path in (packages / "botocore" / "data").glob("*/") if path.name not in SERVICES)
    for path in (*services, *(path for pattern in UNUSED_PACKAGES for path in packages.glob(pattern))):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def copy_interpreter(base: Path) -> None:
    """Copy the interpreter and its standard library."""
    prefix, library = base / "usr" / "local", Path(sysconfig.get_path("stdlib"))
    place = prefix / library.relative_to(sys.base_prefix)
    shutil.copytree(library, place, ignore=shutil.ignore_patterns(*UNUSED_LIBRARY))
    (prefix / "bin").mkdir()
    shutil.copy(INTERPRETER, prefix / "bin")
    for alias in ("python3", "python"):
        (prefix / "bin" / alias).symlink_to(INTERPRETER.name)


def copy_libraries(image: Path, base: Path) -> None:
    """Copy the loader, and the system's libraries that anything in ``image`` needs, to where the loader looks."""
    environment = {**os.environ, "LC_ALL": "C"}
    argv = ["ldd", str(INTERPRETER), *map(str, image.rglob("*.so"))]
    listing = subprocess.run(argv, check=False, capture_output=True, text=True, env=environment).stdout  # noqa: S603 - no shell
    loader = re.search(r"^\t(/\S+) \(", listing, re.MULTILINE)
    linked = {name: Path(path) for name, path in re.findall(r"^\t(\S+) => (/\S+) \(", listing, re.MULTILINE)}
    if loader is None or LIBC not in linked:
        raise SystemExit(f"ldd lists no libraries of {INTERPRETER}: take a base with the GNU C library")
    home = linked[LIBC].parent
    linked[LOADED_BY_LIBC] = home / LOADED_BY_LIBC
    system = {home / name: path for name, path in linked.items() if not path.is_relative_to(image)}
    for place, path in {**system, Path(loader[1]): Path(loader[1])}.items():
        target = base / place.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def add_users(base: Path) -> None:
    """Add two users, who cannot log in, and an empty folder for temporary files."""
    (base / "etc").mkdir()
    (base / "etc" / "passwd").write_text(
        "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    )
    (base / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (base / "tmp").mkdir()
    (base / "tmp").chmod(0o1777)


def compile_modules(part: Path) -> None:
    """Compile all modules, as if ``part`` were /, into files that hold no time (PEP 552).

    A container cannot write its cache, so without this each start would compile everything again. What a process has in
    memory shows in what it compiles (https://github.com/python/cpython/issues/78274), so an interpreter does it that
    has nothing but itself there. A module that cannot be compiled is left as it is.
    """
    compiler = [str(INTERPRETER), "-S", "-s", "-P", "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash"]
    argv = [*compiler, "-s", str(part), "-p", "/", str(part)]
    subprocess.run(argv, check=False, env={"PYTHONHASHSEED": "0"})  # noqa: S603 - no shell


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
