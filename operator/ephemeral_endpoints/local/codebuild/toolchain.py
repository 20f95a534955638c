"""What builds find installed: `aws` and `docker`, as launchers of modules beside this one, in a folder of their own."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ephemeral_endpoints
from ephemeral_endpoints.local.aws.ministack import without_aws
from ephemeral_endpoints.local.paths import cache_dir, private_dir

REGISTRY = "EEP_CODEBUILD_REGISTRY"
CACHE = "EEP_CODEBUILD_CACHE"

_PROGRAMS = ("aws", "docker")
_PACKAGE = f"{ephemeral_endpoints.__name__}.local.codebuild"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OF_THE_BUILD = frozenset({"HOME", "PWD", "OLDPWD", "SHLVL", "TMPDIR", "_"})
"""What the programs take from the build that calls them and not from here."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The programs in `folder`; images go to `registry`, and what can be made again is in `cache`.

    Like Docker's daemon they see the network as this process does, not as the environment of a build says.
    """

    folder: Path
    registry: str
    cache: Path

    @property
    def path(self) -> str:
        """The PATH of builds."""
        return f"{self.folder}{os.pathsep}{_SYSTEM_PATH}"

    def install(self) -> None:
        """Write the launchers; they hold this process's environment and are for the owner only."""
        private_dir(self.folder)
        for program in _PROGRAMS:
            launcher = self.folder / program
            launcher.write_text(f'#!/bin/sh\nexec {self._command(program)} "$@"\n', encoding="utf-8")
            launcher.chmod(0o700)

    def check_out(self, arguments: Sequence[str | Path]) -> str:
        """The shell command that checks a source out; see `checkout`."""
        return f"{self._command('checkout')} {shlex.join(map(str, arguments))}"

    def _command(self, module: str) -> str:
        settings = [f"{name}={value}" for name, value in self._environment(os.environ).items()]
        # -P: modules of the source, which is the working directory, must not stand before ours.
        return shlex.join(["env", *settings, sys.executable, "-P", "-m", f"{_PACKAGE}.{module}"])

    def _environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in without_aws(environ).items() if name not in _OF_THE_BUILD}
        return {
            **kept,
            "PYTHONPATH": str(Path(ephemeral_endpoints.__file__).parents[1]),
            "PYTHONUNBUFFERED": "1",
            "XDG_CACHE_HOME": str(cache_dir(environ).parent),
            CACHE: str(self.cache),
            REGISTRY: self.registry,
        }
