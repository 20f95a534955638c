"""Push a commit of the model, and print an object that serves it."""

from pathlib import Path

import click
import yaml

from eep_platform import platform
from eep_platform.cli import options
from eep_platform.cli.shell import progress, running
from eep_platform.demo import BRANCH, NAME, REPOSITORY, spec
from eep_platform.git import files_of
from eep_platform.workbench import manifest


@click.command(help=__doc__)
@options.state
@options.model
def command(state: Path, model: Path) -> None:
    git = running(platform.status(state), state).git
    revision = git.push(REPOSITORY, BRANCH, files_of(model, below="model"), message="Tell wines apart")
    progress(f"{revision} is the head of {BRANCH} in {git.url}/{REPOSITORY}.git")
    click.echo(yaml.safe_dump(manifest(NAME, spec(revision)), sort_keys=False), nl=False)
