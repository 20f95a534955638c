"""Check whether a model answers as expected.

`eep check NAME` has the operator run the checks of an object (spec.checks) again, and waits for their results. With
--url the checks of a FILE are run from here, without a cluster: a list as in spec.checks, or the manifest of an object,
whose samples, and ConfigMaps in the same file, the checks can refer to. A token is taken from --token-file, or from the
variable EEP_TOKEN.

Exit status: 0 all checks passed; 1 a check failed; 2 it is not known, because a check could not be carried out, the
time is over, or the arguments or the file are not understood.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import aiohttp
import click

from ephemeral_endpoints.api import CHECK_AT_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.check_file import CheckFileError, prepared_checks
from ephemeral_endpoints.cli.check_output import as_json, as_junit, as_text, overall
from ephemeral_endpoints.cli.connection import Target, connected, on_cluster, reported
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import annotate, as_name, names
from ephemeral_endpoints.cli.output import printable, span, utc_now
from ephemeral_endpoints.cli.parameters import DURATION
from ephemeral_endpoints.cli.progress import Goal, Outcome, current_conditions, judge, said
from ephemeral_endpoints.cli.urls import given_token, named_url, refuse_unencrypted, token_file_option
from ephemeral_endpoints.cli.wait import seen
from ephemeral_endpoints.features.checks.preparation import PreparedCheck
from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED, CheckInvalid, CheckUnavailable
from ephemeral_endpoints.features.checks.requests import ModelClient
from ephemeral_endpoints.features.checks.runner import AT_ONCE, PURPOSE, Runner
from ephemeral_endpoints.features.checks.runner import Target as Model
from ephemeral_endpoints.features.checks.schemas import invalid
from ephemeral_endpoints.features.sleep.policy import is_asleep

UNKNOWN: Final = 2
_STATUS: Final = {CheckOutcome.PASSED: 0, CheckOutcome.FAILED: 1, CheckOutcome.INCONCLUSIVE: UNKNOWN}
_NEVER_RUN: Final = frozenset(each.reason.name for each in (CheckInvalid, CheckUnavailable))


@dataclass(frozen=True, slots=True)
class Output:
    """How the results are printed, and where JUnit's XML of them is written to."""

    format: str
    junit: str | None


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep check sentiment-pr-42",
        "eep check --url http://localhost:8080/invocations checks.yaml",
        'eep check --url "$URL" endpoint.yaml --token-file token --junit checks.xml',
    ],
)
@click.argument("subject", metavar="NAME|FILE", shell_complete=names)
@on_cluster
@click.option("--url", help="URL of the model: run the checks of FILE from here.")
@token_file_option
@click.option(
    "--at-once", type=click.IntRange(1, 32), default=AT_ONCE, show_default=True, help="Requests at once, for --url."
)
@click.option("--timeout", type=DURATION, default="15m", show_default=True, help="How long to wait, such as 1h30m.")
@click.option("-o", "--output", type=click.Choice(["text", "json", "junit"]), default="text", show_default=True)
@click.option("--junit", type=click.Path(dir_okay=False), help="Also write JUnit's XML to this file.")
def command(  # noqa: PLR0913 - the options
    subject: str,
    target: Target,
    *,
    url: str | None,
    token_file: Path | None,
    at_once: int,
    timeout: timedelta,
    output: str,
    junit: str | None,
) -> None:
    """Run the checks, print the results, and exit with the status that says how they ended."""
    seconds = timeout.total_seconds()
    try:
        if url is None and token_file:
            raise click.UsageError("--token-file is for --url: the operator sends an object's own token")
        if url is None:
            results = reported(of_object(as_name(None, None, subject), target, seconds))
        else:
            token = given_token(token_file)
            refuse_unencrypted(named_url(url), token)
            results = asyncio.run(_of_file(Path(subject), Model(url, lambda: token), at_once=at_once, seconds=seconds))
    except TimeoutError:
        raise unknown(f"there are no results after {span(seconds)}") from None
    _print(results, subject, Output(output, junit))
    raise click.exceptions.Exit(_STATUS[overall(results)])


class NotKnownError(click.ClickException):
    """Whether the checks pass is not known."""

    exit_code = UNKNOWN


def unknown(message: str) -> NotKnownError:
    """The error with this message, which may be another program's."""
    return NotKnownError(printable(message))


async def _of_file(file: Path, model: Model, *, at_once: int, seconds: float) -> tuple[CheckResult, ...]:
    """Run the checks of a file. Raises TimeoutError."""
    checks = _read(file)
    async with asyncio.timeout(seconds), aiohttp.ClientSession(trust_env=True) as session:
        if error := await invalid(checks):
            raise unknown(f"{file}: {error}")
        runner = Runner(ModelClient(session, time.monotonic, PURPOSE), time.monotonic)
        return await runner.run(checks, model, at_once=at_once)


def _read(file: Path) -> tuple[PreparedCheck, ...]:
    try:
        return prepared_checks(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise unknown(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise unknown(f"{file} is not UTF-8") from error
    except CheckFileError as error:
        raise unknown(f"{file}: {error}") from error
    except CheckUnavailable as error:
        raise unknown(f"{file}: {error}: as a document of the same file") from error
    except CheckInvalid as error:
        raise unknown(f"{file}: {error}") from error


async def of_object(name: str, target: Target, seconds: float) -> tuple[CheckResult, ...]:
    """Have the operator run the checks of an object. Raises TimeoutError."""
    requested, last = utc_now().isoformat(), ""
    async with asyncio.timeout(seconds):
        async with connected(target) as cluster:
            await annotate(cluster, name, CHECK_AT_ANNOTATION, requested)
        async with aclosing(seen(target, name, _note)) as changed:
            async for each in changed:
                if each.raw is None:
                    raise unknown(f"{name} was deleted")
                endpoint = EphemeralEndpoint.model_validate(each.raw)
                if (run := endpoint.status.checks) and run.requested == requested:
                    return tuple(run.results)
                if (message := pending(endpoint)) != last:
                    last = message
                    _note(printable(message))
    raise TimeoutError


def pending(endpoint: EphemeralEndpoint) -> str:
    """What the checks of an object wait for. Raises ClickException where that will not come."""
    name = endpoint.metadata.name
    if not (endpoint.spec.checks or endpoint.spec.has_contract):
        raise unknown(f"{name} has no checks: add spec.checks")
    if is_asleep(endpoint):
        raise unknown(f"{name} is asleep: wake it with `eep wake {name}`; its checks run then")
    ready = judge(endpoint, Goal())
    if ready.outcome is Outcome.FAILED:
        raise unknown(f"{name} is not ready, and its checks are not run: {ready.message}")
    passed = current_conditions(endpoint).get(CHECKS_PASSED)
    if passed and passed.reason in _NEVER_RUN:
        raise unknown(f"the checks of {name} cannot be run: {said(passed)}")
    if ready.outcome is Outcome.PENDING:
        return f"waiting until the endpoint is ready: {ready.message}"
    return "waiting for the operator to run the checks"


def _note(text: str) -> None:
    click.echo(text, err=True)


def _print(results: Sequence[CheckResult], subject: str, output: Output) -> None:
    junit = as_junit(results, subject)
    if output.junit:
        try:
            Path(output.junit).write_text(junit + "\n", encoding="utf-8")
        except OSError as error:
            raise unknown(f"{output.junit} cannot be written: {error.strerror}") from error
    match output.format:
        case "json":
            click.echo(as_json(results))
        case "junit":
            click.echo(junit)
        case _:
            click.echo(as_text(results))
