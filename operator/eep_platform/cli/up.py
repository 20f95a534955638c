"""Start the platform, or the parts of it that do not run.

It prints the settings for a shell once the platform serves.
"""

import time
from pathlib import Path

import click

from eep_platform import operator, platform
from eep_platform.cli import options
from eep_platform.cli.shell import progress, quoted, usage
from eep_platform.errors import PlatformError


@click.command(help=__doc__)
@options.state
@options.provider
@click.option("--operator", "with_operator", is_flag=True, help="Start the operator on it, too.")
def command(state: Path, provider: str, *, with_operator: bool) -> None:
    began = time.monotonic()
    try:
        started = platform.up(state, provider=provider, report=progress)
        if with_operator:
            progress(f"the operator is running: {operator.start(started)}/metrics, log {operator.log(started)}")
    except PlatformError as error:
        hint = f"To stop what was started, run: eep local down --state {quoted(state)}"
        raise PlatformError(f"{error}\n{hint}") from error
    progress(f"ready after {time.monotonic() - began:.1f} s")
    click.echo(usage(started, state))
