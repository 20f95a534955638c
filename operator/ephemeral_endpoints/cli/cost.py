"""Show what endpoints cost: an hour, in their lives, and this month, and what their ends and sleep save.

With a NAME, the parts of its cost with their formulas and the sources of their prices; with --usage
also what is charged beside them this month: by use, as CloudWatch has counted it, for logs, alarms and
what is stored. Everything is the operator's own arithmetic, in USD: AWS's bill may differ by discounts,
and by what is not counted.
What has ended this month counts where its class has a budget by the month.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import click

from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.serving import Serverless
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import as_name, names, read
from ephemeral_endpoints.cli.output import no_formula, printable, table, utc_now
from ephemeral_endpoints.features.capacity.accrual import accrued, is_incomplete, month_start
from ephemeral_endpoints.features.capacity.always_on import always_on, asked_cost, hours
from ephemeral_endpoints.features.capacity.bill import By, Grouping, Line, alternatives, lines, saved, total, uncounted
from ephemeral_endpoints.features.capacity.cost import amount, usd
from ephemeral_endpoints.features.capacity.prices import SERVERLESS, Price, of_class, regions
from ephemeral_endpoints.features.capacity.spending import Spent, of_month
from ephemeral_endpoints.features.capacity.usage import Use, measures, used
from ephemeral_endpoints.features.routing.forwarder.bundle import MEMORY_MB
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.client import listed
from ephemeral_endpoints.kube.errors import Denied

FIELDS: Final = (
    "name",
    "objects",
    "hourlyUSD",
    "accruedUSD",
    "monthUSD",
    "alwaysOnUSD",
    "savedUSD",
    "complete",
)
TITLES: Final = ("OBJECTS", "USD/H", "SO FAR", "THIS MONTH", "ALWAYS ON", "SAVED")
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Bill:
    """What is shown: the lines, by what they sum up, and what is not in them, in words."""

    lines: Sequence[Line]
    by: str
    month: str
    missing: Sequence[str] = ()


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep cost sentiment-pr-42",
        "eep cost sentiment-pr-42 --usage",
        "eep cost --all-namespaces --by repository",
        "eep cost --all-namespaces --by owner --output json",
        "eep cost --by-tag Team --output csv",
    ],
)
@click.argument("name", required=False, shell_complete=names)
@on_cluster
@click.option("-A", "--all-namespaces", is_flag=True, help="The endpoints of all namespaces.")
@click.option(
    "--by",
    type=click.Choice([each.value for each in Grouping]),
    help=f"Sum up by this.  [default: {Grouping.OBJECT.value}]",
)
@click.option("--by-tag", metavar="KEY", help="Sum up by the value of this tag in spec.tags, such as an owner.")
@click.option(
    "--usage",
    is_flag=True,
    help="With a NAME: read what AWS has counted and keeps, with the AWS credentials of this shell, which need "
    "cloudwatch:GetMetricData, and for what is stored logs:DescribeLogGroups, ecr:BatchGetImage, "
    "sagemaker:DescribeModelPackage and s3:GetObject. AWS charges about $0.01 for 1,000 metrics; these are a handful.",
)
@click.option("-o", "--output", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def command(  # noqa: PLR0913 - the options of the command
    name: str | None,
    target: Target,
    by: str | None,
    by_tag: str | None,
    output: str,
    *,
    all_namespaces: bool,
    usage: bool,
) -> None:
    """Read the objects, and the class of a single one. Changes nothing."""
    if by and by_tag is not None:
        raise click.UsageError("--by and --by-tag exclude each other")
    now = utc_now()
    if name:
        # Dropped in silence, they would have a program read text for JSON.
        if all_namespaces or by or by_tag is not None or output != "table":
            raise click.UsageError("with a NAME there are no sums: leave out -A, --by, --by-tag and --output")
        subject = run(target, lambda cluster: _subject(cluster, as_name(None, None, name)))
        uses, unread = _uses(subject, now) if usage else (None, ())
        click.echo("\n".join(map(printable, explained(subject, now, uses))))
        for why in unread:
            click.echo(f"not read: {printable(why)}", err=True)
        return
    if usage:
        raise click.UsageError("--usage needs a NAME: what CloudWatch has counted is read for one object")
    sums = By(Grouping(by or Grouping.OBJECT), by_tag)
    found = run(target, lambda cluster: _bill(cluster, sums, now, all_namespaces=all_namespaces))
    if output == "table" and not found.lines:
        click.echo("There are no endpoints.", err=True)
    else:
        click.echo(_FORMATS[output](found), nl=False)


async def _bill(cluster: Cluster, by: By, now: datetime, *, all_namespaces: bool) -> Bill:
    namespace = None if all_namespaces else cluster.namespace
    found = [EphemeralEndpoint.model_validate(each) async for each in listed(cluster.rest, ENDPOINT.folder(namespace))]
    try:
        classes = [
            EphemeralEndpointClass.model_validate(each) async for each in listed(cluster.rest, ENDPOINT_CLASS.folder())
        ]
        missing = _missing(uncounted(classes))
    except Denied:
        classes, missing = [], ["what ended this month, and what is saved: you may not list the classes"]
    summed = lines(found, classes, by, now, namespace=namespace)
    return Bill(summed, by.tag or by.grouping.value, f"{now:%Y-%m}", missing)


def _missing(names_of_classes: Sequence[str]) -> list[str]:
    if not names_of_classes:
        return []
    more = " and others" if len(names_of_classes) > _MOST_NAMED else ""
    named = ", ".join(names_of_classes[:_MOST_NAMED]) + more
    return [f"what ended this month in classes without a budget by the month: {named}"]


async def _subject(cluster: Cluster, name: str) -> Subject:
    _, endpoint = await read(cluster, name)
    if endpoint.spec.class_name is None:
        raise click.ClickException(f"{name} has no class yet: the operator has not seen it")
    raw = await cluster.rest("GET", f"{ENDPOINT_CLASS.folder()}/{endpoint.spec.class_name}")
    return Subject("", endpoint, EphemeralEndpointClass.model_validate(raw))


def _uses(subject: Subject, now: datetime) -> tuple[Sequence[Use], Sequence[str]]:
    """What was used in the month, and what of it could not be read. Raises ClickException."""
    from ephemeral_endpoints.cli.usage import UsageUnavailable, counts  # noqa: PLC0415 - boto3

    spec, found = subject.endpoint_class.spec, measures(subject, MEMORY_MB, now)
    start = max(month_start(now), subject.created_at)
    try:
        counted = counts(
            (each.source for each in found), region=spec.region, account=spec.account, start=start, end=now
        )
    except UsageUnavailable as error:
        raise click.ClickException(printable(str(error))) from error
    return used(found, counted.by_source, of_class(subject.endpoint_class)), counted.unread


def as_table(bill: Bill) -> str:
    """For people. A sum that is not complete begins with >=."""
    rows: list[Sequence[str]] = [(bill.by.upper(), *TITLES)]
    everything = total(bill.lines)
    for each in (*bill.lines, everything):
        amounts = (f"{'' if value.is_complete else '>='}{amount(value.usd)}" for value in _amounts(each))
        rows.append((printable(each.name) or "-", str(each.objects), *amounts))
    month, always, rest = (amount(each.usd) for each in (everything.month, everything.always_on, everything.saved))
    notes = [
        f"saved in {bill.month}: ${always} always on - ${month} this month = ${rest}",
        "always on = USD/h that an object asks for x the hours of this month since its creation, running or not",
        *(f"not counted: {each}" for each in bill.missing),
    ]
    if not everything.is_complete:
        notes.append(">= not everything is known: see `eep cost NAME`")
    return "\n".join([*table(rows), "", *map(printable, notes), ""])


def as_csv(bill: Bill) -> str:
    """RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(FIELDS)
    writer.writerows((no_formula(each.name), *_fields(each)[1:]) for each in bill.lines)
    return buffer.getvalue()


def as_json(bill: Bill) -> str:
    """For programs; amounts are strings, as in statuses."""
    rows = [dict(zip(FIELDS, _fields(each), strict=True)) for each in (*bill.lines, total(bill.lines))]
    document = {
        "by": bill.by,
        "month": bill.month,
        "lines": rows[:-1],
        "total": rows[-1],
        "notCounted": [*bill.missing],
    }
    return json.dumps(document, indent=2) + "\n"


_FORMATS: Final = {"table": as_table, "csv": as_csv, "json": as_json}


def _amounts(line: Line) -> tuple[Spent, ...]:
    return line.hourly, line.accrued, line.month, line.always_on, line.saved


def _fields(line: Line) -> tuple[str | int | bool, ...]:
    return line.name, line.objects, *(amount(each.usd) for each in _amounts(line)), line.is_complete


def explained(subject: Subject, now: datetime, uses: Sequence[Use] | None = None) -> Iterator[str]:
    """The cost of one object, line by line, with the arithmetic and the sources; and what it used, if that was read."""
    endpoint, region = subject.endpoint, subject.endpoint_class.spec.region
    asked, cost = asked_cost(subject), endpoint.status.cost
    yield f"{endpoint.metadata.namespace}/{endpoint.metadata.name}, class {endpoint.spec.class_name}, region {region}"
    yield ""
    rows: list[Sequence[str]] = [("CAPACITY", "FORMULA", "USD/H", "PRICE OF", "SOURCE")]
    for part in asked.parts:
        price = part.price
        rows.append((part.words, part.formula, amount(part.usd) if price else "unknown", *_of_when(price)))
    yield from table(rows) if asked.parts else ("It has no capacity that is charged by the hour.",)
    yield ""
    if asked.unpriced:
        missing = " and ".join(asked.unpriced)
        yield f"No price of {missing} is known in {region}: set it in spec.prices of the class."
        yield f"The table has prices of {', '.join(regions())}."
    if asked.is_bound:
        yield "It may cost less: another of its instance types may run."
    yield from _by_use(subject) if uses is None else _counted(uses, now)
    hourly = usd(cost.hourly_usd) if cost else None
    yield f"now: {f'${amount(hourly)} an hour' if hourly is not None else 'unknown'}"
    so_far = accrued(cost, now)
    if cost and cost.since and so_far is not None:
        mark = "at least " if is_incomplete(cost) else ""
        rate = cost.hourly_usd or "unknown"
        terms = f"${cost.accrued_usd} until {cost.since:%Y-%m-%d %H:%M} UTC + {rate} x the hours since"
        yield f"so far: {mark}${amount(so_far)} = {terms}"
    else:
        yield "so far: unknown"
    yield from _this_month(subject, now)
    for each in alternatives(subject):
        yield f"cheaper if the model fits: {each.words} ({each.arithmetic})"


def _of_when(price: Price | None) -> tuple[str, str]:
    """The date and the source of a price, for a table."""
    return (price.date or "-", price.source) if price else ("-", "-")


def _counted(uses: Sequence[Use], now: datetime) -> Iterator[str]:
    """What was used in the month, with the arithmetic; it is in none of the other sums."""
    if not uses:
        yield "beside that this month: nothing, because the operator has made nothing of it yet"
        return
    rows: list[Sequence[str]] = [(f"BESIDE THAT IN {now:%Y-%m}", "FORMULA", "USD", "PRICE OF", "SOURCE")]
    for each in uses:
        usd = "unknown" if each.usd is None else amount(each.usd)
        rows.append((each.measure.words, each.formula, usd, *_of_when(each.price)))
    yield from table(rows)
    known = sum((each.usd for each in uses if each.usd is not None), Decimal(0))
    least = "" if all(each.usd is not None for each in uses) else "at least "
    yield f"beside that this month: {least}${amount(known)}; not counted: builds, captured data, data in and out"
    yield "CloudWatch counts requests and logs some minutes late."
    yield ""


def _this_month(subject: Subject, now: datetime) -> Iterator[str]:
    """What it has cost in the month, and what it has saved, with the arithmetic."""
    month, always = of_month(subject.endpoint, now), always_on(subject, now)
    saving = saved(month, always, now)
    least = "" if month.is_complete else "at least "
    yield f"this month: {least}${amount(month.usd)}"
    if always is None or not saving.is_complete:
        yield "saved this month: unknown"
    elif month.usd:
        since = max(month_start(now), subject.created_at)
        yield (
            f"saved this month: ${amount(saving.usd)} = {always.hourly.normalize():f} x {amount(hours(since, now))} h "
            f"since {since:%Y-%m-%d %H:%M} UTC, if it was always on, - {amount(month.usd)}"
        )


def _by_use(subject: Subject) -> Iterator[str]:
    """What is charged by use, and is in none of the sums."""
    serving = subject.endpoint.spec.serving
    price = of_class(subject.endpoint_class).get(SERVERLESS)
    if serving.instances is None:
        memory = Decimal((serving.serverless or Serverless()).memory_size_mb) / 1024
        yield "by use: serverless seconds, " + (
            f"each {memory.normalize():f} x {price} ({price.date}, {price.source})" if price else "at an unknown price"
        )
    builds = subject.endpoint_class.spec.builds
    if subject.endpoint.spec.model.built and builds and builds.code_build:
        yield f"by use: minutes of builds, each ${builds.code_build.price_per_minute} (spec.builds of the class)"
    yield "beside that, as `eep cost NAME --usage` counts it: API Gateway, Lambda, logs, alarms, and what is stored"
