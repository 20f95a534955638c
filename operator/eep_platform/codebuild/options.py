"""The options of the programs for builds, and the variables by which they find what they need."""

from argparse import ArgumentParser
from typing import Final, NoReturn

REGISTRY: Final = "EEP_CODEBUILD_REGISTRY"
CACHE: Final = "EEP_CODEBUILD_CACHE"


class UsageError(Exception):
    """The command line is not supported; the message is complete."""


class Options(ArgumentParser):
    """The options of a command of `docker`; abbreviations are not allowed."""

    def __init__(self, command: str) -> None:
        super().__init__(prog=command, allow_abbrev=False, add_help=False)

    def error(self, message: str) -> NoReturn:
        """Reject the arguments."""
        raise UsageError(f"ERROR: {self.prog}: {message}: the embedded CodeBuild does not support this")
