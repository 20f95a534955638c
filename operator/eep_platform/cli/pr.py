"""Open pull requests at the platform's GitHub, and do what people do with them.

A pull request's commits are those of its branch at the platform's Git host: `eep local push` and `git push` put them
there.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from eep_platform import bootstrap, platform
from eep_platform.cli import options
from eep_platform.cli.shell import progress, running
from eep_platform.errors import PlatformError
from eep_platform.github.client import GitHubClient, Seen
from eep_platform.platform import Platform

Command = Callable[..., None]

_NUMBER: Final = click.argument("number", metavar="NUMBER", type=click.IntRange(min=1))
_REPOSITORY: Final = click.option(
    "--repository",
    default=bootstrap.REVIEWED_REPOSITORY,
    show_default=True,
    metavar="OWNER/NAME",
    help="Its repository.",
)
_LOGIN: Final = click.option(
    "--as", "login", default=bootstrap.REVIEWER, show_default=True, metavar="LOGIN", help="Who does it."
)
_BRANCH: Final = click.option("--branch", metavar="NAME", help="Its branch at the Git host.  [default: pr-<number>]")


@click.group(help=__doc__)
def command() -> None:
    """The help is the module's docstring."""


@command.command("open")
@_NUMBER
@_REPOSITORY
@_BRANCH
@click.option("--title", metavar="TEXT", help="Its title.  [default: the branch's name]")
@click.option("--fork", metavar="OWNER/NAME", help="The repository of somebody else that it comes from.")
@_LOGIN
@options.state
def open_(  # noqa: PLR0913 - one for each option
    *, number: int, repository: str, branch: str | None, title: str | None, fork: str | None, login: str, state: Path
) -> None:
    """Open a pull request with the newest commit of its branch."""
    found = running(platform.status(state), state)
    name = branch or f"pr-{number}"
    revision = _head(found, fork or repository, name)
    found.github.add_repository(repository)
    writers = (bootstrap.FORGE_LOGIN,) if fork else (bootstrap.FORGE_LOGIN, login)
    for writer in writers:
        found.github.add_collaborator(repository, writer, "write")
    more = {"branch": name, "title": title or name, "author": login, **({"fork": fork} if fork else {})}
    _report(found.github.open(repository, revision, number=number, **more))


@command.command()
@_NUMBER
@_REPOSITORY
@_BRANCH
@options.state
def push(number: int, repository: str, branch: str | None, state: Path) -> None:
    """Add the newest commit of its branch to a pull request."""
    found = running(platform.status(state), state)
    revision = _head(found, repository, branch or f"pr-{number}")
    _report(found.github.push(repository, number, revision))


@command.command()
@_NUMBER
@_REPOSITORY
@_LOGIN
@options.state
def merge(number: int, repository: str, login: str, state: Path) -> None:
    """Merge a pull request."""
    _report(_github(state).merge(repository, number, login))


@command.command()
@_NUMBER
@_REPOSITORY
@_LOGIN
@options.state
def close(number: int, repository: str, login: str, state: Path) -> None:
    """Close a pull request without merging it."""
    _report(_github(state).close(repository, number, login))


@command.command()
@_NUMBER
@_REPOSITORY
@_LOGIN
@options.state
def reopen(number: int, repository: str, login: str, state: Path) -> None:
    """Reopen a pull request that was closed."""
    _report(_github(state).reopen(repository, number, login))


@command.command()
@_NUMBER
@click.argument("body", metavar="TEXT")
@_REPOSITORY
@_LOGIN
@options.state
def comment(number: int, body: str, repository: str, login: str, state: Path) -> None:
    """Comment on a pull request."""
    progress(_github(state).comment(repository, number, login, body)["html_url"])


@command.command()
@_NUMBER
@_REPOSITORY
@options.state
def show(number: int, repository: str, state: Path) -> None:
    """Show a pull request and what is on it."""
    for line in shown(_github(state).seen(repository, number)):
        click.echo(line)


def shown(seen: Seen) -> Iterator[str]:
    """A pull request for a person. Pure."""
    pull = seen.pull
    yield f"{_state(pull)}: {pull['title']} #{pull['number']} {pull['html_url']}"
    for deployment in seen.deployments:
        newest = deployment["statuses"][-1] if deployment["statuses"] else {"state": "no status"}
        yield f"deployment of {deployment['sha'][:7]} to {deployment['environment']}: {_described(newest)}"
    for status in seen.statuses:
        yield f"status of {status['sha'][:7]}, {status['context']}: {_described(status)}"
    for each in seen.comments:
        yield f"comment of {each['user']['login']}:"
        yield from (f"  {line}" for line in each["body"].splitlines())
        yield from (f"  ({login}: {content})" for login, content in each["all_reactions"])


def _described(status: dict[str, Any]) -> str:
    parts = (status.get("description"), status.get("environment_url"), status.get("target_url"))
    return ", ".join([str(status["state"]), *(part for part in parts if part)])


def _github(state: Path) -> GitHubClient:
    return running(platform.status(state), state).github


def _head(found: Platform, repository: str, branch: str) -> str:
    revision = found.git.head(repository, branch)
    if revision is None:
        raise PlatformError(
            f"{repository} has no branch {branch} at {found.git_url}: push one with `eep local push` or `git push`"
        )
    return revision


def _report(pull: dict[str, Any]) -> None:
    progress(f"{_state(pull)}: {pull['head']['sha'][:7]} {pull['title']}, {pull['html_url']}")


def _state(pull: dict[str, Any]) -> str:
    return "merged" if pull["merged"] else str(pull["state"])
