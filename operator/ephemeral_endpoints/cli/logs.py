"""Print the logs of an endpoint.

Those of the model, and of the Lambda function in front of it, are read from CloudWatch with the AWS credentials of this
shell, which must belong to the account of the class.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.log_groups import Follower, Line, LogsUnavailable, groups_of, new_lines
from ephemeral_endpoints.cli.objects import name_argument, read
from ephemeral_endpoints.cli.parameters import DURATION

_POLL_SECONDS: Final = 2.0
_COLOURS: Final = {"model": "cyan", "forwarder": "magenta"}


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep logs sentiment-pr-42 --follow",
        "eep logs sentiment-pr-42 --source model --since 3h --tail 100",
    ],
)
@name_argument
@on_cluster
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option("--since", type=DURATION, default="1h", show_default=True, help="How far to go back, such as 1h30m.")
@click.option("--tail", type=click.IntRange(min=0), help="Lines of the past to print. Default: all.")
@click.option(
    "--source", type=click.Choice(["all", *_COLOURS]), default="all", show_default=True, help="What has written them."
)
def command(  # noqa: PLR0913 - one per option
    name: str, target: Target, since: timedelta, tail: int | None, source: str, *, follow: bool
) -> None:
    """Find the log groups in the object's status, and read them."""

    async def found(cluster: Cluster) -> EphemeralEndpoint:
        return (await read(cluster, name))[1]

    groups = [each for each in groups_of(run(target, found)) if source in {"all", each.source}]
    if not groups:
        raise click.ClickException(f"{name} has no logs yet: `eep status {name}` shows how far it is")
    begin = int((time.time() - since.total_seconds()) * 1000)
    followers = [Follower(each, begin) for each in groups]
    try:
        past = new_lines(followers)
        for each in past if tail is None else past[len(past) - min(tail, len(past)) :]:
            click.echo(rendered(each))
        while follow:
            time.sleep(_POLL_SECONDS)
            for each in new_lines(followers):
                click.echo(rendered(each))
    except LogsUnavailable as error:
        raise click.ClickException(f"the logs cannot be read: {error}") from error


def rendered(line: Line) -> str:
    """A line with its time and source."""
    at = datetime.fromtimestamp(line.at / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}Z {click.style(line.source.ljust(9), fg=_COLOURS[line.source])} {line.text}"
