"""Entry point of `eep`: one module per subcommand, each adding its own parser."""

import argparse
import sys
from collections.abc import Sequence

from ephemeral_endpoints import __version__
from ephemeral_endpoints.cli import iam, local

_COMMANDS = (iam, local)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 failed, 2 not understood, 3 (status) not running."""
    options = _parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="eep", description="Live model endpoints for pull requests.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
