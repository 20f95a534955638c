"""Print the token that callers of an endpoint need.

It is the content of the Secret that the object owns, and is printed by this command only.
"""

import click

from ephemeral_endpoints.cli.connection import Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument, read_token


@click.command(
    help=__doc__,
    cls=Command,
    examples=['eep token sentiment-pr-42 | curl -H @<(sed "s/^/Authorization: Bearer /") "$url"'],
)
@name_argument
@on_cluster
def command(name: str, target: Target) -> None:
    """Read the Secret. Changes nothing."""
    token = run(target, lambda cluster: read_token(cluster, name))
    if token is None:
        raise click.ClickException(f"{name} needs no token: its spec.api.auth.type is None")
    click.echo(token)
