"""Stop the platform and remove everything that it created."""

from pathlib import Path

import click

from eep_platform import platform
from eep_platform.cli import options
from eep_platform.cli.shell import progress


@click.command(help=__doc__)
@options.state
def command(state: Path) -> None:
    platform.down(state, report=progress)
    progress(f"nothing of {state} is left")
