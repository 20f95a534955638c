"""Run a story on a platform of its own.

`pull-request` is the life of one pull request. `lifetime` is how previews end: asleep, extended, expired, and without
their cluster. `training` goes from data to production, and back from a bad version.
"""

from pathlib import Path

import click

from eep_platform.cli import options
from eep_platform.demo.running import STORIES, run


@click.command(help=__doc__)
@click.argument("story", type=click.Choice(list(STORIES)), default="pull-request")
@options.path("--state", ".local/demo", "The platform's folder.")
@options.provider
@options.model
def command(story: str, state: Path, provider: str, model: Path) -> None:
    run(STORIES[story], state, model, provider=provider, say=click.echo)
