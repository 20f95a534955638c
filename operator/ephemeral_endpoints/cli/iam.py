"""Print the IAM policies that the roles need."""

import json
import re
from typing import Final

import click

from ephemeral_endpoints.deploy import policies
from ephemeral_endpoints.deploy.policies import PARAMETERS, POLICIES
from ephemeral_endpoints.iam.statement import placeholders

_FLAGS: Final = {
    "AccountId": "--account",
    **{name: f"--{re.sub('(?<=[a-z])(?=[A-Z])', '-', name).lower()}" for name in PARAMETERS if name != "AccountId"},
}

command = click.Group(help=__doc__)


@command.command("list")
def _list() -> None:
    """List the policies, with the role that needs each."""
    for each in POLICIES:
        optional = f" (not needed where {each.optional})" if each.optional else ""
        click.echo(f"{each.name:22}{each.principal:11}{each.purpose}{optional}")


@command.command(
    "policy",
    params=[
        click.Option([_FLAGS[name], name], metavar="VALUE", help=each.purpose, default=each.default, show_default=True)
        for name, each in PARAMETERS.items()
    ],
)
@click.argument("name")
def _policy(name: str, **values: str | None) -> None:
    """Print a policy as JSON, with the values of an account.

    NAME is one of those that `eep iam list` prints, or `operator` or `ci`: all policies of the operator, or of a
    workflow, in one document.
    """
    found = policies.named(name)
    if not found:
        raise click.ClickException(f"there is no policy {name!r}: see `eep iam list`")
    given = {parameter: value for parameter, value in values.items() if value is not None}
    missing = frozenset().union(*(placeholders(each.template()) for each in found)) - given.keys()
    if missing:
        raise click.ClickException(f"{name} needs {', '.join(_FLAGS[parameter] for parameter in sorted(missing))}")
    document = policies.merged(found, given)
    click.echo(json.dumps(document, indent=2))
    if policies.size(document) > policies.MANAGED_LIMIT:
        click.echo(
            f"note: IAM takes {policies.MANAGED_LIMIT} characters as a managed policy, these are "
            f"{policies.size(document)}: make one of each of {', '.join(each.name for each in found)}",
            err=True,
        )
