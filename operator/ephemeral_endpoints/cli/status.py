"""Show how far an endpoint is, and what is in its way.

A tree of its stages with their conditions, the results of its checks, its AWS resources, its last Events and, with AWS
credentials that may read them, the last lines of its logs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import click

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_status import Cost
from ephemeral_endpoints.cli.check_output import rows as check_rows
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument, read
from ephemeral_endpoints.cli.output import (
    BAD,
    GOOD,
    WAITING,
    age,
    printable,
    span,
    stage_colour,
    styled,
    table,
    utc_now,
)
from ephemeral_endpoints.cli.progress import SUMMARIES, colour_of
from ephemeral_endpoints.engine.conditions import ConditionType
from ephemeral_endpoints.features.capacity.accrual import accrued
from ephemeral_endpoints.features.capacity.cost import amount
from ephemeral_endpoints.kube.errors import KubernetesError
from ephemeral_endpoints.kube.rest import Raw

_EVENTS: Final = 5
_LOG_LINES: Final = 5


@dataclass(frozen=True, slots=True)
class Event:
    """An Event about the object."""

    at: datetime | None
    type: str
    reason: str
    message: str


@click.command(
    help=__doc__, cls=Command, examples=["eep status sentiment-pr-42", "eep status sentiment-pr-42 --logs 0"]
)
@name_argument
@on_cluster
@click.option(
    "--logs", "log_lines", type=click.IntRange(0, 100), default=_LOG_LINES, show_default=True, help="Lines of each log."
)
def command(name: str, target: Target, log_lines: int) -> None:
    """Read the object, its Events and its logs. Changes nothing."""

    async def found(cluster: Cluster) -> tuple[EphemeralEndpoint, list[Event]]:
        raw, endpoint = await read(cluster, name)
        return endpoint, await _events(cluster, raw)

    endpoint, events = run(target, found)
    click.echo("\n".join(rendered(endpoint, events, utc_now())))
    if log_lines and endpoint.status.resources:
        click.echo("\n".join(_last_lines(endpoint, log_lines)))


def rendered(endpoint: EphemeralEndpoint, events: Sequence[Event], now: datetime) -> list[str]:
    """The lines about an object."""
    return [
        *_head(endpoint, now),
        "",
        *_stages(endpoint, now),
        *_section("Checks", check_rows(endpoint.status.checks)),
        *_section("AWS resources", [[each.kind, each.name, each.arn or ""] for each in endpoint.status.resources]),
        *_section("Events", [[age(each.at, now), each.type, each.reason, each.message] for each in events]),
    ]


def _head(endpoint: EphemeralEndpoint, now: datetime) -> Iterator[str]:
    metadata, spec, status = endpoint.metadata, endpoint.spec, endpoint.status
    seen = status.observed_generation == metadata.generation
    pull_request = f", pull request {spec.source.pull_request}" if spec.source.pull_request else ""
    pinned = ", pinned" if status.pinned else ""
    expires = status.expires_at and f"{status.expires_at:%Y-%m-%d %H:%M} UTC ({_until(status.expires_at, now)}{pinned})"
    facts = {
        "Namespace": metadata.namespace or "",
        "Class": spec.class_name or "",
        "Source": f"{spec.source.repository}{pull_request}",
        "Revision": _revision(endpoint.revision, status.revision),
        "Image": status.image.digest if status.image else "",
        "Serving": status.serving or "",
        "URL": status.url or "",
        "Expires": expires,
        "Cost": _cost(status.cost, now),
        "Note": "" if seen else "the operator has not seen the newest version of the object yet",
    }
    yield from table([[name, printable(value)] for name, value in {"Name": metadata.name, **facts}.items() if value])


def _cost(cost: Cost | None, now: datetime) -> str:
    if cost is None or cost.hourly_usd is None:
        return ""
    total = accrued(cost, now)
    return f"{cost.hourly_usd} USD an hour" + (f", {amount(total)} USD so far" if total else "")


def _revision(asked: str, served: str | None) -> str:
    if served in {None, asked}:
        return asked if served else f"{asked} (not served yet)"
    return f"{asked} (not served yet; the URL serves {served})"


def _until(moment: datetime, now: datetime) -> str:
    left = (moment - now).total_seconds()
    return f"in {span(left)}" if left >= 0 else f"{span(-left)} ago"


def _stages(endpoint: EphemeralEndpoint, now: datetime) -> Iterator[str]:
    """The tree: Ready, and below it the stages in their order, and what makes the operator give up."""
    conditions = {each.type: each for each in endpoint.status.conditions}
    stalled = conditions.get(ConditionType.STALLED)
    is_stalled = stalled is not None and stalled.status == "True"
    ready = conditions.get(ConditionType.READY)
    if ready is None:
        yield styled("no conditions yet: is the operator running? `eep doctor` tells", WAITING)
        return
    yield _line("", ready, now, colour=stage_colour(ready.status, is_stalled=is_stalled))
    stages = [each for each in conditions.values() if each.type not in SUMMARIES]
    for each in stages:
        last = each is stages[-1] and not is_stalled
        yield _line("└─ " if last else "├─ ", each, now, colour=colour_of(each, is_stalled=is_stalled))
    if stalled and is_stalled:
        yield _line("└─ ", stalled, now, colour=BAD)


def _line(branch: str, condition: Condition, now: datetime, *, colour: str) -> str:
    mark = {GOOD: "✓", BAD: "✗"}.get(colour, "…")
    # One width for the root and its branches, so that the columns stand below each other.
    name = f"{branch}{mark} {condition.type}".ljust(20)
    about = f"{condition.status.ljust(7)} {age(condition.last_transition_time, now).rjust(5)}"
    return f"{styled(name, colour)} {about}  {condition.reason}: {printable(condition.message)}"


def _section(title: str, rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    lines = table([[printable(cell) for cell in row] for row in rows])
    return ["", title, *(f"  {line}" for line in lines)]


async def _events(cluster: Cluster, raw: Raw) -> list[Event]:
    """The last Events, the oldest first; none where they may not be read."""
    selector = urlencode({"fieldSelector": f"involvedObject.uid={raw['metadata']['uid']}"})
    try:
        found = await cluster.rest("GET", f"/api/v1/namespaces/{cluster.namespace}/events?{selector}")
    except KubernetesError:
        return []
    return last_events(found["items"])


def last_events(items: Iterable[Raw]) -> list[Event]:
    """The last ones, the oldest of them first."""
    made = [
        Event(_moment(_time(each)), each.get("type", ""), each.get("reason", ""), each.get("message", ""))
        for each in sorted(items, key=_time)
    ]
    return made[-_EVENTS:]


def _time(event: Raw) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _last_lines(endpoint: EphemeralEndpoint, count: int) -> Iterator[str]:
    from ephemeral_endpoints.cli.log_groups import LogsUnavailable, groups_of, last_lines  # noqa: PLC0415 - boto3

    for group in groups_of(endpoint):
        yield f"\nLogs of the {group.source}, {group.name}"
        try:
            lines = last_lines(group, count)
        except LogsUnavailable as error:
            yield f"  not available: {printable(str(error))}"
            return
        yield from (f"  {line}" for line in lines or ["no lines yet"])
