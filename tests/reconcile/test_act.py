import asyncio
from typing import cast

import pytest
from tests.core.objects import resolved, subject

from ephemeral_endpoints.aws.account import Account, Identity
from ephemeral_endpoints.core.desired import NOTHING, desired
from ephemeral_endpoints.core.errors import Contested, Denied, Problem, Transient
from ephemeral_endpoints.core.plan import Create, Desired, Step
from ephemeral_endpoints.core.resources import Have, Key, Kind, Phase
from ephemeral_endpoints.reconcile.act import MOST_STEPS_PER_RESOURCE, View, converge

WANTED = desired(subject(), resolved())
API = resolved().api
OTHERS = {API: Have(API, Phase.READY)}
ME = Identity("owner", "uid")


class Steps:
    """An account that keeps what is made, and fails as told: no real one can be told to fail with a defect of ours."""

    def __init__(self, failures: dict[Kind, Exception] | None = None) -> None:
        self.haves: dict[Key, Have] = {}
        self.taken: list[Key] = []
        self.under_way = 0
        self.go_on = asyncio.Event()
        self._failures = failures or {}

    async def take(self, step: Step, identity: Identity) -> None:
        assert identity == ME
        self.taken.append(step.key)
        if failure := self._failures.get(step.key.kind):
            raise failure
        self.under_way += 1
        await self.go_on.wait()
        self.under_way -= 1
        if isinstance(step, Create):
            self.haves[step.key] = Have(step.key, Phase.READY, step.want.spec)

    def view(self) -> View:
        return View(WANTED, dict(self.haves), OTHERS)


async def run(steps: Steps, failed: dict[Key, Problem] | None = None) -> list[Step]:
    done: list[Step] = []
    await converge(cast("Account", steps), ME, steps.view, {} if failed is None else failed, done.append)
    return done


async def test_everything_wanted_is_made_and_each_thing_once() -> None:
    steps = Steps()
    steps.go_on.set()
    done = await run(steps)
    assert sorted(steps.taken) == sorted(want.key for want in WANTED.wants) == sorted(step.key for step in done)


async def test_what_is_independent_goes_at_once() -> None:
    steps = Steps()
    running = asyncio.create_task(run(steps))
    while steps.under_way < 5:
        await asyncio.sleep(0)
    assert {key.kind for key in steps.taken} == {Kind.LOG_GROUP, Kind.ALARM, Kind.MODEL}
    steps.go_on.set()
    await running


async def test_what_failed_is_not_tried_again_and_holds_up_only_what_needs_it() -> None:
    steps = Steps({Kind.MODEL: Denied("no")})
    steps.go_on.set()
    failed: dict[Key, Problem] = {}
    await run(steps, failed)
    assert [key.kind for key in failed] == [Kind.MODEL]
    missing = {want.key.kind for want in WANTED.wants} - {key.kind for key in steps.haves}
    assert missing == {Kind.MODEL, Kind.ENDPOINT_CONFIG, Kind.ENDPOINT}


async def test_a_thing_that_never_gets_as_it_should_be_is_given_up_for_now() -> None:
    steps = Steps()
    steps.go_on.set()
    alarm = next(want for want in WANTED.wants if want.key.kind is Kind.ALARM)
    bent = Have(alarm.key, Phase.READY, None)
    failed: dict[Key, Problem] = {}

    def look() -> View:
        return View(WANTED, {**steps.haves, alarm.key: bent}, OTHERS)

    await converge(cast("Account", steps), ME, look, failed, lambda _: None)
    assert steps.taken.count(alarm.key) == MOST_STEPS_PER_RESOURCE
    assert isinstance(failed[alarm.key], Transient)


async def test_a_change_of_mind_counts_before_the_next_step() -> None:
    steps = Steps()
    steps.go_on.set()
    looks = iter([steps.view()])

    await converge(cast("Account", steps), ME, lambda: next(looks, View(NOTHING, {}, {})), {}, lambda _: None)
    assert {key.kind for key in steps.taken} == {Kind.LOG_GROUP, Kind.ALARM, Kind.MODEL}


async def test_nothing_goes_on_in_the_background_when_a_step_fails_unexpectedly() -> None:
    steps = Steps({Kind.ALARM: KeyError("a defect")})
    running = asyncio.create_task(run(steps))
    while steps.under_way < 3:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not running.done(), "the other steps have not ended"
    steps.go_on.set()
    with pytest.raises(KeyError, match="a defect"):
        await running
    assert steps.under_way == 0


async def test_what_has_to_wait_is_not_taken_and_told_of_with_what_failed() -> None:
    steps = Steps()
    steps.go_on.set()
    failed: dict[Key, Problem] = {}
    judged: list[Key] = []

    def refusal(step: Step, wanted: Desired) -> Problem | None:
        assert wanted == WANTED
        judged.append(step.key)
        return Contested("pauses") if step.key.kind is Kind.ALARM else None

    view = await converge(cast("Account", steps), ME, steps.view, failed, lambda _: None, refusal=refusal)
    assert {key.kind for key in failed} == {Kind.ALARM}
    assert not {Kind.ALARM} & {key.kind for key in steps.taken}
    assert len(judged) == len(set(judged)), "nobody is asked twice"
    assert view == steps.view(), "what is there in the end"
