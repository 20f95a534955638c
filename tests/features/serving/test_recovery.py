from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.engine.objects import DIGEST, OTHER_DIGEST, resolved, subject

from ephemeral_endpoints.engine.plan import Delete, DesiredState, Update, plan
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.serving.failure_classes import RetryPolicy
from ephemeral_endpoints.features.serving.recovery import EndpointHistory, Recovery, RecoveryInput, recover
from ephemeral_endpoints.features.serving.specs import ENDPOINT as ENDPOINT_KIND
from ephemeral_endpoints.features.serving.specs import ENDPOINT_CONFIG, SCALABLE_TARGET, SERVING_KINDS, EndpointSpec

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAUSE = RetryPolicy().first
TIMEOUT = timedelta(minutes=30)
VARIANTS = {"serving": {"variants": [{"name": "a"}, {"name": "b", "model": {"environment": {"B": "1"}}}]}}
SCALED = {
    "serving": {
        "instances": {"type": "ml.m5.large", "autoscaling": {"maxCount": 2, "invocationsPerInstance": 100}},
    }
}
OLD, NEW = desired(subject(), resolved(DIGEST)), desired(subject(), resolved(OTHER_DIGEST))
TWO = desired(subject(VARIANTS), resolved(DIGEST))
NEW_TWO = desired(subject(VARIANTS), resolved(OTHER_DIGEST))


def endpoints(wanted: DesiredState) -> list[Key]:
    return [resource.key for resource in wanted.resources if resource.key.kind is ENDPOINT_KIND]


ENDPOINT = endpoints(OLD)[0]
SHORTAGE = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."


def config_of(wanted: DesiredState) -> str:
    spec = next(resource.spec for resource in wanted.resources if resource.key == ENDPOINT)
    assert isinstance(spec, EndpointSpec)
    return spec.config


def there(wanted: DesiredState, phase: Phase, version: str = "v1", status: str = "") -> dict[Key, ObservedResource]:
    """All that is wanted, with its endpoints in that phase since noon."""
    own = {resource.key: ObservedResource(resource.key, Phase.READY, resource.spec) for resource in wanted.resources}
    return own | {
        key: replace(own[key], phase=phase, version=version, status=status, since=NOON) for key in endpoints(wanted)
    }


def at(seconds: float = 0, generation: int = 1) -> RecoveryInput:
    return RecoveryInput(NOON + timedelta(seconds=seconds), generation, timeout=TIMEOUT)


def test_what_failed_is_renewed_when_its_pause_is_over_and_not_before() -> None:
    own = there(OLD, Phase.FAILED)
    failed = recover(OLD, own, EndpointHistory(), at())
    assert plan(failed.desired, own) == ()
    assert failed.next_at == NOON + PAUSE
    waiting = recover(OLD, own, failed.history, at(29))
    assert plan(waiting.desired, own) == ()
    due = recover(OLD, own, waiting.history, at(30))
    assert [step for step in plan(due.desired, own) if step.key == ENDPOINT] == [Delete(own[ENDPOINT])]
    assert due.next_at is None


def test_what_failed_too_often_is_left_for_its_reason_to_be_read() -> None:
    history, recovered = EndpointHistory(), Recovery(OLD, EndpointHistory())
    for attempt in range(1, 6):
        own = there(OLD, Phase.FAILED, f"v{attempt}")
        recovered = recover(OLD, own, history, at(3600 * attempt))
        history = recovered.history
    assert history.attempts[ENDPOINT].is_over
    assert recovered.next_at is None
    assert plan(recover(OLD, own, history, at(10**6)).desired, own) == ()
    again = recover(OLD, own, history, at(10**6, generation=2))
    assert [step.key for step in plan(again.desired, own)] == [ENDPOINT], "a changed spec starts anew, at once"


def test_what_went_out_of_service_is_updated_to_the_same_again() -> None:
    own = there(OLD, Phase.IMPAIRED, status="OutOfService")
    history = recover(OLD, own, EndpointHistory(), at()).history
    (step,) = plan(recover(OLD, own, history, at(30)).desired, own)
    assert isinstance(step, Update)
    assert step.key == ENDPOINT


@dataclass(frozen=True, kw_only=True)
class Case:
    status: str
    seconds: int
    stuck: list[Key]
    next_at: timedelta | None


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Case(status="Creating", seconds=0, stuck=[], next_at=TIMEOUT),
            id="it has time until the timeout, and is looked at then",
        ),
        pytest.param(Case(status="Creating", seconds=1799, stuck=[], next_at=TIMEOUT), id="to the second"),
        pytest.param(Case(status="Creating", seconds=1800, stuck=[ENDPOINT], next_at=None), id="then it is stuck"),
        pytest.param(
            Case(status="SystemUpdating", seconds=10**6, stuck=[], next_at=None),
            id="AWS's own maintenance is AWS's business",
        ),
    ],
)
def test_a_change_that_takes_too_long_is_reported(case: Case) -> None:
    recovered = recover(OLD, there(OLD, Phase.BUSY, status=case.status), EndpointHistory(), at(case.seconds))
    assert [observed.key for observed in recovered.stuck] == case.stuck
    assert recovered.next_at == (case.next_at and NOON + case.next_at)
    assert recovered.desired.resources == OLD.resources, "there is nothing that could be done about it"


def rolled_back(
    wanted: DesiredState, before: DesiredState, which: Key
) -> tuple[dict[Key, ObservedResource], EndpointHistory]:
    """What is there and known after the update of one endpoint was given up while the others arrived."""
    own = there(before, Phase.READY) | there(wanted, Phase.READY, "v2")
    spec = next(resource.spec for resource in wanted.resources if resource.key == which)
    assert isinstance(spec, EndpointSpec)
    began = there(before, Phase.READY)[which]
    return own | {which: replace(began, version="v2")}, EndpointHistory().updating(began, spec.config, NOON)


def test_a_rollout_that_was_given_up_is_not_tried_again_and_nothing_that_serves_goes() -> None:
    own, history = rolled_back(NEW, OLD, ENDPOINT)
    recovered = recover(NEW, own, history, at())
    assert recovered.given_up == {ENDPOINT}
    assert plan(recovered.desired, own) == ()
    assert recover(OLD, own, recovered.history, at()).given_up == frozenset(), "the way back is free"


def test_an_update_without_capacity_is_repeated_when_its_pause_is_over_and_not_before() -> None:
    own, history = rolled_back(NEW, OLD, ENDPOINT)
    own[ENDPOINT] = replace(own[ENDPOINT], detail=SHORTAGE)
    failed = recover(NEW, own, history, at())
    assert failed.given_up == {ENDPOINT}
    assert plan(failed.desired, own) == ()
    assert failed.next_at is not None
    seconds = (failed.next_at - NOON).total_seconds()
    assert 24 <= seconds <= 30
    due = recover(NEW, own, failed.history, at(30))
    assert due.given_up == frozenset()
    (step,) = [each for each in plan(due.desired, own) if each.key == ENDPOINT]
    assert isinstance(step, Update)

    begun = due.history.updating(own[ENDPOINT], config_of(NEW), NOON)
    under_way = own | {ENDPOINT: replace(own[ENDPOINT], phase=Phase.BUSY, status="Updating", version="v3")}
    assert recover(NEW, under_way, begun, at(31)).given_up == frozenset()
    back = own | {ENDPOINT: replace(own[ENDPOINT], version="v4")}
    again = recover(NEW, back, begun, at(60))
    assert again.history.attempts[ENDPOINT].failures == 2
    assert again.next_at is not None
    assert again.next_at > NOON + timedelta(seconds=60 + 48)


def test_a_process_that_has_just_started_repeats_an_update_without_capacity_too() -> None:
    own, _ = rolled_back(NEW, OLD, ENDPOINT)
    old = {resource.key for resource in OLD.resources if resource.key.kind is ENDPOINT_CONFIG}
    own = {key: replace(observed, since=NOON - timedelta(minutes=1)) for key, observed in own.items()}
    own[ENDPOINT] = replace(own[ENDPOINT], since=NOON, detail=SHORTAGE)
    assert old < own.keys()
    recalled = recover(NEW, own, EndpointHistory(), at())
    assert recalled.given_up == {ENDPOINT}
    assert recover(NEW, own, recalled.history, at(30)).given_up == frozenset()


def test_one_variant_that_was_given_up_does_not_hold_up_the_others() -> None:
    given_up, other = endpoints(NEW_TWO)
    own, history = rolled_back(NEW_TWO, TWO, given_up)
    own[other] = there(TWO, Phase.READY)[other]
    recovered = recover(NEW_TWO, own, history, at())
    assert recovered.given_up == {given_up}
    serving = [step for step in plan(recovered.desired, own) if step.key.kind in SERVING_KINDS]
    assert [(type(step), step.key) for step in serving] == [(Update, other)]


def test_what_rests_on_an_endpoint_that_was_given_up_waits_with_it() -> None:
    before, after = desired(subject(SCALED), resolved(DIGEST)), desired(subject(SCALED), resolved(OTHER_DIGEST))
    own, history = rolled_back(after, before, ENDPOINT)
    wanted = {resource.key.kind for resource in recover(after, own, history, at()).desired.resources}
    assert not wanted & {ENDPOINT_KIND, SCALABLE_TARGET}


def test_the_configurations_of_other_variants_do_not_obscure_what_was_tried() -> None:
    """An operator that has just started finds one variant's endpoint back on its old configuration."""
    given_up = endpoints(NEW_TWO)[0]
    own, _ = rolled_back(NEW_TWO, TWO, given_up)
    own = {key: replace(observed, since=NOON - timedelta(minutes=1)) for key, observed in own.items()}
    own[given_up] = replace(own[given_up], since=NOON, detail="the ping failed")
    wanted = {resource.key for resource in NEW_TWO.resources}
    old_configs = [key for key in own if key.kind is ENDPOINT_CONFIG and key not in wanted]
    spec = own[given_up].spec
    assert isinstance(spec, EndpointSpec)
    for key in old_configs:
        if key.name != spec.config:
            del own[key]
    assert recover(NEW_TWO, own, EndpointHistory(), at()).given_up == {given_up}


def test_what_is_known_of_an_endpoint_survives_that_nobody_knows_what_is_wanted() -> None:
    own = there(OLD, Phase.FAILED)
    history = recover(OLD, own, EndpointHistory(), at()).history
    unknown = recover(desired(subject(), resolved(None)), own, history, at(1)).history
    assert unknown == history
    assert recover(OLD, own, unknown, at(2)).history.attempts[ENDPOINT].failures == 1


def test_endpoints_that_are_not_wanted_any_more_are_forgotten_when_they_are_gone() -> None:
    history = recover(TWO, there(TWO, Phase.FAILED), EndpointHistory(), at()).history
    assert set(history.attempts) == set(endpoints(TWO))
    left = recover(OLD, there(OLD, Phase.READY), history, at()).history
    assert set(left.attempts) == set(left.rollouts) == set(endpoints(OLD))
