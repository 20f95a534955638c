"""Put load on an endpoint, and print how long its answers take.

Requests are sent at a constant rate, whether earlier ones were answered or not, and a latency is
counted from the moment at which the request was due. Requests of the warm-up do not count. With
thresholds it tells whether the endpoint passes, as the load checks of an object do.

Exit status: 0 done and passed; 1 a threshold is exceeded, or the endpoint is not reached; 2 inconclusive.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click
from pydantic import ValidationError

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.load import BaseLoad, Load, LoadResult
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.invoke import body_of
from ephemeral_endpoints.cli.load_text import lines
from ephemeral_endpoints.cli.objects import as_name, names, read, token_for
from ephemeral_endpoints.cli.open import not_there_yet, public_url
from ephemeral_endpoints.cli.output import BAD, GOOD, WAITING, printable, styled
from ephemeral_endpoints.cli.parameters import DURATION, MILLISECONDS
from ephemeral_endpoints.cli.urls import given_token, named_url, refuse_unencrypted, token_file_option
from ephemeral_endpoints.features.checks.load.generator import measure_url
from ephemeral_endpoints.features.checks.load.plan import LoadPlan
from ephemeral_endpoints.features.checks.load.policy import figures
from ephemeral_endpoints.features.checks.load.report import LoadReport, report
from ephemeral_endpoints.features.checks.load.verdict import Verdict, judge
from ephemeral_endpoints.features.checks.requests import ModelRequest
from ephemeral_endpoints.features.routing.callers import invocation_url

INCONCLUSIVE: Final = 2
_COLOURS: Final = {CheckOutcome.PASSED: GOOD, CheckOutcome.FAILED: BAD, CheckOutcome.INCONCLUSIVE: WAITING}
_STATUSES: Final = {CheckOutcome.PASSED: 0, CheckOutcome.FAILED: 1, CheckOutcome.INCONCLUSIVE: INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class Aim:
    """Where requests go, with which token, and what is sent."""

    url: str
    token: str | None
    request: ModelRequest


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep load sentiment-pr-42 --rate 10 --duration 30s --p99 300ms",
        "eep load sentiment-pr-42 --sample long-text --output json > now.json",
        "eep load sentiment-pr-42 --compare main.json --p99-ratio 1.2",
        'eep load --url https://example.com/model --token-file token --data \'{"text": "hello"}\'',
    ],
)
@click.argument("name", required=False, shell_complete=names)
@on_cluster
@click.option("--url", help="Put the load on this URL, instead of that of an object.")
@token_file_option
@click.option("--sample", help="The sample of the object that is sent. Default: its first.")
@click.option("-d", "--data", help="The request instead: JSON, or @ and a file, where @- is the standard input.")
@click.option("--content-type", help="Media type of --data. Default: application/json.")
@click.option("--rate", type=int, default=10, show_default=True, help="Requests per second, at most 50.")
@click.option("--duration", type=DURATION, default="30s", show_default=True, help="For how long, at most 2m.")
@click.option("--warm-up", type=int, default=5, show_default=True, help="Requests before, which do not count.")
@click.option("--p50", "p50_ms", type=MILLISECONDS, help="Longest median latency, such as 80ms.")
@click.option("--p90", "p90_ms", type=MILLISECONDS, help="Longest latency of 90 % of the requests.")
@click.option("--p99", "p99_ms", type=MILLISECONDS, help="Longest latency of 99 % of the requests.")
@click.option("--max", "max_ms", type=MILLISECONDS, help="Longest latency of any request.")
@click.option(
    "--errors", "error_percent", type=float, default=1.0, show_default=True, help="Failed requests, in percent."
)
@click.option(
    "--compare", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Compare with this output."
)
@click.option("--p50-ratio", "p50_ratio_to_base", type=float, help="Largest ratio of the median to that of --compare.")
@click.option("--p99-ratio", "p99_ratio_to_base", type=float, help="Largest ratio of the p99 to that of --compare.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(  # noqa: PLR0913 - what is sent and where; the thresholds are the other options
    *,
    name: str | None,
    target: Target,
    url: str | None,
    token_file: Path | None,
    sample: str | None,
    data: str | None,
    content_type: str | None,
    compare: Path | None,
    output: str,
    **figures_wanted: Any,  # noqa: ANN401 - of several types, which Load checks
) -> None:
    """Measure, print, and exit with the status that says how it ended."""
    load, base = _load(figures_wanted, is_compared=compare is not None), _base(compare)
    given = ModelRequest(body_of(data), content_type or "application/json") if data is not None else None
    if (name is None) == (url is None):
        raise click.UsageError("name an object, or a URL with --url")
    _refuse_dropped(url, token_file, sample, data, content_type)
    if url:
        aim = _of_url(url, token_file, given)
    else:
        found = as_name(None, None, name or "")
        aim = run(target, lambda cluster: _of_object(cluster, found, sample, given))
    refuse_unencrypted(aim.url, aim.token)
    told = _measured(aim, load)
    verdict = judge(load, told, base, None)
    _print(told, verdict, base, output)
    raise click.exceptions.Exit(_STATUSES[verdict.outcome])


def _refuse_dropped(
    url: str | None, token_file: Path | None, sample: str | None, data: str | None, content_type: str | None
) -> None:
    """Raise UsageError for options that would do nothing: other requests than one wanted would be measured."""
    if url is None and token_file:
        raise click.UsageError("--token-file is for --url: an object's own token is sent")
    if sample and (url or data is not None):
        raise click.UsageError("--sample names what is sent to an object in place of --data")
    if content_type and data is None:
        raise click.UsageError("--content-type is that of --data: samples have their own")


def _load(wanted: dict[str, Any], *, is_compared: bool) -> Load:
    """What is asked for, within the limits of load checks. Raises UsageError."""
    base = {"base": {"endpoint": "compared"}} if is_compared else {}
    try:
        return Load.model_validate({**wanted, **base})
    except ValidationError as error:
        first = error.errors()[0]
        options = {each.name: each.opts[-1] for each in click.get_current_context().command.params}
        place = "".join(f"{options.get(str(each), each)}: " for each in first["loc"])
        raise click.UsageError(f"{place}{first['msg'].removeprefix('Value error, ')}") from error


def _base(file: Path | None) -> BaseLoad | None:
    if file is None:
        return None
    try:
        result = LoadResult.model_validate(json.loads(file.read_text(encoding="utf-8"))["load"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{file} is not what `eep load --output json` prints"
        raise click.BadParameter(message, param_hint="--compare") from error
    return figures(result, "", file.name)


def _of_url(url: str, token_file: Path | None, given: ModelRequest | None) -> Aim:
    if given is None:
        raise click.UsageError("--url needs --data: what is sent")
    return Aim(named_url(url), given_token(token_file), given)


async def _of_object(cluster: Cluster, name: str, sample: str | None, given: ModelRequest | None) -> Aim:
    raw, endpoint = await read(cluster, name)
    if endpoint.spec.serving.asynchronous:
        raise click.ClickException(
            f"{name} is asynchronous: it queues requests, so that load shows nothing of the model"
        )
    url = public_url(endpoint)
    if url is None:
        raise not_there_yet(name, "URL")
    url = invocation_url(endpoint.served_auth, url)
    return Aim(url, await token_for(cluster, raw, endpoint), given or _sample(endpoint, sample))


def _sample(endpoint: EphemeralEndpoint, name: str | None) -> ModelRequest:
    for each in endpoint.spec.api.samples:
        if name in {None, each.name}:
            return ModelRequest(each.request.encode(), each.content_type)
    what = f"no sample {name}" if name else "no sample"
    raise click.UsageError(f"{endpoint.metadata.name} has {what} in spec.api.samples: give a request with --data")


def _measured(aim: Aim, load: Load) -> LoadReport:
    seconds = load.duration // timedelta(seconds=1)
    click.echo(f"{load.rate} requests per second for {seconds} s, after a warm-up of {load.warm_up}", err=True)
    plan = LoadPlan(aim.url, aim.request, load.rate, seconds, load.warm_up)
    return report(asyncio.run(measure_url(plan, lambda: aim.token)))


def _print(told: LoadReport, verdict: Verdict, base: BaseLoad | None, output: str) -> None:
    if output == "json":
        load = told.result.model_copy(update={"base": base}).to_wire() if told.result else None
        found = {"outcome": verdict.outcome.value, "message": verdict.message, **({"load": load} if load else {})}
        click.echo(json.dumps(found, indent=2))
    elif told.result:
        for line in lines(told.result, base):
            click.echo(printable(line))
    said = f"{verdict.outcome.value}: {verdict.message}" if verdict.message else verdict.outcome.value
    click.echo(styled(printable(said), _COLOURS[verdict.outcome]), err=True)
