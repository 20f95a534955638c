"""From whatever is found in AWS, the planner's steps lead to what is wanted, and no step does harm on the way."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.objects import CLUSTER, DIGEST, OTHER_DIGEST, OTHER_TOKEN, TOKEN, endpoint_class, resolved, subject
from tests.core.world import Fate, World, rounds, uses_of

from ephemeral_endpoints.core.apis import api_key
from ephemeral_endpoints.core.desired import NOTHING, desired
from ephemeral_endpoints.core.plan import Create, Delete, Desired, Step, Update, plan, surplus
from ephemeral_endpoints.core.resources import (
    CONTENT_NAMED,
    CREATING,
    AlarmSpec,
    EndpointSpec,
    FunctionSpec,
    Have,
    HttpApiSpec,
    IntegrationSpec,
    Key,
    Kind,
    LogGroupSpec,
    Phase,
    RouteSpec,
    ScalableTargetSpec,
    Spec,
    Want,
)

MOST_ROUNDS = 40
API = api_key(CLUSTER, endpoint_class())
SHARED = {API: Have(API, Phase.READY, HttpApiSpec())}
LEAVES = frozenset({Kind.INTEGRATION, Kind.ROUTE})
"""The kinds of which AWS takes two of one name."""

FEW = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


SCALED = {"maxCount": 2, "invocationsPerInstance": 100}
VARIANTS = [{"name": "a"}, {"name": "b", "model": {"environment": {"B": "1"}}}]
SERVINGS: tuple[dict[str, Any], ...] = (
    {"serverless": {"memorySizeMB": 1024}},
    {"serverless": {"memorySizeMB": 2048}},
    {"variants": VARIANTS},
    {"variants": VARIANTS[1:]},
    {"instances": {"type": "ml.m5.large"}, "variants": VARIANTS},
    {"instances": {"type": "ml.m5.large", "autoscaling": SCALED}},
    {"instances": {"type": "ml.m5.xlarge", "autoscaling": SCALED}},
    {"instances": {"type": "ml.m5.large", "autoscaling": {**SCALED, "maxCount": 3}}, "variants": VARIANTS},
)


@cache
def revision(digest: str | None, token: str | None, path: str, serving: int) -> Desired:
    """What is wanted of one object with the spec that it has at one time."""
    spec = {"api": {"path": path}, "serving": SERVINGS[serving]}
    return desired(subject(spec), resolved(digest, token, owns_path=path != "/taken"))


REVISIONS = st.builds(
    revision,
    st.sampled_from([DIGEST, OTHER_DIGEST]),
    st.sampled_from([TOKEN, OTHER_TOKEN]),
    st.sampled_from(["/p", "/q", "/taken"]),
    st.integers(0, len(SERVINGS) - 1),
)
UNRESOLVED = st.sampled_from(
    [revision(digest, token, "/p", 0) for digest, token in product([None, DIGEST], [None, TOKEN])][:3]
)


DRIFT: dict[type[Spec], dict[str, object]] = {
    LogGroupSpec: {"retention_days": None},
    EndpointSpec: {"config": "by-hand"},
    ScalableTargetSpec: {"instance_type": "by-hand"},
    FunctionSpec: {"code_sha256": "by-hand"},
    IntegrationSpec: {"role_arn": "by-hand"},
    RouteSpec: {"integration": None},
    AlarmSpec: {"threshold": 0.0},
}


def drifted(spec: Spec) -> Spec:
    """The spec after somebody changed it by hand."""
    return replace(spec, **DRIFT.get(type(spec), {}))  # type: ignore[arg-type]  # each row fits its type


def in_use(world: World) -> set[Key]:
    return {key for have in world.all.values() for key in have.uses}


@st.composite
def found(draw: st.DrawFn, want: Want) -> Have | None:
    """A wanted thing as it may be found: not there, as wanted, changed, or an endpoint in any phase."""
    state = draw(st.sampled_from(["absent", "there", "there", "drifted"]))
    if state == "absent":
        return None
    spec = drifted(want.spec) if state == "drifted" else want.spec
    phase = draw(st.sampled_from(Phase)) if want.key.kind is Kind.ENDPOINT else Phase.READY
    shown = None if want.key.kind in CONTENT_NAMED or phase is Phase.DELETING else spec
    status = CREATING if phase is Phase.BUSY and draw(st.booleans()) else ""
    return Have(want.key, phase, shown, uses=uses_of(want.key, spec, want.needs), status=status)


@st.composite
def worlds(draw: st.DrawFn, fates: st.SearchStrategy[Fate]) -> World:
    """What crashes, hands and earlier revisions may have left behind."""
    own: dict[Key, Have] = {}
    for past in draw(st.lists(REVISIONS, max_size=3)):
        for want in past.wants:
            if have := draw(found(want)):
                own[have.key] = have
                if want.key.kind in LEAVES and draw(st.booleans()):
                    twin = Key(want.key.kind, f"{want.key.name}#2")
                    own[twin] = replace(have, key=twin, id="2")
    return World(own, dict(SHARED), iter(draw(st.lists(fates, max_size=4))))


def carry_out(world: World, wanted: Desired, seed: int, *, look: Callable[[tuple[Step, ...]], None]) -> int:
    """Plan and act until everything is at rest, each round's steps in an order of chance; returns the rounds."""
    shuffled, count = random.Random(seed), 0  # noqa: S311 - an order, no secret
    for steps in rounds(world, wanted):
        look(steps)
        for step in shuffled.sample(steps, len(steps)):
            world.take(step)
        count += 1
        assert count <= MOST_ROUNDS, f"does not settle: {steps}"
    return count


def nothing_else(_: tuple[Step, ...]) -> None:
    """The world itself refuses what must not be done."""


@FEW
@given(world=worlds(st.sampled_from([Fate.SERVES, Fate.ROLLS_BACK])), wanted=REVISIONS, seed=st.integers(0, 9))
def test_from_any_state_the_end_is_exactly_what_is_wanted(world: World, wanted: Desired, seed: int) -> None:
    # What is found failed with the very configuration that is wanted stays until it is due; the next test has it.
    due = replace(wanted, renew=frozenset(want.key for want in wanted.wants))
    carry_out(world, due, seed, look=nothing_else)
    assert world.own.keys() == {want.key for want in wanted.wants}
    for want in wanted.wants:
        have = world.own[want.key]
        assert have.matches(want)
        assert have.phase is Phase.READY
    assert plan(due, world.own, world.others) == ()


def held_up(world: World, wanted: Desired) -> frozenset[Key]:
    """What is wanted and cannot get so while an endpoint does not serve: those endpoints, and what rests on them."""
    endpoints = (key for key in world.own if key.kind is Kind.ENDPOINT and world.own[key].phase is not Phase.READY)
    found = frozenset(endpoints)
    while rest := frozenset(
        want.key
        for want in wanted.wants
        if want.key not in found and not found.isdisjoint(want.needs | want.after | want.update_needs)
    ):
        found |= rest
    return found


@FEW
@given(world=worlds(st.sampled_from(Fate)), wanted=REVISIONS, seed=st.integers(0, 9))
def test_what_fails_as_wanted_is_not_tried_again_and_holds_up_only_what_rests_on_it(
    world: World, wanted: Desired, seed: int
) -> None:
    carry_out(world, wanted, seed, look=nothing_else)
    waiting = held_up(world, wanted)
    kept = frozenset(kind for want in wanted.wants if want.key in waiting for kind in want.replaces)
    left = {have.key for have in surplus(wanted, world.own) if have.key.kind not in kept}
    assert left <= in_use(world)
    for want in wanted.wants:
        if want.key not in waiting:
            assert world.own[want.key].matches(want)
            assert world.own[want.key].phase is Phase.READY


@FEW
@given(world=worlds(st.sampled_from(Fate)), seed=st.integers(0, 9))
def test_deletion_ends_with_nothing(world: World, seed: int) -> None:
    def only_deletes(steps: tuple[Step, ...]) -> None:
        assert all(isinstance(step, Delete) for step in steps)

    carry_out(world, NOTHING, seed, look=only_deletes)
    assert world.own == {}
    assert world.others == SHARED


@FEW
@given(world=worlds(st.sampled_from(Fate)), wanted=UNRESOLVED, seed=st.integers(0, 9))
def test_held_kinds_are_neither_made_nor_changed_nor_deleted(world: World, wanted: Desired, seed: int) -> None:
    held = {key for key, have in world.own.items() if key.kind in wanted.hold and have.phase is not Phase.DELETING}

    def none_held(steps: tuple[Step, ...]) -> None:
        assert not {step.key.kind for step in steps} & wanted.hold

    carry_out(world, wanted, seed, look=none_held)
    assert {key for key in world.own if key.kind in wanted.hold} == held
    assert {have.key for have in surplus(wanted, world.own)} <= in_use(world)


@FEW
@given(
    world=worlds(st.just(Fate.SERVES)),
    wanted=REVISIONS,
    disturbances=st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=6),
    seed=st.integers(0, 9),
)
def test_what_hands_delete_and_change_meanwhile_is_repaired(
    world: World, wanted: Desired, disturbances: list[tuple[int, bool]], seed: int
) -> None:
    for at, deleted in disturbances:
        steps = plan(wanted, world.own, world.others)
        for step in random.Random(seed).sample(steps, len(steps)):  # noqa: S311 - an order, no secret
            world.take(step)
        world.go_on()
        if keys := sorted(world.own):
            key = keys[at % len(keys)]
            have = world.own[key]
            if deleted:
                del world.own[key]
            elif have.spec is not None and have.phase is Phase.READY:
                world.own[key] = replace(have, spec=drifted(have.spec))
    at_rest = (Phase.FAILED, Phase.IMPAIRED)
    world.own = {key: have for key, have in world.own.items() if have.phase not in at_rest}
    carry_out(world, wanted, seed, look=nothing_else)
    assert world.own.keys() == {want.key for want in wanted.wants}
    assert all(world.own[want.key].matches(want) for want in wanted.wants)


@FEW
@given(world=worlds(st.just(Fate.SERVES)), wanted=REVISIONS)
def test_nothing_leads_to_an_api_that_is_not_ready(world: World, wanted: Desired) -> None:
    world.others.clear()
    carry_out(world, wanted, 0, look=lambda steps: _assert_none_made(steps, LEAVES))


def _assert_none_made(steps: tuple[Step, ...], kinds: frozenset[Kind]) -> None:
    assert not [step for step in steps if isinstance(step, Create | Update) and step.key.kind in kinds]


@FEW
@given(world=worlds(st.sampled_from(Fate)), wanted=REVISIONS, data=st.data())
def test_others_things_are_never_touched_whatever_is_wanted(world: World, wanted: Desired, data: st.DataObject) -> None:
    theirs = data.draw(st.sets(st.sampled_from(sorted(world.own) or [API])))
    for key in theirs & world.own.keys():
        world.others[key] = world.own.pop(key)
    assert not {step.key for step in plan(wanted, world.own, world.others)} & theirs


@FEW
@given(world=worlds(st.sampled_from(Fate)), wanted=REVISIONS)
def test_a_plan_has_one_step_for_a_resource_and_is_the_same_for_the_same_state(world: World, wanted: Desired) -> None:
    steps = plan(wanted, world.own, world.others)
    assert len({step.key for step in steps}) == len(steps)
    assert steps == plan(wanted, dict(world.own), dict(world.others))


@FEW
@given(pushes=st.lists(st.tuples(st.sampled_from([DIGEST, OTHER_DIGEST]), st.integers(0, 1)), min_size=2, max_size=6))
def test_pushes_during_a_change_lead_to_at_most_one_further_change_to_the_newest(pushes: list[tuple[str, int]]) -> None:
    first, *later = (revision(digest, TOKEN, "/p", serving) for digest, serving in pushes)
    world = World({}, dict(SHARED), iter(()))
    endpoint = next(want.key for want in first.wants if want.key.kind is Kind.ENDPOINT)
    updates: list[Step] = []

    def note(steps: tuple[Step, ...]) -> None:
        updates.extend(step for step in steps if step.key == endpoint)

    while endpoint not in world.own:
        for step in plan(first, world.own, world.others):
            world.take(step)
    for pushed in later:
        for step in plan(pushed, world.own, world.others):
            assert step.key != endpoint, "SageMaker takes no change while one is under way"
            world.take(step)
    carry_out(world, later[-1], 0, look=note)
    newest = next(want for want in later[-1].wants if want.key == endpoint)
    assert [step.want.spec for step in updates if isinstance(step, Update)] == [newest.spec][: len(updates)]
    assert world.own[endpoint].matches(newest)


def test_a_new_object_is_made_in_as_many_rounds_as_its_longest_chain_of_needs() -> None:
    world = World({}, dict(SHARED), iter(()))
    assert carry_out(world, revision(DIGEST, TOKEN, "/p", 0), 0, look=nothing_else) == 4
