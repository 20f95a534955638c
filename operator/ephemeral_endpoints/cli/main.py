"""The programs `eep` and `kubectl-eep`, which makes `kubectl eep` one of kubectl's commands."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import click

from ephemeral_endpoints import __version__
from ephemeral_endpoints.cli.lazy import LazyCommand

GROUP: Final = "ephemeral_endpoints.commands"
"""The entry points of commands. Each is ``NAME = "module:command"``, a command of click in a module of its own."""

EXTRAS: Final = {"local": "platform"}
"""Commands of other distributions of ours, and the extra that installs each."""


def main() -> None:
    """Run `eep`. Its exit status is 0 done, 1 failed, 2 not understood, 3 not running."""
    program(entry_points(group=GROUP)).main(prog_name="eep")


def kubectl_main() -> None:
    """Run `kubectl eep`, the same program."""
    program(entry_points(group=GROUP)).main(prog_name="kubectl eep")


def program(found: Iterable[EntryPoint]) -> click.Group:
    """`eep` with the commands that were found."""
    installed = {each.name: LazyCommand(each.name, each.value) for each in found}
    missing = {name: _missing(name, extra) for name, extra in EXTRAS.items() if name not in installed}
    group = click.Group(
        "eep",
        commands={**installed, **missing},
        help="Live model endpoints for pull requests.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    return click.version_option(__version__, message="%(version)s")(group)


def _missing(name: str, extra: str) -> click.Command:
    install = f"pip install 'ephemeral-endpoints[{extra}]'"

    def refuse() -> None:
        raise click.ClickException(f"`eep {name}` is not installed. Install it with: {install}")

    return click.Command(
        name,
        callback=refuse,
        short_help=f"Not installed: {install}",
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
