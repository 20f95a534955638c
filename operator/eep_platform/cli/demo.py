"""Run the story of one pull request on a platform of its own."""

from pathlib import Path

import click

from eep_platform import demo
from eep_platform.cli import options


@click.command(help=__doc__)
@options.path("--state", ".local/demo", "The platform's folder.")
@options.provider
@options.model
def command(state: Path, provider: str, model: Path) -> None:
    demo.run(state, model, provider=provider, say=click.echo)
