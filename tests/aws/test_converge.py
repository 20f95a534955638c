import asyncio
from typing import cast

import pytest
from tests.engine.objects import resolved, subject

from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.aws.converge import MAX_STEPS_PER_RESOURCE, converge
from ephemeral_endpoints.engine.errors import Contested, Denied, ReconcileError, Transient
from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Step, View
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase, ResourceKind
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG, MODEL

WANTED = desired(subject(), resolved())
API = resolved().api
OTHERS = {API: ObservedResource(API, Phase.READY)}
ME = Owner("owner", "uid")


class Steps:
    """An account that keeps what is made, and fails as configured: no real one can fail with a defect of ours."""

    def __init__(self, failures: dict[ResourceKind, Exception] | None = None) -> None:
        self.observed_resources: dict[Key, ObservedResource] = {}
        self.taken: list[Key] = []
        self.under_way = 0
        self.go_on = asyncio.Event()
        self._failures = failures or {}

    async def execute(self, step: Step, owner: Owner) -> None:
        assert owner == ME
        self.taken.append(step.key)
        if failure := self._failures.get(step.key.kind):
            raise failure
        self.under_way += 1
        await self.go_on.wait()
        self.under_way -= 1
        if isinstance(step, Create):
            self.observed_resources[step.key] = ObservedResource(step.key, Phase.READY, step.resource.spec)

    def view(self) -> View:
        return View(WANTED, dict(self.observed_resources), OTHERS)


async def run(steps: Steps, failed: dict[Key, ReconcileError] | None = None) -> list[Step]:
    done: list[Step] = []
    await converge(cast("Account", steps), ME, steps.view, {} if failed is None else failed, done.append)
    return done


async def test_everything_wanted_is_made_and_each_thing_once() -> None:
    steps = Steps()
    steps.go_on.set()
    done = await run(steps)
    assert (
        sorted(steps.taken)
        == sorted(resource.key for resource in WANTED.resources)
        == sorted(step.key for step in done)
    )


async def test_what_is_independent_goes_at_once() -> None:
    steps = Steps()
    running = asyncio.create_task(run(steps))
    while steps.under_way < 5:
        await asyncio.sleep(0)
    assert {key.kind for key in steps.taken} == {LOG_GROUP, ALARM, MODEL}
    steps.go_on.set()
    await running


async def test_what_failed_is_not_tried_again_and_holds_up_only_what_needs_it() -> None:
    steps = Steps({MODEL: Denied("no")})
    steps.go_on.set()
    failed: dict[Key, ReconcileError] = {}
    await run(steps, failed)
    assert [key.kind for key in failed] == [MODEL]
    missing = {resource.key.kind for resource in WANTED.resources} - {key.kind for key in steps.observed_resources}
    assert missing == {MODEL, ENDPOINT_CONFIG, ENDPOINT}


async def test_a_thing_that_never_gets_as_it_should_be_is_given_up_for_now() -> None:
    steps = Steps()
    steps.go_on.set()
    alarm = next(resource for resource in WANTED.resources if resource.key.kind is ALARM)
    bent = ObservedResource(alarm.key, Phase.READY, None)
    failed: dict[Key, ReconcileError] = {}

    def look() -> View:
        return View(WANTED, {**steps.observed_resources, alarm.key: bent}, OTHERS)

    await converge(cast("Account", steps), ME, look, failed, lambda _: None)
    assert steps.taken.count(alarm.key) == MAX_STEPS_PER_RESOURCE
    assert isinstance(failed[alarm.key], Transient)


async def test_a_change_of_mind_counts_before_the_next_step() -> None:
    steps = Steps()
    steps.go_on.set()
    looks = iter([steps.view()])

    await converge(
        cast("Account", steps), ME, lambda: next(looks, View(DesiredState.absent(), {}, {})), {}, lambda _: None
    )
    assert {key.kind for key in steps.taken} == {LOG_GROUP, ALARM, MODEL}


class CutShort(Steps):
    """The object vanishes while its endpoint and its alarms are being created."""

    def __init__(self, error: ReconcileError | None) -> None:
        super().__init__()
        self.deleted: set[ResourceKind] = set()
        self.creating, self.answered = asyncio.Event(), asyncio.Event()
        self._error = error

    async def execute(self, step: Step, owner: Owner) -> None:
        await super().execute(step, owner)
        if isinstance(step, Delete):
            self.deleted.add(step.key.kind)
            del self.observed_resources[step.key]
            return
        phase = Phase.READY
        if step.key.kind is ENDPOINT:
            del self.observed_resources[step.key]
            self.creating.set()
            await self.answered.wait()
            if self._error:
                raise self._error
            phase = Phase.BUSY
        self.observed_resources[step.key] = ObservedResource(step.key, phase, uses=step.resource.needs)

    def view(self) -> View:
        if not self.creating.is_set():
            return super().view()
        return View(DesiredState.absent(), dict(self.observed_resources), OTHERS)


@pytest.mark.parametrize("error", [None, Transient("no answer")], ids=["answered", "without-an-answer"])
async def test_what_an_endpoint_needs_stays_while_it_is_not_known_whether_the_endpoint_exists(
    error: ReconcileError | None,
) -> None:
    steps = CutShort(error)
    running = asyncio.create_task(run(steps))
    while not steps.creating.is_set():
        steps.go_on.set()
        await asyncio.sleep(0)
    while ALARM not in steps.deleted:
        await asyncio.sleep(0)
    steps.answered.set()
    await running
    assert not steps.deleted & {ENDPOINT_CONFIG, MODEL}


async def test_nothing_goes_on_in_the_background_when_a_step_fails_unexpectedly() -> None:
    steps = Steps({ALARM: KeyError("a defect")})
    running = asyncio.create_task(run(steps))
    while steps.under_way < 3:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not running.done(), "the other steps have not ended"
    steps.go_on.set()
    with pytest.raises(KeyError, match="a defect"):
        await running
    assert steps.under_way == 0


async def test_steps_that_must_wait_are_not_taken_and_reported_with_failures() -> None:
    steps = Steps()
    steps.go_on.set()
    failed: dict[Key, ReconcileError] = {}
    judged: list[Key] = []

    def refusal(step: Step, wanted: DesiredState) -> ReconcileError | None:
        assert wanted == WANTED
        judged.append(step.key)
        return Contested("pauses") if step.key.kind is ALARM else None

    view = await converge(cast("Account", steps), ME, steps.view, failed, lambda _: None, refusal=refusal)
    assert {key.kind for key in failed} == {ALARM}
    assert not {ALARM} & {key.kind for key in steps.taken}
    assert len(judged) == len(set(judged)), "nobody is asked twice"
    assert view == steps.view(), "what is there in the end"
