"""Print a token for SageMaker's own OpenAI path to an endpoint on instances.

The token is made here, from your AWS credentials, and carries your authority: it goes to standard output only, and to
nobody else. It opens every endpoint that you may invoke (sagemaker:CallWithBearerToken and sagemaker:InvokeEndpoint).
"""

import base64
import re
import sys
from typing import Final

import click
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument, read
from ephemeral_endpoints.cli.signing import own_credentials

LONGEST_HOURS: Final = 12
_HOST: Final = re.compile(r"https://runtime\.sagemaker\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/\S+")
_SIGNED_HOST: Final = "sagemaker.amazonaws.com"
_PREFIX: Final = "sagemaker-api-key-"


@click.command(
    help=__doc__,
    cls=Command,
    examples=["export OPENAI_API_KEY=$(eep openai-token sentiment-pr-42 --hours 1)"],
)
@name_argument
@on_cluster
@click.option(
    "--hours",
    type=click.IntRange(1, LONGEST_HOURS),
    default=1,
    show_default=True,
    help="How long the token is valid; it ends with the credentials that it is made from.",
)
def command(name: str, target: Target, *, hours: int) -> None:
    """Read the object's status, and sign. Calls nothing in AWS."""

    async def found(cluster: Cluster) -> EphemeralEndpoint:
        return (await read(cluster, name))[1]

    url = run(target, found).status.open_ai_base_url
    parts = _HOST.fullmatch(url or "")
    if parts is None:
        detail = "only models on instances that are not asynchronous have one"
        raise click.ClickException(f"{name} has no URL for OpenAI clients: {detail}")
    click.echo(bearer_token(own_credentials(), parts["region"], 3600 * hours))
    if sys.stdout.isatty():
        click.echo(f"Base URL: {url}", err=True)


def bearer_token(credentials: Credentials, region: str, seconds: int) -> str:
    """A bearer token for SageMaker: a presigned request for ``CallWithBearerToken``, which nobody sends.

    The form is that of ``generate_token`` in the SageMaker Python SDK
    (https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-openai-compatible.html).
    """
    parameters = {"Action": "CallWithBearerToken"}
    request = AWSRequest("POST", f"https://{_SIGNED_HOST}/", {"host": _SIGNED_HOST}, params=parameters)
    SigV4QueryAuth(credentials, "sagemaker", region, expires=seconds).add_auth(request)
    signed = f"{str(request.url).removeprefix('https://')}&Version=1"
    return _PREFIX + base64.b64encode(signed.encode()).decode("ascii")
