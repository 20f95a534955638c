"""Executes the planner's steps in an account, all independent ones at once, until only waiting is left."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.engine.errors import ReconcileError, Transient
from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Step, Update, View, plan
from ephemeral_endpoints.engine.resources import Key

MAX_STEPS_PER_RESOURCE: Final = 6
"""A resource that needs more steps in one go does not settle: another actor changes it, or AWS shows something else."""


Refusal = Callable[[Step, DesiredState], ReconcileError | None]
"""Why a step must not be taken now, None if it may, given the desired state."""


def _take_all(_: Step, __: DesiredState) -> None:
    """Nothing has to wait."""


async def converge(  # noqa: PLR0913 - both ends of every step, and three callbacks
    account: Account,
    owner: Owner,
    observe: Callable[[], View],
    failed: dict[Key, ReconcileError],
    on_step: Callable[[Step], None],
    *,
    refusal: Refusal = _take_all,
) -> View:
    """Take steps until the planner has none; returns the last view.

    ``observe`` is called before every decision, so that a change of the object counts at once. ``failed`` holds keys
    not to be tried; errors and refusals of this run are added to it. ``on_step`` receives every step that succeeded.
    """
    running: dict[asyncio.Task[None], Step] = {}
    try:
        return await _until_settled(account, owner, observe, failed, on_step, refusal, running)
    finally:
        # Even after an error: a step that continued in the background could change resources unseen by the next run.
        await asyncio.gather(*running, return_exceptions=True)


async def _until_settled(  # noqa: PLR0913, PLR0917 - see converge
    account: Account,
    owner: Owner,
    observe: Callable[[], View],
    failed: dict[Key, ReconcileError],
    on_step: Callable[[Step], None],
    refusal: Refusal,
    running: dict[asyncio.Task[None], Step],
) -> View:
    taken: Counter[Key] = Counter()
    unconfirmed: dict[Key, frozenset[Key]] = {}
    while True:
        view = observe()
        occupied = {step.key for step in running.values()} | failed.keys()
        needed = frozenset[Key]().union(*unconfirmed.values())
        for step in plan(view.desired, view.own, view.others):
            if step.key in occupied or (isinstance(step, Delete) and step.key in needed):
                continue
            if taken[step.key] >= MAX_STEPS_PER_RESOURCE:
                failed[step.key] = unsettled(step.key)
                continue
            if problem := refusal(step, view.desired):
                failed[step.key] = problem
                continue
            taken[step.key] += 1
            unconfirmed[step.key] = _needs(step)
            running[asyncio.create_task(account.execute(step, owner))] = step
        if not running:
            return view
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            step = running.pop(task)
            _conclude(task, step, failed, on_step)
            if step.key not in failed:
                del unconfirmed[step.key]


def _needs(step: Step) -> frozenset[Key]:
    """The resources that the step may use already although no observation shows it before AWS has answered.

    What an endpoint needs must not be deleted while it is being created or updated:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteEndpointConfig.html.
    """
    return step.resource.needs if isinstance(step, Create | Update) else frozenset()


def _conclude(
    task: asyncio.Task[None], step: Step, failed: dict[Key, ReconcileError], on_step: Callable[[Step], None]
) -> None:
    try:
        task.result()
    except ReconcileError as error:
        failed[step.key] = error
    else:
        on_step(step)


def unsettled(key: Key) -> Transient:
    """A resource took as many steps as are taken at once, and is still not as desired."""
    return Transient(
        "something else keeps changing the resource: find the caller in CloudTrail; the operator tries again",
        operation=str(key),
    )
