"""Open the page of an endpoint in a browser, with its token.

The token is in the URL's fragment, which browsers do not send to servers. Where spec.api.auth.type is JWT, the page
asks for a JWT; where it is IAM, a browser cannot call, as it cannot sign requests. Without a browser, or where the
output is not a terminal, the URL is printed without the token.
"""

import html
import re
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument, read, token_for
from ephemeral_endpoints.cli.urls import refuse_unencrypted
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.kube.rest import Raw

FILE_SECONDS = 10
"""How long the file stays that leads a browser to the page: as long as a browser takes to start."""

_ARN: Final = re.compile(r"arn:(?P<partition>[a-z-]+):sagemaker:(?P<region>[a-z0-9-]+):[0-9]{12}:endpoint/[\w-]+")
_CONSOLES: Final = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_URL: Final = re.compile(r"https?://[\w.:-]+(/[\w./%~-]*)?")


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep open sentiment-pr-42",
        "eep open sentiment-pr-42 --show-token",
        "eep open sentiment-pr-42 --console",
    ],
)
@name_argument
@on_cluster
@click.option("--show-token", is_flag=True, help="Print the URL with the token, and open nothing.")
@click.option("--console", is_flag=True, help="Open the page of the endpoint in the AWS console.")
def command(name: str, target: Target, *, show_token: bool, console: bool) -> None:
    """Read the object's status, and its token if the page asks for one. Changes nothing."""

    async def found(cluster: Cluster) -> tuple[EphemeralEndpoint, str | None]:
        raw, endpoint = await read(cluster, name)
        type_ = endpoint.served_auth
        if type_ is AuthType.IAM and not console:
            raise click.ClickException(
                f"a browser cannot sign requests, which {name} asks for (spec.api.auth.type is IAM): use `eep invoke`"
            )
        asks = endpoint.spec.api.playground.enabled and (show_token or is_terminal()) and not console
        asks = asks and type_ is not AuthType.JWT
        return endpoint, await _token(cluster, raw, endpoint, needed=show_token) if asks else None

    endpoint, token = run(target, found)
    url = console_url(endpoint) if console else public_url(endpoint)
    if url is None:
        raise not_there_yet(name, "endpoint in SageMaker" if console else "URL")
    refuse_unencrypted(url, token)
    private = f"{url}#t={quote(token, safe='')}" if token else None
    if show_token:
        click.echo(private or url)
    elif not (is_terminal() and (_is_opened_privately(private) if private else _is_opened(url))):
        click.echo(url)


def not_there_yet(name: str, what: str) -> click.ClickException:
    """The error of a command that needs ``what`` of an object that is still made."""
    return click.ClickException(f"{name} has no {what} yet: `eep status {name}` shows how far it is")


async def _token(cluster: Cluster, raw: Raw, endpoint: EphemeralEndpoint, *, needed: bool) -> str | None:
    """The token of the object; None without one. Where it is not needed, the page can ask for it as well."""
    try:
        return await token_for(cluster, raw, endpoint)
    except click.ClickException as error:
        if needed:
            raise
        click.echo(f"Without the token: {error.message}", err=True)
        return None


def public_url(endpoint: EphemeralEndpoint) -> str | None:
    """The URL of the status, if it is one for a browser and not another program's."""
    url = endpoint.status.url
    return url if url and _URL.fullmatch(url) else None


def console_url(endpoint: EphemeralEndpoint) -> str | None:
    """The page of the first endpoint in SageMaker; None if there is none, or no public console."""
    for each in endpoint.status.resources:
        parts = _ARN.fullmatch(each.arn or "") if each.kind == ENDPOINT.name else None
        if parts and (console := _CONSOLES.get(parts["partition"])):
            region = parts["region"]
            return f"https://{region}.{console}/sagemaker/home?region={region}#/endpoints/{each.name}"
    return None


def is_terminal() -> bool:
    """Whether somebody sees the output, who may also see a browser."""
    return sys.stdout.isatty()


def _is_opened_privately(url: str) -> bool:
    """Open it by a file that only this user can read: every user of a machine sees the arguments of a browser."""
    with tempfile.TemporaryDirectory(prefix="eep-") as folder:
        file = Path(folder, "open.html")
        file.write_text(f'<meta http-equiv="refresh" content="0;url={html.escape(url)}">', encoding="utf-8")
        opened = _is_opened(file.as_uri())
        if opened:
            time.sleep(FILE_SECONDS)
    return opened


def _is_opened(url: str) -> bool:
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
