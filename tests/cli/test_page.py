"""docs/eep.md has the help of each command as it is."""

import os
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from ephemeral_endpoints.cli.help import GROUPS, HELP_OPTIONS, Command
from ephemeral_endpoints.cli.main import GROUP, program

PAGE = Path(__file__).parents[2] / "docs" / "eep.md"
OF_THE_PLATFORM = {"local"}
OURS = {each.name: each.load() for each in entry_points(group=GROUP) if each.name not in OF_THE_PLATFORM}


def every(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command and those below it, by their names in full."""
    yield name, command
    for below in sorted(command.commands) if isinstance(command, click.Group) else ():
        yield from every(f"{name} {below}", command.commands[below])  # type: ignore[attr-defined]  # a group has it


def section(name: str, command: click.Command) -> str:
    root = click.Context(program([]), info_name="eep", help_option_names=HELP_OPTIONS)
    context = click.Context(command, info_name=name, parent=root, max_content_width=100, terminal_width=100)
    return f"### eep {name}\n\n```text\n{command.get_help(context)}\n```\n"


def test_the_page_has_the_help_of_every_command() -> None:
    listed = [name for names in GROUPS.values() for name in names if name in OURS]
    sections = [section(*each) for name in listed for each in every(name, OURS[name])]
    page = PAGE.read_text()
    made = re.sub(
        "(<!-- commands:.*? -->\n).*(<!-- end)",
        lambda it: it[1] + "\n" + "\n".join(sections) + "\n" + it[2],
        page,
        flags=re.DOTALL,
    )
    if os.environ.get("EEP_RENEW_GOLDEN"):
        PAGE.write_text(made)
    assert PAGE.read_text() == made


def test_every_command_is_in_a_group_of_the_help() -> None:
    assert set(OURS) | OF_THE_PLATFORM == {name for names in GROUPS.values() for name in names}


@pytest.mark.parametrize("name", sorted({*OURS} - {"iam"}))
def test_every_command_has_an_example_that_it_understands(name: str) -> None:
    command = OURS[name]
    assert isinstance(command, Command)
    assert command.examples
    for example in command.examples:
        [used] = re.findall(rf"(?:^|\| |\()eep {name}\b([^|&;#>)]*)", example)[:1]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<=\s)--[a-z0-9-]+", used)) <= options, example
