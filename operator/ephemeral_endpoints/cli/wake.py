"""Wake an endpoint that is asleep, which takes SageMaker some minutes.

An endpoint that is awake counts as used now.
"""

import click

from ephemeral_endpoints.api import SLEEP_ANNOTATION, WAKE_ANNOTATION
from ephemeral_endpoints.cli.connection import Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument
from ephemeral_endpoints.cli.resting import give


@click.command(help=__doc__, cls=Command, examples=["eep wake sentiment-pr-42"])
@name_argument
@on_cluster
def command(name: str, target: Target) -> None:
    """Set the annotation to the present time."""
    run(target, lambda cluster: give(cluster, name, WAKE_ANNOTATION, opposite=SLEEP_ANNOTATION))
    click.echo(f"{name} is to be awake: `eep wait {name}` waits for it", err=True)
