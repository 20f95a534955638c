"""Open the URL of an endpoint in a browser.

Without a browser, or where the output is not a terminal, the URL is printed.
"""

import re
import sys
import webbrowser
from typing import Final

import click

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument, read
from ephemeral_endpoints.features.serving.specs import ENDPOINT

_ARN: Final = re.compile(r"arn:(?P<partition>[a-z-]+):sagemaker:(?P<region>[a-z0-9-]+):[0-9]{12}:endpoint/[\w-]+")
_CONSOLES: Final = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_URL: Final = re.compile(r"https?://[\w.:-]+(/[\w./%~-]*)?")


@click.command(help=__doc__, cls=Command, examples=["eep open sentiment-pr-42", "eep open sentiment-pr-42 --console"])
@name_argument
@on_cluster
@click.option("--console", is_flag=True, help="Open the page of the endpoint in the AWS console.")
def command(name: str, target: Target, *, console: bool) -> None:
    """Read the object's status. Changes nothing."""

    async def found(cluster: Cluster) -> EphemeralEndpoint:
        return (await read(cluster, name))[1]

    endpoint = run(target, found)
    url = console_url(endpoint) if console else public_url(endpoint)
    if url is None:
        what = "endpoint in SageMaker" if console else "URL"
        raise click.ClickException(f"{name} has no {what} yet: `eep status {name}` shows how far it is")
    if not (sys.stdout.isatty() and _is_opened(url)):
        click.echo(url)


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


def _is_opened(url: str) -> bool:
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
