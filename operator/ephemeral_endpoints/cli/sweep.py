"""Delete what expired objects left in an AWS account, without a cluster.

Without --execute, prints a plan and its digest, and changes nothing. With --execute, deletes exactly what the plan of
that digest, or in that file, has and what is still as the plan says. Only resources with the owner tags of the cluster
are deleted; nothing overrides that. Exit status: 0 done, or nothing to do; 1 something failed or could not be read; 2
not understood; 3 the plan has changed; 4 so much at once that the limits refuse it.
"""

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import click

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Role, Sessions
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.errors import wrong_account
from ephemeral_endpoints.aws.limits import Limiter
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.output import printable, table
from ephemeral_endpoints.controllers.orphans.offline import Look, Outcome, execute, look
from ephemeral_endpoints.controllers.orphans.plans import Item, Sight, SweepPlan, planned
from ephemeral_endpoints.controllers.orphans.training_leftover_sweep import GROUP_AGE
from ephemeral_endpoints.engine.errors import AwsError
from ephemeral_endpoints.engine.holders import holder
from ephemeral_endpoints.engine.names import CLUSTER_ID_PATTERN
from ephemeral_endpoints.features.registry import components
from ephemeral_endpoints.features.training.leftovers import LeftGroups, LeftPipelines

FAILED, CHANGED, REFUSED = 1, 3, 4
_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    account: str
    cluster: str
    region: str
    role_arn: str | None
    grace: timedelta
    classes: tuple[str, ...]
    most: int
    most_percent: float
    kind_seconds: float
    timeout: float
    execute: str | None
    unattended: bool
    output: str


def _cluster_id(_: click.Context, __: click.Parameter, value: str) -> str:
    if not CLUSTER_ID_PATTERN.fullmatch(value):
        raise click.BadParameter("a cluster id is 1 to 8 characters of a-z and 0-9: EEP_CLUSTER_ID of the operator")
    return value


def _account(_: click.Context, __: click.Parameter, value: str) -> str:
    if len(value) != len("123456789012") or not value.isdigit():
        raise click.BadParameter("an account is 12 digits")
    return value


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep sweep --account 123456789012 --cluster prod --region eu-central-1",
        "eep sweep --account 123456789012 --cluster prod --region eu-central-1 --execute 0a1b2c3d4e5f60718293a4b5",
    ],
)
@click.option("--account", required=True, callback=_account, help="The account, which the credentials must be of.")
@click.option("--cluster", required=True, callback=_cluster_id, help="The cluster id of the operator.")
@click.option("--region", required=True, help="The region of the class.")
@click.option("--role-arn", help="A role to assume first.")
@click.option("--grace", "grace_hours", type=click.FloatRange(min=0), default=24, show_default=True, metavar="HOURS")
@click.option(
    "--class", "classes", multiple=True, help="A class that does not exist any more: what its objects shared."
)
@click.option("--most", type=click.IntRange(min=1), default=50, show_default=True, help="Objects at once.")
@click.option("--most-percent", type=click.FloatRange(0, 100), default=20, show_default=True, help="Of all objects.")
@click.option("--kind-timeout", "kind_seconds", type=float, default=120, show_default=True, help="Seconds for a kind.")
@click.option("--timeout", type=float, default=900, show_default=True, help="Seconds to wait for AWS to delete.")
@click.option("--execute", metavar="DIGEST|FILE", help="The plan that was shown: its digest, or a file of -o json.")
@click.option("--unattended", is_flag=True, help="Print the plan and execute it in the same run, as a CronJob does.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(grace_hours: float, **given: object) -> None:
    """Plan, and with --execute delete."""
    options = Options(grace=timedelta(hours=grace_hours), **given)  # type: ignore[arg-type]  # click checked them
    if options.execute and options.unattended:
        raise click.UsageError("--execute and --unattended exclude each other")
    shown = _shown(options)
    code = asyncio.run(_sweep(options, shown))
    if code:
        raise click.exceptions.Exit(code)


def _shown(options: Options) -> SweepPlan | None:
    """The plan in the file that is to be executed; None if there is none, or a digest."""
    if not options.execute or not Path(options.execute).is_file():
        return None
    try:
        plan = SweepPlan.parsed(json.loads(Path(options.execute).read_text(encoding="utf-8")))
    except ValueError as error:
        raise click.ClickException(f"{options.execute}: {error}") from error
    if (plan.account, plan.region, plan.cluster_id) != (options.account, options.region, options.cluster):
        raise click.UsageError(
            f"{options.execute} is a plan of {plan.account}, {plan.region}, cluster {plan.cluster_id}"
        )
    return plan


async def _sweep(options: Options, shown: SweepPlan | None) -> int:
    dates: list[str] = []
    sessions = Sessions(connections=_THREADS, note_date=lambda date: dates.append(date or ""))
    pool = ThreadPoolExecutor(_THREADS, "aws")
    try:
        account, now = await _connected(options, sessions, pool, lambda: parsedate_to_datetime(dates[-1]))
        found = await look(account, time.monotonic, options.kind_seconds, is_alive=_lives_on(now - options.grace))
        plan = planned(
            account.scope,
            found.sights,
            now=now,
            grace=options.grace,
            classes=options.classes,
            is_complete=not found.failures,
        )
        return await _carry_out(options, account, found, plan, shown)
    except (AwsError, ValueError, IndexError) as error:
        raise click.ClickException(str(error) or "AWS did not say what time it is") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _lives_on(cutoff: datetime) -> Callable[[Sight], bool]:
    def lives_on(sight: Sight) -> bool:
        named = holder(sight.tags or {})
        return bool(named and named.expires_at and named.expires_at > cutoff)

    return lives_on


async def _connected(
    options: Options, sessions: Sessions, pool: ThreadPoolExecutor, clock: Callable[[], datetime]
) -> tuple[Account, datetime]:
    """The account, and what time it is there by ``clock``, which knows it after a call."""
    clients = sessions.connect(options.region, Role(options.role_arn) if options.role_arn else None)
    calls = Calls(Limiter(time.monotonic), pool, lambda *_: None)
    caller = await calls(clients.sts.get_caller_identity)
    if caller["Account"] != options.account:
        raise wrong_account(caller["Account"], options.account)
    scope = Scope(options.cluster, options.account, options.region)
    now, made = clock(), [*components(clients, scope)]
    if options.classes:
        # Of what trainings leave, only the end of a class tells that it may go.
        before = now - max(options.grace, GROUP_AGE)
        made += [each(clients, scope, before) for each in (LeftPipelines, LeftGroups)]
    return Account(clients, scope, calls, made, clock=time.monotonic, on_change=lambda _: None), now


async def _carry_out(options: Options, account: Account, found: Look, plan: SweepPlan, shown: SweepPlan | None) -> int:
    is_to_execute = bool(options.execute or options.unattended)
    gone: list[Item] = []
    if shown:
        plan, gone = plan.narrowed(shown.items)
    elif options.execute and options.execute != plan.digest:
        _print(options, plan, found)
        click.echo(f"The plan is not {options.execute} any more: look at it, and execute {plan.digest}.", err=True)
        return CHANGED
    if not is_to_execute or options.output == "table":
        _print(options, plan, found)
    if not is_to_execute:
        return FAILED if found.failures else 0
    for each in gone:
        click.echo(f"{each.kind} {printable(each.name)} is not as the plan says any more: left", err=True)
    if why := plan.refusal(options.most, options.most_percent):
        click.echo(f"Nothing is deleted: {why}.", err=True)
        return REFUSED
    outcome = await execute(
        account,
        plan.items,
        clock=time.monotonic,
        seconds=options.timeout,
        say=lambda kind, name: click.echo(f"deleted {kind} {printable(name)}", err=options.output == "json"),
    )
    return _conclude(options, outcome, found, plan)


def _conclude(options: Options, outcome: Outcome, found: Look, plan: SweepPlan) -> int:
    for key, why in outcome.failed.items():
        click.echo(f"{key.kind} {printable(key.name)} is left: {printable(why)}", err=True)
    for key in outcome.waiting:
        click.echo(f"{key.kind} {printable(key.name)} is still being deleted, or in use: sweep again later", err=True)
    if options.output == "json":
        result = {
            **plan.document(),
            "deleted": [{"kind": key.kind.name, "name": key.name} for key in outcome.deleted],
            "failed": [{"kind": key.kind.name, "name": key.name, "why": why} for key, why in outcome.failed.items()],
            "waiting": [{"kind": key.kind.name, "name": key.name} for key in outcome.waiting],
            "unlisted": found.failures,
        }
        click.echo(json.dumps(result, indent=2))
    return FAILED if outcome.failed or outcome.waiting or found.failures else 0


def _print(options: Options, plan: SweepPlan, found: Look) -> None:
    if options.output == "json":
        click.echo(json.dumps({**plan.document(), "unlisted": found.failures}, indent=2))
        return
    rows = [("KIND", "NAME", "NAMESPACE", "OBJECT", "EXPIRED")]
    rows += [(each.kind, each.name, each.namespace, each.object, each.expires_at) for each in plan.items]
    for line in table([[printable(cell) for cell in row] for row in rows]) if plan.items else ():
        click.echo(line)
    for kind, name, why in plan.left:
        click.echo(f"left: {kind} {printable(name)}: {printable(why)}")
    for kind, why in found.failures.items():
        click.echo(f"not listed: {kind}: {printable(why)}")
    click.echo(f"{len(plan.items)} resources of {len(plan.owners)} objects and classes; plan {plan.digest}")


if __name__ == "__main__":
    command()
