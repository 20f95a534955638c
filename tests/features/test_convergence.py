"""From whatever is found in AWS, the planner's steps lead to what is wanted, and no step does harm on the way."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.aws_model import Cloud, Fate, rounds, uses_of
from tests.engine.objects import CLUSTER, DIGEST, OTHER_DIGEST, OTHER_TOKEN, TOKEN, make_class, resolved, subject

from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Step, Update, plan, surplus
from ephemeral_endpoints.engine.resources import (
    CREATING,
    DesiredResource,
    Key,
    ObservedResource,
    Phase,
    ResourceKind,
    Spec,
)
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.monitoring.specs import AlarmSpec, LogGroupSpec
from ephemeral_endpoints.features.routing.apis import api_key
from ephemeral_endpoints.features.routing.specs import (
    INTEGRATION,
    ROUTE,
    FunctionSpec,
    HttpApiSpec,
    IntegrationSpec,
    RouteSpec,
)
from ephemeral_endpoints.features.serving.specs import ENDPOINT, EndpointSpec, ScalableTargetSpec

MOST_ROUNDS = 40
API = api_key(CLUSTER, make_class())
SHARED = {API: ObservedResource(API, Phase.READY, HttpApiSpec())}
LEAVES = frozenset({INTEGRATION, ROUTE})
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
def revision(digest: str | None, token: str | None, path: str, serving: int) -> DesiredState:
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
    return replace(spec, **DRIFT.get(type(spec), {}))


def in_use(cloud: Cloud) -> set[Key]:
    return {key for observed in cloud.all.values() for key in observed.uses}


@st.composite
def found(draw: st.DrawFn, resource: DesiredResource) -> ObservedResource | None:
    """A wanted thing as it may be found: not there, as wanted, changed, or an endpoint in any phase."""
    state = draw(st.sampled_from(["absent", "there", "there", "drifted"]))
    if state == "absent":
        return None
    spec = drifted(resource.spec) if state == "drifted" else resource.spec
    phase = draw(st.sampled_from(Phase)) if resource.key.kind is ENDPOINT else Phase.READY
    shown = None if resource.key.kind.content_named or phase is Phase.DELETING else spec
    status = CREATING if phase is Phase.BUSY and draw(st.booleans()) else ""
    return ObservedResource(resource.key, phase, shown, uses=uses_of(resource.key, spec, resource.needs), status=status)


@st.composite
def clouds(draw: st.DrawFn, fates: st.SearchStrategy[Fate]) -> Cloud:
    """What crashes, hands and earlier revisions may have left behind."""
    own: dict[Key, ObservedResource] = {}
    for past in draw(st.lists(REVISIONS, max_size=3)):
        for resource in past.resources:
            if observed := draw(found(resource)):
                own[observed.key] = observed
                if resource.key.kind in LEAVES and draw(st.booleans()):
                    twin = Key(resource.key.kind, f"{resource.key.name}#2")
                    own[twin] = replace(observed, key=twin, id="2")
    return Cloud(own, dict(SHARED), iter(draw(st.lists(fates, max_size=4))))


def carry_out(cloud: Cloud, wanted: DesiredState, seed: int, *, look: Callable[[tuple[Step, ...]], None]) -> int:
    """Plan and act until everything is at rest, each round's steps in an order of chance; returns the rounds."""
    shuffled, count = random.Random(seed), 0  # noqa: S311 - an order, no secret
    for steps in rounds(cloud, wanted):
        look(steps)
        for step in shuffled.sample(steps, len(steps)):
            cloud.take(step)
        count += 1
        assert count <= MOST_ROUNDS, f"does not settle: {steps}"
    return count


def nothing_else(_: tuple[Step, ...]) -> None:
    """The cloud itself refuses what must not be done."""


@FEW
@given(cloud=clouds(st.sampled_from([Fate.SERVES, Fate.ROLLS_BACK])), wanted=REVISIONS, seed=st.integers(0, 9))
def test_from_any_state_the_end_is_exactly_what_is_wanted(cloud: Cloud, wanted: DesiredState, seed: int) -> None:
    # What is found failed with the very configuration that is wanted stays until it is due; the next test has it.
    due = replace(wanted, retry=frozenset(resource.key for resource in wanted.resources))
    carry_out(cloud, due, seed, look=nothing_else)
    assert cloud.own.keys() == {resource.key for resource in wanted.resources}
    for resource in wanted.resources:
        observed = cloud.own[resource.key]
        assert observed.matches(resource)
        assert observed.phase is Phase.READY
    assert plan(due, cloud.own, cloud.others) == ()


def held_up(cloud: Cloud, wanted: DesiredState) -> frozenset[Key]:
    """What is wanted and cannot get so while an endpoint does not serve: those endpoints, and what rests on them."""
    endpoints = (key for key in cloud.own if key.kind is ENDPOINT and cloud.own[key].phase is not Phase.READY)
    found = frozenset(endpoints)
    while rest := frozenset(
        resource.key
        for resource in wanted.resources
        if resource.key not in found and not found.isdisjoint(resource.needs | resource.after | resource.update_needs)
    ):
        found |= rest
    return found


@FEW
@given(cloud=clouds(st.sampled_from(Fate)), wanted=REVISIONS, seed=st.integers(0, 9))
def test_what_fails_as_wanted_is_not_tried_again_and_holds_up_only_what_rests_on_it(
    cloud: Cloud, wanted: DesiredState, seed: int
) -> None:
    carry_out(cloud, wanted, seed, look=nothing_else)
    waiting = held_up(cloud, wanted)
    kept = frozenset(kind for resource in wanted.resources if resource.key in waiting for kind in resource.replaces)
    left = {observed.key for observed in surplus(wanted, cloud.own) if observed.key.kind not in kept}
    assert left <= in_use(cloud)
    for resource in wanted.resources:
        if resource.key not in waiting:
            assert cloud.own[resource.key].matches(resource)
            assert cloud.own[resource.key].phase is Phase.READY


@FEW
@given(cloud=clouds(st.sampled_from(Fate)), seed=st.integers(0, 9))
def test_deletion_ends_with_nothing(cloud: Cloud, seed: int) -> None:
    def only_deletes(steps: tuple[Step, ...]) -> None:
        assert all(isinstance(step, Delete) for step in steps)

    carry_out(cloud, DesiredState.absent(), seed, look=only_deletes)
    assert cloud.own == {}
    assert cloud.others == SHARED


@FEW
@given(cloud=clouds(st.sampled_from(Fate)), wanted=UNRESOLVED, seed=st.integers(0, 9))
def test_held_kinds_are_neither_made_nor_changed_nor_deleted(cloud: Cloud, wanted: DesiredState, seed: int) -> None:
    held = {
        key
        for key, observed in cloud.own.items()
        if key.kind in wanted.keep_kinds and observed.phase is not Phase.DELETING
    }

    def none_held(steps: tuple[Step, ...]) -> None:
        assert not {step.key.kind for step in steps} & wanted.keep_kinds

    carry_out(cloud, wanted, seed, look=none_held)
    assert {key for key in cloud.own if key.kind in wanted.keep_kinds} == held
    assert {observed.key for observed in surplus(wanted, cloud.own)} <= in_use(cloud)


@FEW
@given(
    cloud=clouds(st.just(Fate.SERVES)),
    wanted=REVISIONS,
    disturbances=st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=6),
    seed=st.integers(0, 9),
)
def test_what_hands_delete_and_change_meanwhile_is_repaired(
    cloud: Cloud, wanted: DesiredState, disturbances: list[tuple[int, bool]], seed: int
) -> None:
    for at, deleted in disturbances:
        steps = plan(wanted, cloud.own, cloud.others)
        for step in random.Random(seed).sample(steps, len(steps)):  # noqa: S311 - an order, no secret
            cloud.take(step)
        cloud.go_on()
        if keys := sorted(cloud.own):
            key = keys[at % len(keys)]
            observed = cloud.own[key]
            if deleted:
                del cloud.own[key]
            elif observed.spec is not None and observed.phase is Phase.READY:
                cloud.own[key] = replace(observed, spec=drifted(observed.spec))
    at_rest = (Phase.FAILED, Phase.IMPAIRED)
    cloud.own = {key: observed for key, observed in cloud.own.items() if observed.phase not in at_rest}
    carry_out(cloud, wanted, seed, look=nothing_else)
    assert cloud.own.keys() == {resource.key for resource in wanted.resources}
    assert all(cloud.own[resource.key].matches(resource) for resource in wanted.resources)


@FEW
@given(cloud=clouds(st.just(Fate.SERVES)), wanted=REVISIONS)
def test_nothing_leads_to_an_api_that_is_not_ready(cloud: Cloud, wanted: DesiredState) -> None:
    cloud.others.clear()
    carry_out(cloud, wanted, 0, look=lambda steps: _assert_none_made(steps, LEAVES))


def _assert_none_made(steps: tuple[Step, ...], kinds: frozenset[ResourceKind]) -> None:
    assert not [step for step in steps if isinstance(step, Create | Update) and step.key.kind in kinds]


@FEW
@given(cloud=clouds(st.sampled_from(Fate)), wanted=REVISIONS, data=st.data())
def test_resources_of_others_are_never_changed_whatever_is_desired(
    cloud: Cloud, wanted: DesiredState, data: st.DataObject
) -> None:
    theirs = data.draw(st.sets(st.sampled_from(sorted(cloud.own) or [API])))
    for key in theirs & cloud.own.keys():
        cloud.others[key] = cloud.own.pop(key)
    assert not {step.key for step in plan(wanted, cloud.own, cloud.others)} & theirs


@FEW
@given(cloud=clouds(st.sampled_from(Fate)), wanted=REVISIONS)
def test_a_plan_has_one_step_for_a_resource_and_is_the_same_for_the_same_state(
    cloud: Cloud, wanted: DesiredState
) -> None:
    steps = plan(wanted, cloud.own, cloud.others)
    assert len({step.key for step in steps}) == len(steps)
    assert steps == plan(wanted, dict(cloud.own), dict(cloud.others))


@FEW
@given(pushes=st.lists(st.tuples(st.sampled_from([DIGEST, OTHER_DIGEST]), st.integers(0, 1)), min_size=2, max_size=6))
def test_pushes_during_a_change_lead_to_at_most_one_further_change_to_the_newest(pushes: list[tuple[str, int]]) -> None:
    first, *later = (revision(digest, TOKEN, "/p", serving) for digest, serving in pushes)
    cloud = Cloud({}, dict(SHARED), iter(()))
    endpoint = next(resource.key for resource in first.resources if resource.key.kind is ENDPOINT)
    updates: list[Step] = []

    def note(steps: tuple[Step, ...]) -> None:
        updates.extend(step for step in steps if step.key == endpoint)

    while endpoint not in cloud.own:
        for step in plan(first, cloud.own, cloud.others):
            cloud.take(step)
    for pushed in later:
        for step in plan(pushed, cloud.own, cloud.others):
            assert step.key != endpoint, "SageMaker takes no change while one is under way"
            cloud.take(step)
    carry_out(cloud, later[-1], 0, look=note)
    newest = next(resource for resource in later[-1].resources if resource.key == endpoint)
    assert [step.resource.spec for step in updates if isinstance(step, Update)] == [newest.spec][: len(updates)]
    assert cloud.own[endpoint].matches(newest)


def test_a_new_object_is_made_in_as_many_rounds_as_its_longest_chain_of_needs() -> None:
    cloud = Cloud({}, dict(SHARED), iter(()))
    assert carry_out(cloud, revision(DIGEST, TOKEN, "/p", 0), 0, look=nothing_else) == 4
