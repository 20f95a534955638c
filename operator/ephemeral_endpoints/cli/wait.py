"""Wait until an endpoint serves, or never will.

What is waited for is its newest version: a status that is about an older one does not count.

The progress of each stage is a line on stderr; the URL of an endpoint that is ready is printed on stdout. An object
that does not exist yet is awaited, since a GitOps tool may be about to apply it.

Exit status: 0 ready; 1 it failed, is stalled or was deleted; 2 the time is over.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

import click

from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.connection import Cluster, Target, connected, explained, on_cluster, reported
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import name_argument
from ephemeral_endpoints.cli.output import printable, span, styled
from ephemeral_endpoints.cli.parameters import DURATION, REVISION
from ephemeral_endpoints.cli.progress import (
    SUMMARIES,
    Goal,
    Outcome,
    Verdict,
    changes,
    colour_of,
    current_conditions,
    judge,
    said,
)
from ephemeral_endpoints.engine.conditions import ConditionType
from ephemeral_endpoints.kube.errors import Throttled, Unauthenticated, Unavailable
from ephemeral_endpoints.kube.rest import WATCH_SECONDS, Raw

TIMED_OUT: Final = 2
_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a watch has seen of the object; ``raw`` None: it does not exist."""

    raw: Raw | None


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep wait sentiment-pr-42",
        'eep wait sentiment-pr-42 --namespace previews --revision "$GITHUB_SHA" --timeout 30m',
        "eep wait sentiment-pr-42 --for ImageReady",
        "eep wait sentiment-pr-42 --for ChecksPassed",
    ],
)
@name_argument
@on_cluster
@click.option("--timeout", type=DURATION, default="15m", show_default=True, help="How long to wait, such as 1h30m.")
@click.option("--for", "condition", default=ConditionType.READY.value, show_default=True, help="Condition to wait for.")
@click.option("--revision", type=REVISION, help="Commit that has to be served. Default: whichever the object names.")
def command(name: str, target: Target, timeout: timedelta, condition: str, revision: str | None) -> None:
    """Wait, and exit with the status that says how it ended."""
    waiting = Waiting(name, Goal(condition, revision))
    try:
        verdict = reported(waiting.run(target, timeout.total_seconds()))
    except TimeoutError:
        click.echo(styled(f"{name} is not {condition} after {span(timeout.total_seconds())}", "red"), err=True)
        click.echo(printable(waiting.last.message), err=True)
        raise click.exceptions.Exit(TIMED_OUT) from None
    if verdict.outcome is Outcome.FAILED:
        raise click.ClickException(printable(f"{name} is not {condition}: {verdict.message}"))
    click.echo(styled(f"{name} is {condition}", "green"), err=True)
    if waiting.url:
        click.echo(printable(waiting.url))


class Waiting:
    """Follows an object until its goal is reached, or cannot be any more. ``last`` says what is missing."""

    def __init__(self, name: str, goal: Goal) -> None:
        self._name = name
        self._goal = goal
        self._uid: str | None = None
        self._conditions: Mapping[str, Condition] = {}
        self._began = time.monotonic()
        self.last = Verdict(Outcome.PENDING, "the cluster was not reached")
        self.url: str | None = None

    async def run(self, target: Target, seconds: float) -> Verdict:
        """Wait for at most so many seconds. Raises TimeoutError, ConfigException and KubernetesError."""
        async with asyncio.timeout(seconds):
            async with aclosing(seen(target, self._name, self.note)) as changed:
                async for each in changed:
                    verdict = self.take(each)
                    if verdict.outcome is not Outcome.PENDING:
                        return verdict
        raise TimeoutError

    def take(self, seen_: Seen) -> Verdict:
        """Take notice of the object as it is now, and print what has changed."""
        verdict = self._judged(seen_)
        is_told = verdict.message in {said(each) for each in self._conditions.values() if each.type not in SUMMARIES}
        if verdict.outcome is Outcome.PENDING and verdict.message != self.last.message and not is_told:
            self.note(printable(verdict.message))
        self.last = verdict
        return verdict

    def _judged(self, seen_: Seen) -> Verdict:
        if seen_.raw is None:
            if self._uid:
                return Verdict(Outcome.FAILED, "the object was deleted")
            return Verdict(Outcome.PENDING, "the object does not exist yet")
        uid = seen_.raw["metadata"]["uid"]
        if self._uid not in {None, uid}:
            return Verdict(Outcome.FAILED, "the object was deleted, and another one has its name")
        self._uid = uid
        endpoint = EphemeralEndpoint.model_validate(seen_.raw)
        stalled = current_conditions(endpoint).get(ConditionType.STALLED)
        for each in changes(endpoint, self._conditions):
            colour = colour_of(each, is_stalled=stalled is not None and stalled.status == "True")
            self.note(f"{styled(each.type.ljust(15), colour)} {printable(said(each))}")
        self._conditions = current_conditions(endpoint) or self._conditions
        self.url = endpoint.status.url
        return judge(endpoint, self._goal)

    def note(self, text: str) -> None:
        """Print a line for people."""
        click.echo(f"{span(time.monotonic() - self._began).rjust(6)}  {text}", err=True)


async def seen(target: Target, name: str, note: Callable[[str], None]) -> AsyncGenerator[Seen]:
    """The object whenever it has changed, first as it is now.

    Whatever interrupts the watch is survived, and credentials that have expired meanwhile are read again. Raises
    ConfigException, and KubernetesError where the first attempt fails or the cluster refuses the request.
    """
    was_connected = False
    while True:
        try:
            async with connected(target) as cluster:
                async for each in _watched(cluster, name):
                    was_connected = True
                    yield each
        except (Unavailable, Unauthenticated) as error:
            if not was_connected and not isinstance(error, Throttled):
                raise
            was_connected = isinstance(error, Unavailable)
            note(printable(f"{explained(error)} (trying again)"))
        await asyncio.sleep(_PAUSE_SECONDS)


async def _watched(cluster: Cluster, name: str) -> AsyncGenerator[Seen]:
    """The object now and at each change, until the watch ends."""
    folder, selector = ENDPOINT.folder(cluster.namespace), {"fieldSelector": f"metadata.name={name}"}
    listed = await cluster.rest("GET", f"{folder}?{urlencode(selector)}")
    yield Seen(next(iter(listed["items"]), None))
    version = {"resourceVersion": listed["metadata"]["resourceVersion"]}
    query = {**selector, **version, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": WATCH_SECONDS}
    async with aclosing(cluster.rest.events(f"{folder}?{urlencode(query)}", accept="application/json")) as events:
        async for event in events:
            match event["type"]:
                case "ADDED" | "MODIFIED":
                    yield Seen(event["object"])
                case "DELETED":
                    yield Seen(None)
                case "ERROR":
                    return  # the version is too old to watch from
