"""Send a request to the model and print its answer.

It is sent with the token of the object's Secret. Where spec.api.auth.type is JWT, the JWT is that of --token-file or of
the variable EEP_TOKEN; where it is IAM, the request is signed with your AWS credentials.

The answer's body is printed on stdout, its status on stderr. Exit status: 0 answered; 1 refused, failed or not reached;
2 not sent, because the arguments are not understood or others could read the token.
"""

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import click

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument, read, token_for
from ephemeral_endpoints.cli.open import not_there_yet, public_url
from ephemeral_endpoints.cli.output import BAD, GOOD, printable, printable_lines, styled
from ephemeral_endpoints.cli.signing import own_credentials, signed_headers
from ephemeral_endpoints.cli.urls import TOKEN_VARIABLE, given_token, refuse_unencrypted, token_file_option

_TIMEOUT: Final = aiohttp.ClientTimeout(total=90)
"""Longer than SageMaker takes at most: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html."""

_REFUSED: Final = 400


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    reason: str
    body: bytes
    seconds: float


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep invoke iris-pr-7 --data '{\"instances\": [[5.1, 3.5, 1.4, 0.2]]}'",
        "eep invoke iris-pr-7 --data @flowers.csv --content-type text/csv",
        "generate | eep invoke iris-pr-7 --data @-",
    ],
)
@name_argument
@on_cluster
@click.option("-d", "--data", required=True, help="The request: JSON, or @ and a file, where @- is the standard input.")
@click.option("--content-type", default="application/json", show_default=True, help="Media type of the request.")
@click.option("--accept", default="*/*", show_default=True, help="Media type of the answer.")
@token_file_option
def command(  # noqa: PLR0913 - the options
    name: str, target: Target, *, data: str, content_type: str, accept: str, token_file: Path | None
) -> None:
    """Send one POST. It is not repeated, and follows no redirect: it has the token."""
    body = body_of(data)
    headers = {"Content-Type": content_type, "Accept": accept}

    async def found(cluster: Cluster) -> tuple[str | None, AuthType, str | None]:
        raw, endpoint = await read(cluster, name)
        type_ = endpoint.served_auth
        is_in_secret = type_ is AuthType.TOKEN and token_file is None
        token = await token_for(cluster, raw, endpoint) if is_in_secret else None
        return public_url(endpoint), type_, token

    url, type_, token = run(target, found)
    if url is None:
        raise not_there_yet(name, "URL")
    if type_ is AuthType.TOKEN and token_file:
        token = given_token(token_file)
    if type_ is AuthType.JWT and (token := given_token(token_file)) is None:
        raise click.UsageError(
            f"{name} takes JWTs of its class's issuer: give one with --token-file or in the variable {TOKEN_VARIABLE}"
        )
    refuse_unencrypted(url, token)
    if type_ is AuthType.IAM:
        headers = signed_headers(url, headers, body, own_credentials())
    elif token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        answer = asyncio.run(_sent(url, headers, body))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise click.ClickException(
            printable(f"{url} does not answer: {str(error) or type(error).__name__}. Try `eep status {name}`")
        ) from error
    _print(answer)
    if answer.status >= _REFUSED:
        raise click.exceptions.Exit(1)


def body_of(data: str) -> bytes:
    """The request that an option gives: itself, or @ and a file; @- is the standard input. Raises BadParameter."""
    if data == "@-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        try:
            return Path(data[1:]).read_bytes()
        except OSError as error:
            raise click.BadParameter(f"{data[1:]} cannot be read: {error.strerror}", param_hint="--data") from error
    return data.encode()


async def _sent(url: str, headers: dict[str, str], body: bytes) -> Answer:
    begun = time.monotonic()
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session,
        session.post(url, data=body, headers=headers, allow_redirects=False) as response,
    ):
        content = await response.read()
        return Answer(response.status, response.reason or "", content, time.monotonic() - begun)


def _print(answer: Answer) -> None:
    colour = BAD if answer.status >= _REFUSED else GOOD
    status = styled(f"{answer.status} {printable(answer.reason)}".rstrip(), colour)
    click.echo(f"{status} in {answer.seconds:.2f} s, {len(answer.body)} bytes", err=True)
    if not sys.stdout.isatty():
        click.echo(answer.body, nl=False)
        return
    text = answer.body.decode(errors="replace")
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    click.echo(printable_lines(text))
