"""Images by a real engine where none runs and no image can be pulled: buildah, upon this machine's own Python."""

import ensurepip
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ephemeral_endpoints.local.containers import base
from ephemeral_endpoints.local.containers.registry import EMBEDDED

BASE: Final = "localhost/python"

_SECONDS: Final = 240
_TAIL: Final = 4000
_BASE_DOCKERFILE: Final = """\
FROM scratch
COPY . /
ENV PATH=/usr/local/bin:/usr/bin:/bin
"""
_PIP: Final = """\
#!/usr/local/bin/python
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""
# RUN is one plain command: this is all of a shell that it needs, and it is there wherever Python is.
_SHELL: Final = """\
#!/usr/local/bin/python
import os, shlex, sys
words = shlex.split(sys.argv[2])
os.execvp(words[0], words)
"""


class UnusableError(Exception):
    """buildah cannot be used on this machine; the message says why."""


@dataclass(frozen=True)
class Buildah:
    """buildah with a storage of its own, whose images are gone with the folder."""

    folder: Path

    def make_base(self) -> None:
        """Make `BASE`, with pip.

        Raises:
            UnusableError: there is no buildah, or it cannot run a command in that image.
        """
        if shutil.which("buildah") is None:
            raise UnusableError("buildah is not installed")
        if os.geteuid() != 0:
            raise UnusableError("without Docker only root can build")
        root = self.folder / "python"
        base.build(root)
        _add_pip(root)
        dockerfile = self.folder / "Dockerfile"
        dockerfile.write_text(_BASE_DOCKERFILE)
        try:
            self.run("build", "--tag", BASE, "--file", dockerfile, root)
            self.run("run", self.run("from", "--pull-never", BASE).strip(), "--", "pip", "--version")
        except subprocess.CalledProcessError as error:
            raise UnusableError(f"buildah does not run here: {error.output[-_TAIL:]}") from error

    def build(self, context: Path, tag: str, arguments: Mapping[str, str], packages: Path) -> None:
        """Build the Dockerfile of a folder upon `BASE`; it finds `packages`, wheels, and nothing else of this machine.

        All times in the image are those of its epoch, as a build with SOURCE_DATE_EPOCH has them.
        """
        configuration = self.folder / "pip.conf"
        configuration.write_text("[install]\nno-index = true\nfind-links = /wheels\n")
        mounts = {packages: "/wheels", configuration: "/etc/pip.conf"}
        self.run(
            *("build", "--timestamp", "0", "--http-proxy=false"),
            *(f"--volume={here}:{there}:ro" for here, there in mounts.items()),
            *(f"--build-arg={name}={value}" for name, value in {"PYTHON_IMAGE": BASE, **arguments}.items()),
            *("--tag", tag, context),
        )

    def push(self, tag: str, target: str) -> str:
        """Push an image to `host:port/repository:tag`, which speaks plain HTTP; returns its digest there."""
        digest = self.folder / "digest"
        user, password = EMBEDDED
        access = ("--tls-verify=false", "--creds", f"{user}:{password}")
        self.run("push", *access, "--digestfile", digest, tag, f"docker://{target}")
        return digest.read_text().strip()

    def run(self, command: str, *arguments: object) -> str:
        """The output of a command of buildah's. Raises CalledProcessError with what it said."""
        places = (f"--root={self.folder / 'storage'}", f"--runroot={self.folder / 'run'}", "--storage-driver=vfs")
        argv = ["buildah", *places, command, *map(str, arguments)]
        environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_SECONDS, env=environment)  # noqa: S603 - no shell
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, argv, output=f"{done.stdout}{done.stderr}")
        return done.stdout


def download(requirements: Path, folder: Path) -> None:
    """Have the wheels of a lock file in a folder, from where this machine's pip is configured to take them."""
    options = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--dest", folder, "--requirement", requirements]
    argv = [sys.executable, _pip_wheel() / "pip", "download", *options]
    subprocess.run([*map(str, argv)], check=True, timeout=_SECONDS)  # noqa: S603 - no shell


def _add_pip(root: Path) -> None:
    stdlib = next(root.glob("usr/local/lib/python3.*"))
    with zipfile.ZipFile(_pip_wheel()) as wheel:
        wheel.extractall(stdlib / "site-packages")
    for path, content in (("usr/local/bin/pip", _PIP), ("bin/sh", _SHELL)):
        program = root / path
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(content)
        program.chmod(0o755)


def _pip_wheel() -> Path:
    found = sorted(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))
    if not found:
        raise UnusableError("this Python comes without the wheel of pip")
    return found[0]
