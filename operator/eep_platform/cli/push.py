"""Push a folder as the commit of a pull request, and print an object that serves it.

DIR has the Dockerfile. The commit has its files, without those that its .gitignore names. The object is that of
preview/endpoint.yaml, which `eep init` writes, or else one that serves the image of the Dockerfile. Pipe it to
`kubectl apply -f -`. With another name, repository or pull request, several models run side by side; with --branch the
commit is of no pull request.
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
from eep_platform.workbench import Object, manifest

TEMPLATE: Final = "preview/endpoint.yaml"

_OWNER: Final = "local"
_MOST_NAME: Final = 63
"""Names of objects become labels: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/."""


@click.command(help=__doc__)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@options.state
@click.option("--name", help="Name of the object.  [default: <name>-pr-<number>, or <name>-<branch>]")
@click.option("--repository", help="Git repository to push to.  [default: that of the object, or local/<folder>]")
@click.option("--pull-request", type=click.IntRange(min=1), default=1, show_default=True, help="Its number.")
@click.option("--branch", metavar="NAME", help="Push to this branch, and for no pull request.")
def command(  # noqa: PLR0913 - one for each option
    *, folder: Path, state: Path, name: str | None, repository: str | None, pull_request: int, branch: str | None
) -> None:
    git = running(platform.status(state), state)
    files = snapshot(folder)
    if "Dockerfile" not in files.files:
        raise PlatformError(f"{folder} has no Dockerfile: add one, see docs/tutorial.md")
    template = described(files.files.get(TEMPLATE, b""))
    label = template.get("metadata", {}).get("name") or object_name(folder.resolve().name)
    spec = template.get("spec") or {"model": {"build": {}}}
    repository = repository or spec.get("source", {}).get("repository") or f"{_OWNER}/{label}"
    head = branch or f"pr-{pull_request}"
    revision = git.git.push(
        repository, head, files.files, message=f"Files of {folder}", links=files.links, executable=files.executable
    )
    progress(f"{revision} is the head of {head} in {git.git_url}/{repository}.git")
    source = {"repository": repository, "revision": revision, "branch": head}
    if branch is None:
        source["pullRequest"] = pull_request
    made = manifest(name or suffixed(label, object_name(head)), {**spec, "source": source})
    click.echo(yaml.safe_dump(made, sort_keys=False), nl=False)


def described(text: bytes) -> Object:
    """The object that a folder says its pull requests get; empty without one. Raises PlatformError. Pure."""
    try:
        found = yaml.safe_load(text) or {}
        return {"metadata": dict(found.get("metadata", {})), "spec": dict(found.get("spec", {}))}
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise PlatformError(f"{TEMPLATE} is not the YAML of one object: {error}") from error


def object_name(text: str) -> str:
    """The nearest name that an object and a repository can have: a DNS label. Pure."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "model"


def suffixed(label: str, suffix: str) -> str:
    """`<label>-<suffix>`, with the label shortened to what a name has room for. Pure."""
    return f"{label[: _MOST_NAME - len(suffix) - 1].rstrip('-')}-{suffix}"
