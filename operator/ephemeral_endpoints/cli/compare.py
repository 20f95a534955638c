"""Show what a model answers differently than its base, or compare two URLs.

With NAME, the last comparison of the object is shown; --all reads the report with all differences from S3, with the
AWS credentials of this shell. With --url and --with-url, the requests of FILE are sent to both URLs now; the variables
EEP_TOKEN and EEP_WITH_TOKEN hold their tokens. FILE is YAML: requests, a list of names, requests and contentTypes as in
spec.api.samples, and tolerances, label, ignore and redact as in spec.compare. As that of diff, the exit status is 0
without a difference, 1 with one, 2 if nothing could be compared.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import aiohttp
import boto3
import click
import yaml
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field, ValidationError

from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.comparison import (
    Comparison,
    ComparisonBase,
    ComparisonResult,
    Pointer,
    Pointers,
    Tolerance,
)
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.samples import Sample
from ephemeral_endpoints.cli.compare_text import rendered
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import as_name, read
from ephemeral_endpoints.cli.output import printable, utc_now
from ephemeral_endpoints.cli.urls import TOKEN_VARIABLE, given_token, named_url, refuse_unencrypted
from ephemeral_endpoints.features.checks.comparison import report
from ephemeral_endpoints.features.checks.comparison.differences import Rules
from ephemeral_endpoints.features.checks.comparison.exchange import LiveSide, NamedRequest, exchange
from ephemeral_endpoints.features.checks.comparison.reasons import COMPARED
from ephemeral_endpoints.features.checks.comparison.summary import summary
from ephemeral_endpoints.features.checks.requests import ModelClient, ModelRequest

_DIFFERENT: Final = 1
_TROUBLE: Final = 2
_TOKENS: Final = (TOKEN_VARIABLE, "EEP_WITH_TOKEN")
"""The variables with the tokens of both URLs; on a command line everybody on the machine could read them."""

_MOST_FILE_BYTES: Final = 16 * 1024 * 1024

Report = Mapping[str, Any]
"""A report as it is in S3."""


class RequestsFile(ApiModel):
    """Requests, and how the answers to them are compared."""

    requests: Annotated[tuple[Sample, ...], Field(min_length=1, max_length=1000)]
    tolerances: Annotated[tuple[Tolerance, ...], Field(max_length=20)] = ()
    label: Pointer | None = None
    ignore: Pointers = ()
    redact: Pointers = ()

    @property
    def judgement(self) -> Rules:
        """How the answers are compared."""
        return Rules.of(
            Comparison(
                with_=ComparisonBase(endpoint="base"),
                tolerances=self.tolerances,
                label=self.label,
                ignore=self.ignore,
                redact=self.redact,
            )
        )


class _Trouble(click.ClickException):
    """As diff does, another status than that of a difference."""

    exit_code = _TROUBLE


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep compare sentiment-pr-42",
        "eep compare sentiment-pr-42 --all -o json",
        "eep compare --url https://pr.example.com/pr --with-url https://pr.example.com/main requests.yaml",
    ],
)
@click.argument("subject", metavar="NAME|FILE")
@on_cluster
@click.option("--url", help="URL of the model that is compared; the argument is then a FILE.")
@click.option("--with-url", help="URL of the model that it is compared with.")
@click.option("--all", "is_whole", is_flag=True, help="All differences, not only the worst.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(  # noqa: PLR0913 - the options
    subject: str,
    target: Target,
    url: str | None,
    with_url: str | None,
    *,
    output: str,
    is_whole: bool,
) -> None:
    """Print the comparison. Changes nothing."""
    try:
        if url or with_url:
            title, found = _of_urls(Path(subject), _sides(url, with_url))
        else:
            title, found = _of_object(as_name(None, None, subject), target, is_whole=is_whole)
    except click.ClickException as error:
        if error.exit_code == _DIFFERENT:
            raise _Trouble(error.format_message()) from error
        raise
    result = ComparisonResult.model_validate(found["result"])
    shown = {name: found[name] for name in ("result", *(("requests", "cut") if is_whole else ()))}
    text = rendered(title, result, found["requests"] if is_whole else None, utc_now())
    click.echo(json.dumps(shown, indent=2) if output == "json" else "\n".join(map(printable, text)))
    if result.requests == 0:
        raise click.exceptions.Exit(_TROUBLE)
    if result.changed or result.failed:
        raise click.exceptions.Exit(_DIFFERENT)


def _of_object(name: str, target: Target, *, is_whole: bool) -> tuple[str, Report]:
    """The last comparison of an object, with its report if that is asked for."""

    async def found(cluster: Cluster) -> EphemeralEndpoint:
        return (await read(cluster, name))[1]

    endpoint = run(target, found)
    result = endpoint.status.comparison
    if result is None:
        why = next((each.message for each in endpoint.status.conditions if each.type == COMPARED), None)
        raise click.ClickException(printable(f"{name} has not been compared: {why or 'it has no spec.compare'}"))
    if not is_whole:
        return name, {"result": result.to_wire()}
    if result.report_uri is None:
        why = result.report_error or "the class has no comparisons.reportsS3Uri"
        raise click.ClickException(printable(f"there is no report of the comparison: {why}"))
    return name, {**_fetched(result.report_uri), "result": result.to_wire()}


def _fetched(uri: str) -> Report:
    parts = urlsplit(uri)
    try:
        answer = boto3.Session().client("s3").get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
        with answer["Body"] as body:
            content = body.read(report.MOST_BYTES)
        found: Report = json.loads(content)
        return {"requests": list(report.differences_of(content)), "cut": found.get("cut", [])}
    except (BotoCoreError, ClientError, ValueError) as error:
        raise click.ClickException(printable(f"the report {uri} cannot be read: {error}")) from error


def _sides(url: str | None, with_url: str | None) -> tuple[str, str]:
    if not url or not with_url:
        raise click.UsageError("--url and --with-url belong together")
    if url.rstrip("/") == with_url.rstrip("/"):
        raise click.UsageError("--url and --with-url are the same")
    return named_url(url), named_url(with_url, "--with-url")


def _of_urls(file: Path, urls: tuple[str, str]) -> tuple[str, Report]:
    """Compare two URLs now."""
    requests, tokens = _requests(file), [given_token(variable=name) for name in _TOKENS]
    for url, token in zip(urls, tokens, strict=True):
        refuse_unencrypted(url, token)
    return urls[0], asyncio.run(_compared(requests, urls, tokens))


async def _compared(file: RequestsFile, urls: Sequence[str], tokens: Sequence[str | None]) -> Report:
    requests = [
        NamedRequest(each.name, ModelRequest(each.request.encode(), each.content_type)) for each in file.requests
    ]
    async with aiohttp.ClientSession(trust_env=True) as session:
        client = ModelClient(session, time.monotonic)
        head, base = (LiveSide(client, url, token) for url, token in zip(urls, tokens, strict=True))
        done = await exchange(base, head, requests, file.judgement, clock=time.monotonic)
    result = ComparisonResult(
        id="",
        revision="",
        base=urls[1],
        finished_at=utc_now(),
        skipped=done.skipped,
        **summary(done.pairs).fields(),
    )
    found: Report = json.loads(report.document("", "", result, done.pairs, {}))
    return found


def _requests(file: Path) -> RequestsFile:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_FILE_BYTES)
        return RequestsFile.model_validate(yaml.safe_load(content))
    except OSError as error:
        raise click.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="FILE") from error
    except yaml.YAMLError as error:
        raise click.BadParameter(printable(f"{file} is no YAML: {error}"), param_hint="FILE") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise click.BadParameter(printable(f"{file}: {place}: {first['msg']}"), param_hint="FILE") from error
