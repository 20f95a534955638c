"""Show, compare, approve and reject versions of models in the SageMaker Model Registry.

Versions are read and changed with the AWS credentials of this shell; what serves them is read from the cluster. A
version is GROUP/VERSION, such as wine/7, or its ARN.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.packages import Approval
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command, Commands
from ephemeral_endpoints.cli.model_registry import ModelRegistry, RegistryUnavailable
from ephemeral_endpoints.cli.model_text import described, differences, listing
from ephemeral_endpoints.cli.output import printable, utc_now
from ephemeral_endpoints.kube.client import listed

_LIMIT = 20


def _region(function: Callable[..., None]) -> Callable[..., None]:
    return click.option("--region", help="Region of the registry. Default: as the AWS command line.")(function)


@click.group(
    help=__doc__,
    name="model",
    cls=Commands,
    examples=["eep model list wine", "eep model diff wine/6 wine/7", "eep model approve wine/7"],
)
def command() -> None:
    """Is followed by what to do."""


@command.command("list", cls=Command, examples=["eep model list wine", "eep model list wine-previews --limit 5"])
@click.argument("group")
@_region
@click.option("--limit", type=click.IntRange(1, 100), default=_LIMIT, show_default=True, help="Newest versions.")
@on_cluster
def list_(group: str, region: str | None, limit: int, target: Target) -> None:
    """List the newest versions of a group: metric, approval, where each comes from, and what serves it."""
    registry = _registry(region)
    with _errors():
        versions = registry.newest(group, limit)
    click.echo("\n".join(listing(versions, _serving(target), utc_now())))


@command.command(cls=Command, examples=["eep model diff wine/6 wine/7"])
@click.argument("before")
@click.argument("after")
@_region
def diff(before: str, after: str, region: str | None) -> None:
    """Show in what two versions differ: metrics, origin, image, data and properties."""
    registry = _registry(region)
    with _errors():
        versions = [registry.version(each) for each in (before, after)]
    click.echo("\n".join(differences(*versions)))


@command.command(cls=Command, examples=['eep model approve wine/7 --description "better on short reviews"'])
@click.argument("version")
@click.option("-d", "--description", default="", help="Why, for those who look at it later.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_region
def approve(version: str, description: str, region: str | None, *, yes: bool) -> None:
    """Approve a version: objects that name its group serve it from then on."""
    _decide(version, Approval.APPROVED, description, region, yes=yes)


@command.command(cls=Command, examples=['eep model reject wine/7 --description "worse on short reviews"'])
@click.argument("version")
@click.option("-d", "--description", default="", help="Why, for those who look at it later.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_region
def reject(version: str, description: str, region: str | None, *, yes: bool) -> None:
    """Reject a version: it does not begin to be served; where no other one is approved, it is served on."""
    _decide(version, Approval.REJECTED, description, region, yes=yes)


def _decide(name: str, approval: Approval, description: str, region: str | None, *, yes: bool) -> None:
    registry = _registry(region)
    with _errors():
        version = registry.version(name)
        click.echo("\n".join(described(version)))
        if version.approval == approval and (not description or description == version.comment):
            click.echo(f"\n{version.name} is {approval} already.", err=True)
            return
        if not yes and not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to ask on: use --yes")
        if not yes:
            click.confirm(f"\nSet it to {approval}?", abort=True, err=True)
        registry.decide(version, approval, description)
    click.echo(f"{version.name} is {approval}.", err=True)


@contextmanager
def _errors() -> Iterator[None]:
    """Show what AWS refuses as an error of the command."""
    try:
        yield
    except RegistryUnavailable as error:
        raise click.ClickException(printable(str(error))) from error


def _registry(region: str | None) -> ModelRegistry:
    with _errors():
        return ModelRegistry.connect(region)


def _serving(target: Target) -> dict[str, list[str]]:
    """The objects that serve each version, by its ARN; empty without a cluster."""

    async def found(cluster: Cluster) -> dict[str, list[str]]:
        users: dict[str, list[str]] = {}
        folder = ENDPOINT.folder(target.namespace)
        async for raw in listed(cluster.rest, folder):
            endpoint = EphemeralEndpoint.model_validate(raw)
            if package := endpoint.status.package:
                users.setdefault(package.arn, []).append(f"{endpoint.metadata.namespace}/{endpoint.metadata.name}")
        return users

    try:
        return run(target, found)
    except click.ClickException as error:
        click.echo(f"what serves the versions is not known: {error.message}", err=True)
        return {}
