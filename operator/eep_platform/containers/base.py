"""A base image made from this machine: its Python, a shell with the usual small programs, and their libraries.

It takes the place of the official Python images. `pip` in it installs with uv, which the builder lends to commands.
"""

import json
import os
import platform
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from eep_platform.containers import lent_pip, rootfs
from eep_platform.containers.errors import BuildError

_FORMAT = 3  # increase it when the same interpreter must give another base

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}

_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
_LEFT_OUT = (
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
    "EXTERNALLY-MANAGED",
)
# What python:3.x-slim has as well, and Dockerfiles use; a program that this machine lacks is left out.
_PROGRAMS = (
    *("sh", "bash", "env", "cat", "cp", "mv", "rm", "ln", "ls", "mkdir", "rmdir", "chmod", "chown", "touch", "echo"),
    *("printf", "test", "true", "false", "pwd", "date", "sleep", "id", "whoami", "head", "tail", "sort", "uniq", "cut"),
    *("tr", "wc", "tee", "seq", "basename", "dirname", "readlink", "realpath", "mktemp", "install", "sha256sum"),
    *("md5sum", "base64", "stat", "du", "df", "uname", "nproc", "expr", "comm", "dd", "find", "xargs", "grep", "sed"),
    *("awk", "tar", "gzip", "which", "useradd", "groupadd"),
)
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
# What manylinux wheels expect besides libc (PEP 599 and its successors) and the interpreter need not link.
_WHEELS_EXPECT = ("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1")
_USERS = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
_GROUPS = "root:x:0:\nnogroup:x:65534:\n"


def _interpreter() -> Path:
    return Path(sys.base_prefix, "bin", _VERSION)


def key() -> str:
    """A key of the base that `build` would make; it changes with the interpreter and the C library."""
    files = [_interpreter(), Path(os.__file__), Path(sysconfig.get_path("stdlib"), "lib-dynload")]
    facts = [_FORMAT, sys.version, sys.base_prefix, platform.libc_ver(), platform.machine()]
    facts += [Path(lent_pip.__file__).read_text(encoding="utf-8")]
    facts += [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return sha256(json.dumps(facts).encode()).hexdigest()


def description() -> str:
    """What it is, for people."""
    return f"Python {platform.python_version()} and small programs of this machine"


def build(root: Path) -> None:
    """Create the root file system of the base image in the new folder `root`. Takes some seconds.

    Raises:
        BuildError: the interpreter has an unusual layout, or is not linked against the GNU C library.
    """
    programs = _copy_programs(root / "usr" / "bin")
    (root / "bin").symlink_to("usr/bin")
    (root / "sbin").symlink_to("usr/bin")
    add_python(root, programs)
    (root / "root").mkdir(mode=0o700)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "passwd").write_text(_USERS)
    (root / "etc" / "group").write_text(_GROUPS)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)


def add_python(root: Path, programs: Sequence[Path] = ()) -> None:
    """Copy this machine's Python to /usr/local of `root`, with the libraries that it and other `programs` lack there.

    Raises:
        BuildError: as `build`.
    """
    stdlib = Path(sysconfig.get_path("stdlib"))
    if not _interpreter().exists() or not stdlib.is_relative_to(sys.base_prefix):
        raise BuildError(
            f"{sys.base_prefix} has an unusual layout for a Python installation: build with Docker instead"
        )
    prefix = root / "usr" / "local"
    target = prefix / stdlib.relative_to(sys.base_prefix)
    shutil.copytree(stdlib, target, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (prefix / "bin").mkdir(exist_ok=True)
    shutil.copy(_interpreter(), prefix / "bin" / _VERSION)
    for alias in ("python3", "python"):
        (prefix / "bin" / alias).symlink_to(_VERSION)
    # The Python of Debian installs packages below local/ of its prefix.
    (prefix / "local").symlink_to(".")
    lent_pip.put(target, prefix / "bin", f"/usr/local/bin/{_VERSION}")
    _libraries(root, [prefix / "bin" / _VERSION, *target.rglob("*.so"), *programs])
    compile_deterministically(target, root)
    _certificates(root)


def _copy_programs(folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    for name in _PROGRAMS:
        if found := shutil.which(name, path=_SYSTEM_PATH):
            shutil.copy(found, folder / name)
    return sorted(folder.iterdir())


def _certificates(root: Path) -> None:
    """The certificate authorities that this machine trusts, for commands that download."""
    places = ssl.get_default_verify_paths()
    for place in (places.cafile, places.openssl_cafile, f"/{_CERTIFICATES}"):
        if place and Path(place).is_file():
            (root / _CERTIFICATES).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(place, root / _CERTIFICATES)
            return


def compile_deterministically(folder: Path, root: Path) -> None:
    """Compile the modules below `folder` as if `root` were /, into files without timestamps (PEP 552).

    A container cannot write its cache, so without this each start would compile everything again. A separate, bare
    interpreter compiles them, because the state of a process shows in what it compiles
    (https://github.com/python/cpython/issues/78274).

    Raises:
        BuildError: the interpreter cannot be run. Modules with errors stay uncompiled.
    """
    compiler = [_interpreter(), "-S", "-s", "-P", "-m", "compileall", "-qq"]
    as_if = ["-s", root, "-p", "/", "--invalidation-mode", "unchecked-hash"]
    try:
        subprocess.run([*map(str, [*compiler, *as_if, folder])], check=False, env={"PYTHONHASHSEED": "0"})  # noqa: S603 (of the running interpreter)
    except OSError as error:
        raise BuildError(f"{_interpreter()} cannot be run: {error}") from error


def _libraries(root: Path, programs: Sequence[Path]) -> None:
    """Copy the shared libraries that `programs` need and `root` lacks, and the loader, to its default paths."""
    loader, found = _linked(programs)
    home = found["libc.so.6"].parent
    for name in _WHEELS_EXPECT:
        for path in (home / name, Path(f"/usr{home}", name)):
            if path.exists():
                found.setdefault(name, path)
    found |= _linked([*found.values()])[1]
    for name, path in [*found.items(), (loader.name, loader)]:
        place = rootfs.resolve(root, str((loader.parent if path == loader else home) / name))
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            shutil.copy(path, place)


def _linked(programs: Sequence[Path]) -> tuple[Path, dict[str, Path]]:
    """The ELF loader, and the libraries that it maps for `programs`, by soname."""
    listing = subprocess.run(  # noqa: S603 (files of the running interpreter)
        ["ldd", *programs],  # noqa: S607 (ldd is wherever the system has it)
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
    loader: Path | None = None
    found: dict[str, Path] = {}
    for line in listing.splitlines():
        name, _, rest = line.strip().partition(" => ")
        path = rest.split(" (")[0]
        if path.startswith("/"):
            found[name] = Path(path)
        elif name.startswith("/") and " (" in name:
            loader = Path(name.split(" (")[0])
    if loader is None or "libc.so.6" not in found:
        raise BuildError("ldd does not list the libraries of Python: build with Docker instead")
    return loader, found
