from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.core.objects import DIGEST, OTHER_DIGEST, resolved, subject

from ephemeral_endpoints.core.creation import Patience
from ephemeral_endpoints.core.desired import desired
from ephemeral_endpoints.core.plan import Delete, Desired, Update, plan
from ephemeral_endpoints.core.resources import EndpointSpec, Have, Key, Kind, Phase
from ephemeral_endpoints.core.serving import SERVING_KINDS
from ephemeral_endpoints.core.steering import Moment, Record, Steered, steer

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAUSE = Patience().first
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


def endpoints(wanted: Desired) -> list[Key]:
    return [want.key for want in wanted.wants if want.key.kind is Kind.ENDPOINT]


ENDPOINT = endpoints(OLD)[0]


def there(wanted: Desired, phase: Phase, version: str = "v1", status: str = "") -> dict[Key, Have]:
    """All that is wanted, with its endpoints in that phase since noon."""
    own = {want.key: Have(want.key, Phase.READY, want.spec) for want in wanted.wants}
    return own | {
        key: replace(own[key], phase=phase, version=version, status=status, since=NOON) for key in endpoints(wanted)
    }


def at(seconds: float = 0, generation: int = 1) -> Moment:
    return Moment(NOON + timedelta(seconds=seconds), generation, timeout=TIMEOUT)


def test_what_failed_is_renewed_when_its_pause_is_over_and_not_before() -> None:
    own = there(OLD, Phase.FAILED)
    failed = steer(OLD, own, Record(), at())
    assert plan(failed.desired, own) == ()
    assert failed.next_at == NOON + PAUSE
    waiting = steer(OLD, own, failed.record, at(29))
    assert plan(waiting.desired, own) == ()
    due = steer(OLD, own, waiting.record, at(30))
    assert [step for step in plan(due.desired, own) if step.key == ENDPOINT] == [Delete(own[ENDPOINT])]
    assert due.next_at is None


def test_what_failed_too_often_is_left_for_its_reason_to_be_read() -> None:
    record, steered = Record(), Steered(OLD, Record())
    for attempt in range(1, 6):
        own = there(OLD, Phase.FAILED, f"v{attempt}")
        steered = steer(OLD, own, record, at(3600 * attempt))
        record = steered.record
    assert record.tries[ENDPOINT].is_over
    assert steered.next_at is None
    assert plan(steer(OLD, own, record, at(10**6)).desired, own) == ()
    again = steer(OLD, own, record, at(10**6, generation=2))
    assert [step.key for step in plan(again.desired, own)] == [ENDPOINT], "a changed spec starts anew, at once"


def test_what_went_out_of_service_is_updated_to_the_same_again() -> None:
    own = there(OLD, Phase.IMPAIRED, status="OutOfService")
    record = steer(OLD, own, Record(), at()).record
    (step,) = plan(steer(OLD, own, record, at(30)).desired, own)
    assert isinstance(step, Update)
    assert step.key == ENDPOINT


@pytest.mark.parametrize(
    ("status", "seconds", "stuck", "next_at", "reason"),
    [
        ("Creating", 0, [], TIMEOUT, "it has time until the timeout, and is looked at then"),
        ("Creating", 1799, [], TIMEOUT, "to the second"),
        ("Creating", 1800, [ENDPOINT], None, "then it is stuck"),
        ("SystemUpdating", 10**6, [], None, "AWS's own maintenance is AWS's business"),
    ],
)
def test_what_takes_too_long_is_told_of(
    status: str, seconds: int, stuck: list[Key], next_at: timedelta | None, reason: str
) -> None:
    steered = steer(OLD, there(OLD, Phase.BUSY, status=status), Record(), at(seconds))
    assert [have.key for have in steered.stuck] == stuck, reason
    assert steered.next_at == (next_at and NOON + next_at), reason
    assert steered.desired.wants == OLD.wants, "there is nothing that could be done about it"


def rolled_back(wanted: Desired, before: Desired, which: Key) -> tuple[dict[Key, Have], Record]:
    """What is there and known after the update of one endpoint was given up while the others arrived."""
    own = there(before, Phase.READY) | there(wanted, Phase.READY, "v2")
    spec = next(want.spec for want in wanted.wants if want.key == which)
    assert isinstance(spec, EndpointSpec)
    began = there(before, Phase.READY)[which]
    return own | {which: replace(began, version="v2")}, Record().updating(began, spec.config)


def test_a_rollout_that_was_given_up_is_not_tried_again_and_nothing_that_serves_goes() -> None:
    own, record = rolled_back(NEW, OLD, ENDPOINT)
    steered = steer(NEW, own, record, at())
    assert steered.given_up == {ENDPOINT}
    assert plan(steered.desired, own) == ()
    assert steer(OLD, own, steered.record, at()).given_up == frozenset(), "the way back is free"


def test_one_variant_that_was_given_up_does_not_hold_up_the_others() -> None:
    given_up, other = endpoints(NEW_TWO)
    own, record = rolled_back(NEW_TWO, TWO, given_up)
    own[other] = there(TWO, Phase.READY)[other]
    steered = steer(NEW_TWO, own, record, at())
    assert steered.given_up == {given_up}
    serving = [step for step in plan(steered.desired, own) if step.key.kind in SERVING_KINDS]
    assert [(type(step), step.key) for step in serving] == [(Update, other)]


def test_what_rests_on_an_endpoint_that_was_given_up_waits_with_it() -> None:
    before, after = desired(subject(SCALED), resolved(DIGEST)), desired(subject(SCALED), resolved(OTHER_DIGEST))
    own, record = rolled_back(after, before, ENDPOINT)
    wanted = {want.key.kind for want in steer(after, own, record, at()).desired.wants}
    assert not wanted & {Kind.ENDPOINT, Kind.SCALABLE_TARGET}


def test_the_configurations_of_other_variants_do_not_obscure_what_was_tried() -> None:
    """An operator that has just started finds one variant's endpoint back on its old configuration."""
    given_up = endpoints(NEW_TWO)[0]
    own, _ = rolled_back(NEW_TWO, TWO, given_up)
    own = {key: replace(have, since=NOON - timedelta(minutes=1)) for key, have in own.items()}
    own[given_up] = replace(own[given_up], since=NOON, detail="the ping failed")
    wanted = {want.key for want in NEW_TWO.wants}
    old_configs = [key for key in own if key.kind is Kind.ENDPOINT_CONFIG and key not in wanted]
    spec = own[given_up].spec
    assert isinstance(spec, EndpointSpec)
    for key in old_configs:
        if key.name != spec.config:
            del own[key]
    assert steer(NEW_TWO, own, Record(), at()).given_up == {given_up}


def test_what_is_known_of_an_endpoint_survives_that_nobody_knows_what_is_wanted() -> None:
    own = there(OLD, Phase.FAILED)
    record = steer(OLD, own, Record(), at()).record
    unknown = steer(desired(subject(), resolved(None)), own, record, at(1)).record
    assert unknown == record
    assert steer(OLD, own, unknown, at(2)).record.tries[ENDPOINT].failures == 1


def test_endpoints_that_are_not_wanted_any_more_are_forgotten_when_they_are_gone() -> None:
    record = steer(TWO, there(TWO, Phase.FAILED), Record(), at()).record
    assert set(record.tries) == set(endpoints(TWO))
    left = steer(OLD, there(OLD, Phase.READY), record, at()).record
    assert set(left.tries) == set(left.rollouts) == set(endpoints(OLD))
