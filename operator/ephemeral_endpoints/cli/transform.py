"""Predict for all objects below an S3 prefix, by a transform job of SageMaker.

The job runs the model that the endpoint serves now, on an instance of its own, which costs as long as it runs. The
answers for SOURCE/a.json are in TARGET/a.json.out. The model's role must be allowed to read SOURCE and to write TARGET.

It is started and followed with the AWS credentials of this shell, and goes on when this command is interrupted. Exit
status: 0 completed; 1 failed, stopped, or not started.
"""

import time
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import click

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument, read
from ephemeral_endpoints.cli.output import printable
from ephemeral_endpoints.cli.transform_jobs import Served, TransformFailed, Wanted, follow, job_name

_SCHEME: Final = "s3://"
_MOST_MEGABYTES: Final = 100


def s3_uri(_: click.Context, __: click.Parameter, value: str) -> str:
    """An S3 URI with a bucket; raises BadParameter for anything else."""
    if not value.startswith(_SCHEME) or not value.removeprefix(_SCHEME).partition("/")[0]:
        raise click.BadParameter(f"write {value!r} as s3://bucket/prefix/")
    return value


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep transform sentiment-pr-42 s3://reviews/2026-11/ s3://predictions/pr-42/",
        "eep transform sentiment-pr-42 s3://reviews/lines.jsonl s3://predictions/pr-42/ --by-line",
    ],
)
@name_argument
@click.argument("source", callback=s3_uri)
@click.argument("target_uri", metavar="TARGET", callback=s3_uri)
@on_cluster
@click.option("--instance-type", default="ml.m5.large", show_default=True, help="Instance that the job runs on.")
@click.option("--content-type", default="application/json", show_default=True, help="Media type of the objects.")
@click.option("--by-line", is_flag=True, help="Send each line as a request of its own; the answers are lines, too.")
@click.option(
    "--megabytes",
    type=click.IntRange(1, _MOST_MEGABYTES),
    default=6,
    show_default=True,
    help="The largest request; what is larger fails the job.",
)
def command(  # noqa: PLR0913, PLR0917 - one per option
    name: str,
    source: str,
    target_uri: str,
    target: Target,
    instance_type: str,
    content_type: str,
    megabytes: int,
    *,
    by_line: bool,
) -> None:
    """Find the endpoint in the object's status, and transform with its model."""

    async def found(cluster: Cluster) -> EphemeralEndpoint:
        return (await read(cluster, name))[1]

    served = Served.of(run(target, found))
    if served is None:
        raise click.ClickException(f"{name} has no endpoint at the moment: `eep status {name}` shows why")
    job = job_name(name, f"{datetime.now(UTC):%Y%m%d%H%M%S}", uuid4().hex[:6])
    wanted = Wanted(source, target_uri, instance_type, content_type, by_line, megabytes)
    try:
        client = served.connect()
        model = served.start(client, wanted, job)
        click.echo(f"{job} transforms with the model {model}", err=True)
        follow(client, job, time.sleep, lambda status: click.echo(f"{job} {status}", err=True))
    except TransformFailed as error:
        raise click.ClickException(printable(str(error))) from error
    click.echo(target_uri)
