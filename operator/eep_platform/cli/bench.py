"""Measure the operator, and write the page of the figures."""

from pathlib import Path
from typing import Final

import click

from eep_platform.bench import run
from eep_platform.cli import options
from eep_platform.cli.shell import progress

_MANY: Final = 1000


def _sizes(_context: click.Context, _option: click.Parameter, text: str) -> set[int]:
    try:
        sizes = {int(each) for each in text.split(",")}
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers separated by commas.") from None
    if min(sizes) < 1:
        raise click.BadParameter(f"{text!r} contains a number below 1.")
    return sizes


@click.command(help=__doc__)
@click.option(
    "--sizes",
    callback=_sizes,
    default="1,30,300",
    show_default=True,
    metavar="N,N",
    help="Numbers of objects, separated by commas.",
)
@click.option("--full", is_flag=True, help=f"Measure with {_MANY} objects as well, which takes half an hour more.")
@click.option("--builds", is_flag=True, help="Measure builds of a model instead.")
@click.option("--training", is_flag=True, help="Measure trainings of a model instead.")
@click.option("--pull-requests", is_flag=True, help="Measure pull requests instead.")
@click.option("--forwarder", is_flag=True, help="Measure the forwarder instead.")
@click.option("--reaper", is_flag=True, help="Measure the reaper instead, with the largest number of objects.")
@click.option("--month", is_flag=True, help="Simulate a month instead, and write its own page, docs/month.md.")
@options.model
@options.path("--page", "docs/benchmarks.md", "The page to write.", metavar="FILE")
@options.path("--state", ".local/bench", "The folder of its platforms.")
@options.provider
def command(  # noqa: PLR0913 - one for each option
    sizes: set[int],
    model: Path,
    page: Path,
    state: Path,
    provider: str,
    *,
    full: bool,
    builds: bool,
    training: bool,
    pull_requests: bool,
    forwarder: bool,
    reaper: bool,
    month: bool,
) -> None:
    plan = run.Plan(provider=provider, model=model)
    if builds:
        run.run_builds(state, plan=plan, page=page, say=progress)
    elif training:
        run.run_trainings(state, plan=plan, page=page, say=progress)
    elif pull_requests:
        run.run_pull_requests(state, plan=plan, page=page, say=progress)
    elif forwarder:
        run.run_forwarder(state, plan=plan, page=page, say=progress)
    elif reaper:
        run.run_reaper(state, max(sizes), page=page, say=progress)
    elif month:
        run.run_month(page.with_name("month.md"), say=progress)
    else:
        run.run(state, sorted(sizes | {_MANY} if full else sizes), plan=plan, page=page, say=progress)
