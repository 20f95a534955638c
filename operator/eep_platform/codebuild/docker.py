"""The program `docker` for builds, without an engine.

The environment variable EEP_CODEBUILD_REGISTRY names its registry and EEP_CODEBUILD_CACHE its cache.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from eep_platform.codebuild import buildx, images, skopeo
from eep_platform.codebuild.buildx import Options, UsageError
from eep_platform.codebuild.images import Registries
from eep_platform.codebuild.toolchain import CACHE, REGISTRY
from eep_platform.errors import PlatformError

Command = Callable[[Sequence[str], Registries], None]


def login(arguments: Sequence[str], registries: Registries) -> None:
    """`docker login --username USER --password-stdin HOST`."""
    options = Options("docker login")
    options.add_argument("--username", "-u", required=True)
    options.add_argument("--password-stdin", action="store_true", required=True)
    options.add_argument("host")
    given = options.parse_args(arguments)
    password = sys.stdin.read().strip()
    if not password:
        raise UsageError("Error: Cannot perform an interactive login from a non TTY device: stdin has no password")
    registries.refuse_unknown(given.host)
    images.log_in(given.host, (given.username, password))
    sys.stdout.write("Login Succeeded\n")


def logout(arguments: Sequence[str], _: Registries) -> None:
    """`docker logout HOST`."""
    options = Options("docker logout")
    options.add_argument("host")
    images.log_out(options.parse_args(arguments).host)


def create_builder(arguments: Sequence[str], _: Registries) -> None:
    """`docker buildx create`: does nothing, because the only builder always exists."""
    options = Options("docker buildx create")
    options.add_argument("--name", default="embedded")
    options.add_argument("--driver", choices=["docker-container"], default="docker-container")
    options.add_argument("--driver-opt", action="append")
    options.add_argument("--use", action="store_true")
    options.add_argument("--bootstrap", action="store_true")
    sys.stdout.write(f"{options.parse_args(arguments).name}\n")


def build(arguments: Sequence[str], registries: Registries) -> None:
    """`docker buildx build`."""
    buildx.build(arguments, registries, Path(os.environ[CACHE]))


COMMANDS: Final[Mapping[tuple[str, ...], Command]] = {
    ("login",): login,
    ("logout",): logout,
    ("buildx", "create"): create_builder,
    ("buildx", "build"): build,
    ("run",): skopeo.run,
}


def main(arguments: Sequence[str]) -> int:
    """Run as a program; returns its exit status."""
    for words, command in COMMANDS.items():
        if tuple(arguments[: len(words)]) == words:
            return _executed(command, arguments[len(words) :])
    known = ", ".join(f"docker {' '.join(words)}" for words in COMMANDS)
    sys.stderr.write(f"docker {' '.join(arguments[:3])}: the embedded CodeBuild supports only {known}\n")
    return 1


def _executed(command: Command, arguments: Sequence[str]) -> int:
    try:
        command(arguments, Registries(os.environ[REGISTRY]))
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
    except PlatformError as error:
        what = "failed to solve: " if command is build else ""
        sys.stderr.write(f"ERROR: {what}{error}\n")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
