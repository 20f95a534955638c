"""Print the token that callers of an endpoint need.

It is the content of the Secret that the object owns, and is printed by this command only. Callers of an endpoint whose
spec.api.auth.type is JWT or IAM do not need it: the operator itself calls with it, below the path /operator.

With --rotate it is replaced first; the one before is accepted for another hour. A URL whose endpoint is being updated,
or whose schemas cannot be used, takes the new one only after that, and the one before until then.
"""

import asyncio
import time
from typing import Final

import click

from ephemeral_endpoints.api import ROTATE_TOKEN_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import annotate, name_argument, read, read_token, token_for
from ephemeral_endpoints.cli.output import utc_now

_INSTEAD: Final = {
    AuthType.JWT: "its callers send a JWT of the class's issuer in the header Authorization",
    AuthType.IAM: "its callers sign requests with AWS Signature Version 4 (`eep invoke` does)",
}
_ROTATION_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.2


@click.command(
    help=__doc__,
    cls=Command,
    examples=['eep token sentiment-pr-42 | curl -H @<(sed "s/^/Authorization: Bearer /") "$url"'],
)
@name_argument
@click.option("--rotate", is_flag=True, help="Have the operator replace the token first.")
@on_cluster
def command(name: str, target: Target, *, rotate: bool) -> None:
    """Read the Secret, after its rotation if that is asked for."""
    token = run(target, lambda cluster: _token(cluster, name, rotate=rotate))
    click.echo(token)


async def _token(cluster: Cluster, name: str, *, rotate: bool) -> str:
    raw, endpoint = await read(cluster, name)
    token, type_ = await token_for(cluster, raw, endpoint), endpoint.served_auth
    if token is None:
        raise click.ClickException(f"{name} needs no token: its spec.api.auth.type is None")
    if type_ in _INSTEAD:
        click.echo(f"{name} takes this token below its path /operator only; {_INSTEAD[type_]}", err=True)
    return await _rotated(cluster, name, token) if rotate else token


async def _rotated(cluster: Cluster, name: str, before: str) -> str:
    await annotate(cluster, name, ROTATE_TOKEN_ANNOTATION, utc_now().isoformat())
    deadline = time.monotonic() + _ROTATION_SECONDS
    while (token := await read_token(cluster, name)) == before:
        if time.monotonic() > deadline:
            raise click.ClickException(f"the operator has not rotated the token of {name} yet: `eep doctor` shows why")
        await asyncio.sleep(_POLL_SECONDS)
    return token or before
