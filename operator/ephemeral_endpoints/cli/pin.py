"""Pin an endpoint: it lives as long as its class allows, whatever its time to live.

It needs the right to `pin`, which is one of its own. A closed pull request ends a pinned endpoint too.
"""

import click

from ephemeral_endpoints.api import PIN_ANNOTATION
from ephemeral_endpoints.cli.connection import Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import annotate, name_argument


@click.command(help=__doc__, cls=Command, examples=["eep pin sentiment-pr-42"])
@name_argument
@on_cluster
def command(name: str, target: Target) -> None:
    """Set the annotation."""
    run(target, lambda cluster: annotate(cluster, name, PIN_ANNOTATION, "true"))
    click.echo(f"{name} is to live as long as its class allows: `eep status {name}` shows its end", err=True)
