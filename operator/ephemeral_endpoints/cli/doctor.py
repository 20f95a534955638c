"""Check all that endpoints need.

The cluster, the operator, its classes, your rights, quotas and AWS credentials.
Each check that finds something says what to do about it. Exit status: 0 nothing is wrong; 1 something is.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import click

from ephemeral_endpoints.cli.checks import CHECKS, Finding, Level, aws_credentials
from ephemeral_endpoints.cli.connection import Cluster, Target, explained, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.output import BAD, GOOD, WAITING, printable, styled
from ephemeral_endpoints.kube.errors import Denied, KubernetesError

_MARKS: Final = {
    Level.OK: styled("✓", GOOD),
    Level.UNKNOWN: styled("?", WAITING),
    Level.WARNING: styled("!", WAITING),
    Level.FAILED: styled("✗", BAD),
}


@click.command(help=__doc__, cls=Command, examples=["eep doctor", "eep doctor --namespace previews"])
@on_cluster
def command(target: Target) -> None:
    """Run all checks. Changes nothing."""
    levels = [_print(each) for each in run(target, _findings)]
    if Level.FAILED in levels:
        raise click.exceptions.Exit(1)


async def _findings(cluster: Cluster) -> list[Finding]:
    """What all checks found. Raises the KubernetesError of the first one if the cluster cannot be reached at all."""
    version = await cluster.rest("GET", "/version")
    found = [Finding(Level.OK, f"the cluster answers: Kubernetes {version.get('gitVersion', 'of unknown version')}")]
    for title, check in CHECKS.items():
        found += await _checked(title, check, cluster)
    return found + await aws_credentials(cluster)


async def _checked(title: str, check: Callable[[Cluster], Awaitable[list[Finding]]], cluster: Cluster) -> list[Finding]:
    try:
        return await check(cluster)
    except Denied as error:
        return [Finding(Level.UNKNOWN, f"{title}: not checked, you may not read it", error.message)]
    except KubernetesError as error:
        return [Finding(Level.FAILED, f"{title}: {explained(error)}")]


def _print(finding: Finding) -> Level:
    click.echo(f"{_MARKS[finding.level]} {printable(finding.text)}")
    if finding.remedy:
        click.echo(f"  {printable(finding.remedy)}")
    return finding.level
