import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tests.fixtures.command import eep

from ephemeral_endpoints import __version__
from ephemeral_endpoints.cli.help import GROUPS
from ephemeral_endpoints.cli.main import GROUP, program

PROGRAMS = Path(sys.executable).parent


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, in which nothing is imported that the command does not import."""
    command = [str(PROGRAMS / argv[0]), *argv[1:]]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})  # noqa: S603 - no shell


@pytest.mark.parametrize("name", ["eep", "kubectl-eep"])
def test_the_version_is_the_packages(name: str) -> None:
    answer = run(name, "--version")
    assert (answer.returncode, answer.stdout.strip()) == (0, __version__)


def test_alone_it_prints_its_help() -> None:
    alone, asked = eep(), eep("--help")
    assert (alone.exit_code, alone.stdout, alone.stderr) == (0, asked.stdout, "")


@pytest.mark.parametrize("arguments", [["local"], ["local", "sideways"], ["remote"]])
def test_what_is_not_understood_is_answered_with_the_usage(arguments: list[str]) -> None:
    result = eep(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: eep")
    assert not result.stdout


def test_as_a_plugin_of_kubectl_it_is_called_what_the_user_typed() -> None:
    assert "Usage: kubectl eep iam policy [OPTIONS] NAME" in run("kubectl-eep", "iam", "policy", "--help").stdout


def test_every_installed_command_is_listed_with_a_line_of_help() -> None:
    listed = eep("--help").stdout
    for command in entry_points(group=GROUP):
        shown = eep(command.name, "--help").stdout
        [line] = [each for each in listed.splitlines() if each.split()[:1] == [command.name]]
        assert line.removeprefix(f"  {command.name}").strip() in shown


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["local", "--help"]])
def test_what_a_command_needs_is_not_imported_for_a_list_of_commands(arguments: list[str]) -> None:
    answer = run("python", "-X", "importtime", str(PROGRAMS / "eep"), *arguments)
    assert answer.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in answer.stderr.splitlines()}
    assert "click" in imported
    assert not imported & {"aiohttp", "boto3", "kopf", "kubernetes", "psutil", "pydantic", "yaml"}


def test_waiting_imports_nothing_that_reads_aws_or_runs_the_operator() -> None:
    loaded = "import sys, ephemeral_endpoints.cli.wait; print(*sys.modules)"
    modules = run("python", "-c", loaded).stdout.split()
    assert "ephemeral_endpoints.cli.wait" in modules
    assert not {"boto3", "botocore", "kopf"} & {*modules}


def test_the_commands_are_listed_in_groups_in_the_order_of_their_use() -> None:
    titles = re.findall(r"^(\S.*):$", eep().stdout, re.MULTILINE)
    assert titles == [*GROUPS, "Options", "Examples", "Learn more"]


def test_colours_are_for_terminals_and_not_for_those_who_want_none(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command
    def coloured() -> None:
        click.echo(click.style("a", fg="red"))

    monkeypatch.delenv("NO_COLOR", raising=False)
    for variables, expected in (({}, "\x1b[31ma\x1b[0m\n"), ({"NO_COLOR": "1"}, "a\n")):
        with monkeypatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            group = program([])
            group.add_command(coloured)
            assert CliRunner().invoke(group, ["coloured"], color=True).output == expected


def test_without_the_platform_its_command_names_the_extra_that_brings_it() -> None:
    alone = program(each for each in entry_points(group=GROUP) if each.name != "local")
    assert "pip install 'ephemeral-endpoints[platform]'" in CliRunner().invoke(alone, ["--help"]).stdout
    for arguments in (["local"], ["local", "up", "--operator"], ["local", "--help"]):
        result = CliRunner().invoke(alone, arguments)
        assert result.exit_code == 1
        assert not result.stdout
        assert "pip install 'ephemeral-endpoints[platform]'" in result.stderr


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("eep in", {"init", "invoke"}),
        ("eep local d", {"demo", "down"}),
        ("eep local up --prov", {"--provider"}),
    ],
)
def test_a_shell_can_complete_commands_and_options(words: str, completed: set[str]) -> None:
    count = str(len(words.split()) - (not words.endswith(" ")))
    answer = run("eep", _EEP_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count)
    assert {line.partition(",")[2] for line in answer.stdout.splitlines()} == completed
