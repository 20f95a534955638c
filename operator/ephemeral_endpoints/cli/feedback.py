"""Print the votes on the answers of an endpoint.

They are read through the endpoint's URL, so that no credentials of AWS are needed, and are gone with the endpoint.
Exit status: 0 printed; 1 not read; 2 not asked, because others could read the token.
"""

import asyncio
from typing import Any, Final

import aiohttp
import click

from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.feedback_text import FORMATS, Votes
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument, read, token_for
from ephemeral_endpoints.cli.open import not_there_yet, public_url
from ephemeral_endpoints.cli.output import printable
from ephemeral_endpoints.cli.urls import refuse_unencrypted
from ephemeral_endpoints.features.routing.callers import entrance

_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
_OK: Final = 200


@click.command(
    help=__doc__,
    cls=Command,
    examples=["eep feedback sentiment-pr-42", 'eep feedback sentiment-pr-42 -o sql | psql "$DATABASE"'],
)
@name_argument
@click.option(
    "-o", "--output", "format_", type=click.Choice([*FORMATS]), default="table", show_default=True, help="The format."
)
@on_cluster
def command(name: str, target: Target, format_: str) -> None:
    """Read all pages, then print."""

    async def found(cluster: Cluster) -> tuple[str | None, str | None]:
        raw, endpoint = await read(cluster, name)
        if endpoint.spec.feedback is None:
            raise click.ClickException(f"{name} takes no votes: set its spec.feedback")
        url = public_url(endpoint)
        below = entrance(endpoint.served_auth, url) if url else None
        return below, await token_for(cluster, raw, endpoint)

    url, token = run(target, found)
    if url is None:
        raise not_there_yet(name, "URL")
    refuse_unencrypted(url, token)
    try:
        votes = asyncio.run(_read(f"{url}/feedback", token))
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
        reason = str(error) or type(error).__name__
        raise click.ClickException(printable(f"{url} does not tell its votes: {reason}. Try again")) from error
    click.echo(FORMATS[format_](votes), nl=False)


async def _read(url: str, token: str | None) -> Votes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    rows: list[dict[str, str]] = []
    after: dict[str, str] = {}
    async with aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True, headers=headers) as session:
        while True:
            page = await _page(session, url, after)
            rows += page["votes"]
            if page["next"] is None:
                return Votes(rows, page["counts"])
            after = {"after": page["next"]}


async def _page(session: aiohttp.ClientSession, url: str, after: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
    # A redirect is not followed: the request has the token.
    async with session.get(url, params=after, allow_redirects=False) as response:
        document = await response.json(content_type=None)
        if response.status != _OK:
            detail = document.get("detail") if isinstance(document, dict) else None
            raise ValueError(f"{response.status} {detail or response.reason}")
        return document
