from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.drift import AT_ONCE, CALM, LONGEST_PAUSE, Drift, repair_message
from ephemeral_endpoints.engine.errors import Contested
from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Step, Update
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, Phase
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP, LogGroupSpec
from ephemeral_endpoints.features.serving.specs import ENDPOINT as ENDPOINT_KIND
from ephemeral_endpoints.features.serving.specs import EndpointSpec

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LOGS, ENDPOINT = Key(LOG_GROUP, "logs"), Key(ENDPOINT_KIND, "e")
WANT = DesiredResource(LOGS, LogGroupSpec(7))
ENDPOINT_WANT = DesiredResource(ENDPOINT, EndpointSpec("c1"))
DESIRED = DesiredState((WANT, ENDPOINT_WANT))
THERE = {
    LOGS: ObservedResource(LOGS, Phase.READY, WANT.spec),
    ENDPOINT: ObservedResource(ENDPOINT, Phase.READY, ENDPOINT_WANT.spec),
}
CHANGED = ObservedResource(LOGS, Phase.READY, LogGroupSpec(None))
SETTLED = Drift().of_generation(1).seen(DESIRED, THERE)


def later(**units: float) -> datetime:
    return NOON + timedelta(**units)


@pytest.mark.parametrize(
    ("drift", "step", "expected", "reason"),
    [
        (SETTLED, Create(WANT), True, "it was there and is gone"),
        (SETTLED, Update(WANT, CHANGED), True, "it was as wanted and is not"),
        (Drift().of_generation(1), Create(WANT), False, "it is made for the first time"),
        (Drift().of_generation(1).seen(DESIRED, {}), Create(WANT), False, "it never was there"),
        (SETTLED.of_generation(2), Update(WANT, CHANGED), False, "the object was changed, not the thing"),
        (SETTLED.of_generation(1), Update(WANT, CHANGED), True, "the object is as it was"),
        (SETTLED, Update(DesiredResource(LOGS, LogGroupSpec(30)), THERE[LOGS]), False, "it is wanted otherwise now"),
        (SETTLED, Delete(THERE[LOGS]), False, "what is not wanted any more goes"),
        (
            SETTLED,
            Update(ENDPOINT_WANT, ObservedResource(ENDPOINT, Phase.IMPAIRED, ENDPOINT_WANT.spec)),
            False,
            "AWS itself impaired it",
        ),
        (SETTLED.taken(Create(WANT), NOON), Update(WANT, CHANGED), False, "the second step of one repair"),
        (SETTLED.taken(Delete(THERE[LOGS]), NOON), Create(WANT), False, "we deleted it ourselves"),
        (SETTLED.taken(Create(WANT), NOON).seen(DESIRED, THERE), Create(WANT), True, "and again"),
    ],
)
def test_what_is_drift(drift: Drift, step: Step, expected: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    assert drift.is_repair(step) is expected, reason


def repaired(*moments: datetime) -> Drift:
    """What is known when the thing was deleted and repaired at these moments, and stood in between."""
    drift = SETTLED
    for moment in moments:
        drift = drift.taken(Create(WANT), moment).seen(DESIRED, THERE)
    return drift


@pytest.mark.parametrize(
    ("drift", "at", "waits_until", "reason"),
    [
        (repaired(), NOON, None, "the first repair is made at once"),
        (repaired(NOON), NOON, None, "so is the second"),
        (repaired(NOON, NOON), NOON, later(minutes=1), "then somebody works against us"),
        (repaired(NOON, NOON), later(seconds=59), later(minutes=1), "until the pause is over"),
        (repaired(NOON, NOON), later(minutes=1), None, "it is repaired again"),
        (repaired(NOON, NOON, later(minutes=1)), later(minutes=2), later(minutes=3), "pauses double"),
        (repaired(*[NOON] * 20), later(minutes=1), NOON + LONGEST_PAUSE, "up to the longest"),
        (repaired(*[NOON] * 20), NOON + CALM, None, "after a calm hour all is forgotten"),
        (repaired(*[NOON] * 20, NOON + CALM), NOON + CALM, None, "and counted anew"),
    ],
)
def test_repairs_of_the_same_thing_become_rarer(
    drift: Drift, at: datetime, waits_until: datetime | None, reason: str
) -> None:
    refusal = drift.refusal(Create(WANT), at)
    assert (refusal is not None) == (waits_until is not None), reason
    if refusal and waits_until:
        assert f"{waits_until:%H:%M:%S} UTC" in str(refusal)
        assert isinstance(refusal, Contested)
        assert not refusal.terminal
    assert drift.refusal(Create(ENDPOINT_WANT), at) is None, "other things are not held up"


def test_what_is_no_repair_never_waits() -> None:
    fought_over = repaired(*[NOON] * 20)
    assert fought_over.of_generation(2).refusal(Create(WANT), NOON) is None
    assert fought_over.refusal(Delete(THERE[LOGS]), NOON) is None


@given(st.lists(st.integers(0, 3600), max_size=30))
def test_at_most_so_many_repairs_are_made_in_an_hour(seconds: list[int]) -> None:
    drift, made = SETTLED, 0
    for moment in (later(seconds=each) for each in sorted(seconds)):
        if drift.refusal(Create(WANT), moment) is None:
            drift, made = drift.taken(Create(WANT), moment).seen(DESIRED, THERE), made + 1
    assert made <= AT_ONCE + 6, "two at once, then after 1, 2, 4, 8, 16 and 30 minutes"


REPAIRED = "the operator repaired drift in AWS: "


def test_each_thing_is_named_with_what_became_of_it_and_how_often() -> None:
    drift = SETTLED.taken(Create(WANT), NOON).taken(Update(ENDPOINT_WANT, THERE[ENDPOINT]), NOON)
    steps: list[Step] = [Create(WANT), Update(ENDPOINT_WANT, THERE[ENDPOINT])]
    assert repair_message(steps, drift.repairs) == f"{REPAIRED}LogGroup logs was deleted; Endpoint e was changed"
    again = drift.seen(DESIRED, THERE).taken(Create(WANT), NOON)
    assert repair_message(steps[:1], again.repairs) == f"{REPAIRED}LogGroup logs was deleted (repair 2 in a row)"


def test_what_is_forgotten_takes_no_memory() -> None:
    other = DesiredResource(Key(LOG_GROUP, "other"), WANT.spec)
    drift = repaired(NOON).seen(
        DesiredState((other,)), {other.key: ObservedResource(other.key, Phase.READY, other.spec)}
    )
    assert set(drift.taken(Create(other), NOON + CALM).repairs) == {other.key}
