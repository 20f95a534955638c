"""The sweep without a cluster: looks at an account, makes a plan, and executes it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.converge import converge
from ephemeral_endpoints.aws.tag_index import TagIndex
from ephemeral_endpoints.controllers.orphans.plans import Item, Sight
from ephemeral_endpoints.controllers.orphans.policy import likely_users
from ephemeral_endpoints.engine.errors import AwsError, NotFound, ReconcileError
from ephemeral_endpoints.engine.plan import DesiredState, Step, View
from ephemeral_endpoints.engine.resources import IN_FLIGHT, Key, ObservedResource, ResourceKind

T = TypeVar("T")

_LOOK_SECONDS: Final = 2.0
_UNREAD: Final = "its tags cannot be read"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, and the kinds that could not be listed, with the reason."""

    sights: dict[Key, Sight]
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What the execution of a plan came to."""

    deleted: list[Key] = field(default_factory=list)
    failed: dict[Key, str] = field(default_factory=dict)
    waiting: list[Key] = field(default_factory=list)


async def look(
    account: Account, clock: Callable[[], float], kind_seconds: float, *, is_alive: Callable[[Sight], bool]
) -> Look:
    """See everything with our prefix, with its tags. A kind that takes longer than ``kind_seconds`` is given up.

    With it go those that it refers to, whose users are not known then.

    The index of tags spares reading those of objects that live on: ``is_alive`` tells by what it shows. What is about
    to be deleted is read from its own service.
    """
    failures: dict[str, str] = {}

    async def listed(kinds: Sequence[ResourceKind]) -> None:
        for kind in kinds:
            if problem := await _within(kind_seconds, account.refresh([kind], since=clock())):
                failures.update((each.name, problem) for each in kinds)
                return

    chains: dict[ResourceKind, list[ResourceKind]] = {}
    for kind in account.kinds:
        chains.setdefault(kind.lineage[0], []).append(kind)
    await asyncio.gather(*(listed(chain) for chain in chains.values()))
    seen = [each for key, each in account.inventory.all.items() if key.kind.name not in failures]
    indexed = await TagIndex(account.clients.tagging, clock).tags(
        account.calls, [each.arn for each in seen if each.key.kind.taggable]
    )
    sights: dict[Key, Sight] = {}
    unread: list[ObservedResource] = []
    for each in seen:
        shown = Sight(each, indexed.get(each.arn))
        if not each.key.kind.taggable or (shown.tags and is_alive(shown)):
            sights[each.key] = shown
        else:
            unread.append(each)
    for kind in {each.key.kind for each in unread}:
        await _read(account, [each for each in unread if each.key.kind is kind], kind_seconds, sights)
    return Look(sights, failures)


async def _read(
    account: Account, resources: Iterable[ObservedResource], seconds: float, sights: dict[Key, Sight]
) -> None:
    async def read(observed: ObservedResource) -> None:
        try:
            sights[observed.key] = Sight(observed, await account.tags(observed, ORPHANS) or {})
        except NotFound:
            return
        except AwsError as error:
            sights[observed.key] = Sight(observed, None, f"{_UNREAD}: {error}")

    listed = list(resources)
    if problem := await _within(seconds, asyncio.gather(*(read(each) for each in listed))):
        for each in listed:
            sights.setdefault(each.key, Sight(each, None, f"{_UNREAD}: {problem}"))


async def _within(seconds: float, work: Awaitable[object]) -> str:
    """Do the work within the time; returns why it failed, empty if it did not."""
    try:
        await asyncio.wait_for(asyncio.ensure_future(work), seconds)
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except AwsError as error:
        return str(error)
    return ""


async def execute(  # noqa: PLR0913 - clocks, and a callback
    account: Account,
    items: Iterable[Item],
    *,
    clock: Callable[[], float],
    seconds: float,
    say: Callable[[str, str], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Outcome:
    """Delete these items in the planner's order, and wait for AWS to have done so, for ``seconds`` at most.

    The tags of each are read once more right before its deletion. ``say`` is told of each deletion.
    """
    wanted = {(each.kind, each.name, each.id): each for each in items}
    outcome = Outcome()
    deadline = clock() + seconds
    while True:
        failed: dict[Key, ReconcileError] = {}

        def own() -> dict[Key, ObservedResource]:
            there = account.inventory.all.items()
            return {key: each for key, each in there if (key.kind.name, key.name, each.id) in wanted}

        def observe() -> View:
            mine = own()
            users = {**account.inventory.users_of(mine), **likely_users(mine, account.inventory.all)}
            return View(DesiredState.absent(), mine, users)

        def deleted(step: Step) -> None:
            outcome.deleted.append(step.key)
            say(step.key.kind.name, step.key.name)

        await converge(account, ORPHANS, observe, failed, deleted)
        outcome.failed = {key: str(problem) for key, problem in failed.items()}
        outcome.waiting = [key for key in own() if key not in failed]
        is_moving = any(each.phase in IN_FLIGHT for each in own().values())
        if not outcome.waiting or not is_moving or clock() >= deadline:
            return outcome
        await sleep(_LOOK_SECONDS)
        kinds = {key.kind for key, each in own().items() if each.phase in IN_FLIGHT}
        try:
            await account.refresh(kinds, since=clock())
        except AwsError as error:
            outcome.failed |= dict.fromkeys(outcome.waiting, str(error))
            return outcome
