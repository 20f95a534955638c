"""Print the versions of eep and of the operator."""

import asyncio
import os

import click

from ephemeral_endpoints import __version__
from ephemeral_endpoints.cli.connection import Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.installation import URL_VARIABLE, operators, version_at


@click.command(help=__doc__, cls=Command, examples=["eep version", "eep version --client"])
@on_cluster
@click.option("--client", is_flag=True, help="Only that of this program.")
def command(target: Target, *, client: bool) -> None:
    """Ask the cluster unless told not to. A cluster that is not reached is no failure."""
    click.echo(f"eep {__version__}")
    if client:
        return
    if url := os.environ.get(URL_VARIABLE):
        version = asyncio.run(version_at(url))
        click.echo(f"operator {version or 'unknown: it does not answer'} ({url})", err=version is None)
        return
    try:
        found = run(target, operators)
    except click.ClickException as error:
        click.echo(f"operator unknown: {error.message}", err=True)
        return
    for each in found:
        click.echo(f"operator {each.version} ({each.namespace}/{each.name})")
    if not found:
        click.echo("operator not found: is its chart installed?", err=True)
