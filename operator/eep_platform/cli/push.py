"""Push a folder as the commit of a pull request, and print an object that serves it.

DIR has the Dockerfile. The commit has its files, without those that its .gitignore names. Pipe what is printed to
`kubectl apply -f -`. With another name, repository or pull request, several models run side by side.
"""

import re
from pathlib import Path
from typing import Final

import click
import yaml

from eep_platform import platform
from eep_platform.cli import options
from eep_platform.cli.shell import progress, running
from eep_platform.errors import PlatformError
from eep_platform.git import snapshot
from eep_platform.workbench import manifest

_OWNER: Final = "local"
_MOST_NAME: Final = 63
"""Names of objects become labels: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/."""


@click.command(help=__doc__)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@options.state
@click.option("--name", help="Name of the object.  [default: <folder>-pr-<number>]")
@click.option("--repository", help="Git repository to push to.  [default: local/<folder>]")
@click.option("--pull-request", type=click.IntRange(min=1), default=1, show_default=True, help="Its number.")
def command(folder: Path, state: Path, name: str | None, repository: str | None, pull_request: int) -> None:
    git = running(platform.status(state), state)
    label = object_name(folder.resolve().name)
    name, repository = name or numbered(label, pull_request), repository or f"{_OWNER}/{label}"
    files = snapshot(folder)
    if "Dockerfile" not in files.files:
        raise PlatformError(f"{folder} has no Dockerfile: add one, see docs/tutorial.md")
    branch = f"pr-{pull_request}"
    revision = git.git.push(
        repository, branch, files.files, message=f"Files of {folder}", links=files.links, executable=files.executable
    )
    progress(f"{revision} is the head of {branch} in {git.git_url}/{repository}.git")
    source = {"repository": repository, "pullRequest": pull_request, "revision": revision, "branch": branch}
    click.echo(yaml.safe_dump(manifest(name, {"source": source, "model": {"build": {}}}), sort_keys=False), nl=False)


def object_name(text: str) -> str:
    """The nearest name that an object and a repository can have: a DNS label. Pure."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "model"


def numbered(label: str, pull_request: int) -> str:
    """`<label>-pr-<number>`, with the label shortened to what a name has room for. Pure."""
    suffix = f"-pr-{pull_request}"
    return label[: _MOST_NAME - len(suffix)].rstrip("-") + suffix
