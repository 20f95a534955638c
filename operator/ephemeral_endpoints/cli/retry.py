"""Retry at once what has failed.

The operator also reads AWS again for the endpoint.
"""

import click

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.cli.connection import Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import annotate, name_argument
from ephemeral_endpoints.cli.output import utc_now


@click.command(help=__doc__, cls=Command, examples=["eep retry sentiment-pr-42 && eep wait sentiment-pr-42"])
@name_argument
@on_cluster
def command(name: str, target: Target) -> None:
    """Set the annotation to the present time."""
    run(target, lambda cluster: annotate(cluster, name, RECONCILE_AT_ANNOTATION, utc_now().isoformat()))
    click.echo(f"{name} is reconciled again: `eep wait {name}` follows it", err=True)
