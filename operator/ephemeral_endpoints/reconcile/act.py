"""Act: take the planner's steps, everything independent at once, until there is nothing left but waiting."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.aws.account import Account, Identity
from ephemeral_endpoints.core.errors import Problem, Transient
from ephemeral_endpoints.core.plan import Desired, Step, plan
from ephemeral_endpoints.core.resources import Haves, Key

MOST_STEPS_PER_RESOURCE: Final = 6
"""A resource that needs more steps in one go does not settle.

Somebody works against us, or AWS shows something else than it was told.
"""


@dataclass(frozen=True, slots=True)
class View:
    """What the planner sees of one subject."""

    desired: Desired
    own: Haves
    others: Haves


Refusal = Callable[[Step, Desired], Problem | None]
"""Why a step must not be taken now, None if it may, in view of what is wanted."""


def _take_all(_: Step, __: Desired) -> None:
    """Nothing has to wait."""


async def converge(  # noqa: PLR0913 - both ends of every step, and three who have a say in it
    account: Account,
    identity: Identity,
    look: Callable[[], View],
    failed: dict[Key, Problem],
    on_step: Callable[[Step], None],
    *,
    refusal: Refusal = _take_all,
) -> View:
    """Take steps until the planner has none; returns what it saw then.

    ``look`` is called before every decision, so that a change of the object counts at once. ``failed`` holds what
    must not be tried; errors and refusals of this run are added to it. ``on_step`` hears of every step that succeeded.
    """
    running: dict[asyncio.Task[None], Step] = {}
    try:
        return await _until_settled(account, identity, look, failed, on_step, refusal, running)
    finally:
        # Whatever ended this: a step that goes on in the background could make something behind the next run's back.
        await asyncio.gather(*running, return_exceptions=True)


async def _until_settled(  # noqa: PLR0913, PLR0917 - see converge
    account: Account,
    identity: Identity,
    look: Callable[[], View],
    failed: dict[Key, Problem],
    on_step: Callable[[Step], None],
    refusal: Refusal,
    running: dict[asyncio.Task[None], Step],
) -> View:
    taken: Counter[Key] = Counter()
    while True:
        view = look()
        occupied = {step.key for step in running.values()} | failed.keys()
        for step in plan(view.desired, view.own, view.others):
            if step.key in occupied:
                continue
            if taken[step.key] >= MOST_STEPS_PER_RESOURCE:
                failed[step.key] = Transient(
                    "does not settle: something else changes it again and again", operation=str(step.key)
                )
                continue
            if problem := refusal(step, view.desired):
                failed[step.key] = problem
                continue
            taken[step.key] += 1
            running[asyncio.create_task(account.take(step, identity))] = step
        if not running:
            return view
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            _conclude(task, running.pop(task), failed, on_step)


def _conclude(
    task: asyncio.Task[None], step: Step, failed: dict[Key, Problem], on_step: Callable[[Step], None]
) -> None:
    try:
        task.result()
    except Problem as error:
        failed[step.key] = error
    else:
        on_step(step)
