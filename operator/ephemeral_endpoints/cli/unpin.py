"""Unpin an endpoint: its time to live counts again, as if it had never been pinned.

It ends at once if its time to live is over: to keep it for a while, extend its life before (eep extend).
"""

import click

from ephemeral_endpoints.api import PIN_ANNOTATION
from ephemeral_endpoints.cli.connection import Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import annotate, name_argument


@click.command(help=__doc__, cls=Command, examples=["eep unpin sentiment-pr-42"])
@name_argument
@on_cluster
def command(name: str, target: Target) -> None:
    """Take the annotation off."""
    run(target, lambda cluster: annotate(cluster, name, PIN_ANNOTATION, None))
    click.echo(f"{name} is no longer pinned: `eep status {name}` shows its end", err=True)
