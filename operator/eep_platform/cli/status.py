"""Show whether the platform runs; exit status 3 if it does not."""

from pathlib import Path

import click

from eep_platform import platform
from eep_platform.cli import options
from eep_platform.cli.shell import running, usage


@click.command(help=__doc__)
@options.state
def command(state: Path) -> None:
    found = platform.status(state)
    for name, runs in found.parts.items():
        click.echo(f"# {name}: {'running' if runs else 'not running'}")
    click.echo(usage(running(found, state), state))
