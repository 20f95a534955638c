"""The program `docker` for builds, without an engine.

The environment variable EEP_CODEBUILD_REGISTRY names its registry and EEP_CODEBUILD_CACHE its cache.
"""

import os
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from eep_platform.codebuild import images
from eep_platform.codebuild.images import Registries
from eep_platform.codebuild.options import REGISTRY, Options, UsageError
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


_HERE: Final = "eep_platform.codebuild"

COMMANDS: Final[Mapping[tuple[str, ...], str]] = {
    ("login",): f"{_HERE}.docker:login",
    ("logout",): f"{_HERE}.docker:logout",
    ("buildx", "create"): f"{_HERE}.docker:create_builder",
    ("buildx", "build"): f"{_HERE}.buildx:build",
    ("run",): f"{_HERE}.skopeo:run",
}
"""A build runs a dozen of them, each in a process of its own, and most need none of what an image takes."""


def main(arguments: Sequence[str]) -> int:
    """Run as a program; returns its exit status."""
    for words, command in COMMANDS.items():
        if tuple(arguments[: len(words)]) == words:
            return _executed(pkgutil.resolve_name(command), arguments[len(words) :], words)
    known = ", ".join(f"docker {' '.join(words)}" for words in COMMANDS)
    sys.stderr.write(f"docker {' '.join(arguments[:3])}: the embedded CodeBuild supports only {known}\n")
    return 1


def _executed(command: Command, arguments: Sequence[str], words: tuple[str, ...]) -> int:
    try:
        command(arguments, Registries(os.environ[REGISTRY]))
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
    except (PlatformError, OSError) as error:
        what = "failed to solve: " if words == ("buildx", "build") else ""
        sys.stderr.write(f"ERROR: {what}{error}\n")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
