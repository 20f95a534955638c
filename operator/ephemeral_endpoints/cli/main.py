"""The programs `eep` and `kubectl-eep`, which makes `kubectl eep` one of kubectl's commands."""

import os
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import click
from click.shell_completion import ShellComplete

from ephemeral_endpoints import __version__
from ephemeral_endpoints.cli.help import HELP_OPTIONS, PROGRAM, Program
from ephemeral_endpoints.cli.lazy import LazyCommand

GROUP: Final = "ephemeral_endpoints.commands"
"""The entry points of commands. Each is ``NAME = "module:command"``, a command of click in a module of its own."""

EXTRAS: Final = {"local": "platform"}
"""Commands of other distributions of ours, and the extra that installs each."""

_FILES: Final = ":0"
_NO_FILES: Final = ":4"


def main() -> None:
    """Run `eep`. Its exit status is 0 done, 1 failed, 2 not understood or out of time, 3 not running."""
    program(entry_points(group=GROUP)).main(prog_name=PROGRAM)


def kubectl_main() -> None:
    """Run `kubectl eep`, the same program."""
    program(entry_points(group=GROUP)).main(prog_name=f"kubectl {PROGRAM}")


def kubectl_complete() -> None:
    """Complete what is typed after `kubectl eep`, as kubectl asks its plugins to (the last line is cobra's directive).

    https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
    """
    *words, incomplete = sys.argv[1:] or [""]
    completed = ShellComplete(program(entry_points(group=GROUP)), {}, PROGRAM, "").get_completions(words, incomplete)
    plain = [each for each in completed if each.type == "plain"]
    for each in plain:
        click.echo(f"{each.value}\t{each.help}" if each.help else each.value)
    click.echo(_NO_FILES if plain == completed else _FILES)


def program(found: Iterable[EntryPoint]) -> click.Group:
    """`eep` with the commands that were found."""
    installed = {each.name: LazyCommand(each.name, each.value) for each in found}
    missing = {name: _missing(name, extra) for name, extra in EXTRAS.items() if name not in installed}
    group = Program(
        PROGRAM,
        commands={**installed, **missing},
        help="Live model endpoints for pull requests.",
        context_settings={
            "help_option_names": HELP_OPTIONS,
            # https://no-color.org; elsewhere click looks whether there is a terminal.
            "color": False if os.environ.get("NO_COLOR") else None,
        },
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
