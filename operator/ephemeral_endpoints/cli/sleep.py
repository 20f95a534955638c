"""Send an endpoint to sleep: what costs by the hour goes, its URL and all else stay.

It sleeps as soon as its newest commit is served and its checks have ended, until it is woken: by `eep wake`, by a
request where its class has a queue, by a change of its spec or commit, or when the hours of its schedule begin.
"""

import click

from ephemeral_endpoints.api import SLEEP_ANNOTATION, WAKE_ANNOTATION
from ephemeral_endpoints.cli.connection import Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument
from ephemeral_endpoints.cli.resting import give


@click.command(help=__doc__, cls=Command, examples=["eep sleep sentiment-pr-42"])
@name_argument
@on_cluster
def command(name: str, target: Target) -> None:
    """Set the annotation to the present time."""
    run(target, lambda cluster: give(cluster, name, SLEEP_ANNOTATION, opposite=WAKE_ANNOTATION))
    click.echo(f"{name} is to sleep, as soon as its newest commit is served and its checks have ended", err=True)
