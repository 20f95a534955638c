"""The programs installed for builds: `aws` and `docker`, which are launchers of modules in this package."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import eep_platform
from eep_platform.aws.ministack import without_aws
from eep_platform.codebuild.options import CACHE, REGISTRY
from eep_platform.paths import cache_dir, private_dir

_PROGRAMS = ("aws", "docker")
_PACKAGE = f"{eep_platform.__name__}.codebuild"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OF_THE_BUILD = frozenset({"HOME", "PWD", "OLDPWD", "SHLVL", "TMPDIR", "_"})
"""The variables that the programs take from the calling build and not from this process."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The programs in `folder`; they push images to `registry` and cache in `cache`.

    Like Docker's daemon they use the network settings of this process, not those of the build.
    """

    folder: Path
    registry: str
    cache: Path

    @property
    def path(self) -> str:
        """The PATH of builds."""
        return f"{self.folder}{os.pathsep}{_SYSTEM_PATH}"

    def install(self) -> None:
        """Write the launchers; they hold this process's environment, so only the owner can read them."""
        private_dir(self.folder)
        for program in _PROGRAMS:
            launcher = self.folder / program
            launcher.write_text(f'#!/bin/sh\nexec {self._command(program)} "$@"\n', encoding="utf-8")
            launcher.chmod(0o700)

    def check_out(self, arguments: Sequence[str | Path]) -> str:
        """The shell command that checks out a source; see `checkout`."""
        return f"{self._command('checkout')} {shlex.join(map(str, arguments))}"

    def _command(self, module: str) -> str:
        settings = [f"{name}={value}" for name, value in self._environment(os.environ).items()]
        # -P: modules in the working directory, which is the source, must not shadow ours.
        return shlex.join(["env", *settings, sys.executable, "-P", "-m", f"{_PACKAGE}.{module}"])

    def _environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in without_aws(environ).items() if name not in _OF_THE_BUILD}
        return {
            **kept,
            "PYTHONPATH": str(Path(eep_platform.__file__).parents[1]),
            "PYTHONUNBUFFERED": "1",
            "XDG_CACHE_HOME": str(cache_dir(environ).parent),
            CACHE: str(self.cache),
            REGISTRY: self.registry,
        }
