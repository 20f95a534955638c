"""Let an endpoint live longer.

It lives at least for DURATION from now, such as 24h or 3d, but not longer than its class allows. A life is never
shortened.
"""

import re
from datetime import datetime, timedelta
from typing import Final

import click

from ephemeral_endpoints.api import EXTEND_UNTIL_ANNOTATION
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import annotate, name_argument, read
from ephemeral_endpoints.cli.parameters import DURATION
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.expiry.policy import LONGEST_EXTENSION, later_extension

_NEGATIVE: Final = re.compile("-[0-9]")


class _Extend(Command):
    """A command that says of a negative duration what is wrong with it: click takes it for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        if any(_NEGATIVE.match(each) for each in args):
            raise click.BadParameter("must be longer than 0s: a life is never shortened", ctx, param_hint="DURATION")
        return super().parse_args(ctx, args)


@click.command(help=__doc__, cls=_Extend, examples=["eep extend sentiment-pr-42 24h"])
@name_argument
@click.argument("duration", type=DURATION)
@on_cluster
def command(name: str, duration: timedelta, target: Target) -> None:
    """Set the annotation to the end that is asked for, unless it has a later one."""
    if not timedelta(0) < duration <= LONGEST_EXTENSION:
        raise click.BadParameter(f"must be longer than 0s and at most {LONGEST_EXTENSION.days}d", param_hint="DURATION")
    until = run(target, lambda cluster: _extend(cluster, name, duration))
    click.echo(
        f"{name} is to live until {timestamp(until)}, as far as its class allows: `eep status {name}` shows its end",
        err=True,
    )


async def _extend(cluster: Cluster, name: str, duration: timedelta) -> datetime:
    _, endpoint = await read(cluster, name)
    extended = later_extension(endpoint.metadata, cluster.now() + duration)
    await annotate(cluster, name, EXTEND_UNTIL_ANNOTATION, timestamp(extended))
    return extended
