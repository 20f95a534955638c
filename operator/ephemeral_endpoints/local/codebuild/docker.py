"""The program `docker` of builds, without an engine: `login`, and of `buildx` what makes and copies images.

It reaches the registry named by the environment variable EEP_CODEBUILD_REGISTRY and caches in EEP_CODEBUILD_CACHE.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ephemeral_endpoints.local.codebuild import buildx, images
from ephemeral_endpoints.local.codebuild.buildx import Options, UsageError
from ephemeral_endpoints.local.codebuild.images import Registries
from ephemeral_endpoints.local.codebuild.toolchain import CACHE, REGISTRY
from ephemeral_endpoints.local.containers import registry
from ephemeral_endpoints.local.errors import PlatformError

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
        raise UsageError("Error: Cannot perform an interactive login from a non TTY device: no password came")
    registries.refuse_unknown(given.host)
    images.log_in(given.host, (given.username, password))
    sys.stdout.write("Login Succeeded\n")


def create_builder(arguments: Sequence[str], _: Registries) -> None:
    """`docker buildx create`: there is but one builder, which is always there."""
    options = Options("docker buildx create")
    options.add_argument("--name", default="embedded")
    options.add_argument("--driver", choices=["docker-container"], default="docker-container")
    options.add_argument("--use", action="store_true")
    options.add_argument("--bootstrap", action="store_true")
    sys.stdout.write(f"{options.parse_args(arguments).name}\n")


def build(arguments: Sequence[str], registries: Registries) -> None:
    """`docker buildx build`."""
    buildx.build(arguments, registries, Path(os.environ[CACHE]))


def copy_image(arguments: Sequence[str], registries: Registries) -> None:
    """`docker buildx imagetools create --tag TARGET… SOURCE`: a copy, with the digest of the source."""
    options = Options("docker buildx imagetools create")
    options.add_argument("--tag", "-t", action="append", required=True)
    options.add_argument("--prefer-index")
    options.add_argument("--progress")
    options.add_argument("source")
    given = options.parse_args(arguments)
    for tag in given.tag:
        digest = registry.copy(
            registries.locate(given.source),
            registries.locate(tag),
            credentials=images.credentials_for(given.source),
            target_credentials=images.credentials_for(tag),
        )
        sys.stderr.write(f"pushing {digest} to {tag}\n")


COMMANDS: Final[Mapping[tuple[str, ...], Command]] = {
    ("login",): login,
    ("buildx", "create"): create_builder,
    ("buildx", "build"): build,
    ("buildx", "imagetools", "create"): copy_image,
}


def main(arguments: Sequence[str]) -> int:
    """Run as a program; returns its exit status."""
    for words, command in COMMANDS.items():
        if tuple(arguments[: len(words)]) == words:
            return _executed(command, arguments[len(words) :])
    known = ", ".join(f"docker {' '.join(words)}" for words in COMMANDS)
    sys.stderr.write(f"docker {' '.join(arguments[:3])}: the embedded CodeBuild has only {known}\n")
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
