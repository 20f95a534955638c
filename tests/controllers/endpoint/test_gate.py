from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.engine.objects import CLUSTER, endpoint, make_class, resolved, subject

from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.controllers.endpoint.gate import Gate
from ephemeral_endpoints.engine.drift import Drift
from ephemeral_endpoints.engine.errors import Contested, Denied, QuotaExceeded, QuotaTooLow, Throttled
from ephemeral_endpoints.engine.plan import Create, Delete, Step, Update, View
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.capacity.quotas import Quotas
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.monitoring.specs import ALARM as ALARM_KIND
from ephemeral_endpoints.features.routing.specs import FUNCTION
from ephemeral_endpoints.features.serving.specs import ENDPOINT as ENDPOINT_KIND
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import endpoint_key

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCOPE = Scope("c1", "123456789012", "us-east-1")
WANTED = desired(subject(), resolved())
THERE = {resource.key: ObservedResource(resource.key, Phase.READY, resource.spec) for resource in WANTED.resources}
CREATIONS = {resource.key.kind: Create(resource) for resource in WANTED.resources}
ENDPOINT, ALARM = CREATIONS[ENDPOINT_KIND], CREATIONS[ALARM_KIND]
ANOTHER = desired(Subject(CLUSTER, endpoint({"metadata": {"uid": "another"}}), make_class()), resolved())
ANOTHER_ENDPOINT = next(Create(resource) for resource in ANOTHER.resources if resource.key.kind is ENDPOINT_KIND)
FULL = QuotaExceeded("The account-level service limit 'Number of serverless endpoints' is 1 Endpoints.")


@pytest.fixture
def quotas() -> Quotas:
    return Quotas(lambda uid: endpoint_key("nlp", uid), lambda _: None, lambda: 100.0)


UPDATE = Update(ENDPOINT.resource, THERE[ENDPOINT.key])
NEVER = QuotaExceeded(
    "The account-level service limit 'Number of serverless endpoints' is 0 Endpoints, with current utilization of 0 "
    "Endpoints and a request delta of 1 Endpoints."
)


def view(own: dict[Key, ObservedResource]) -> View:
    return View(WANTED, own, {})


def gate(quotas: Quotas, *, age: int = 0, drift: Drift | None = None) -> Gate:
    """The gate of an object that is so many seconds older than others."""
    uid = f"uid-{age}"
    return Gate(quotas, SCOPE, NOON - timedelta(seconds=age), uid, drift or Drift(), lambda: NOON)


def test_nothing_has_to_wait_where_nobody_is_in_the_way(quotas: Quotas) -> None:
    one = gate(quotas)
    assert [one.refusal(step, WANTED) for step in CREATIONS.values()] == [None] * len(CREATIONS)
    assert (one.held, one.waits(), one.repaired) == ({}, [], [])


def test_an_endpoint_for_which_there_is_no_room_queues_up(quotas: Quotas) -> None:
    older, younger = gate(quotas, age=9), gate(quotas, age=1)
    assert older.refusal(ENDPOINT, WANTED) is None
    reported = older.judged(ENDPOINT.key, FULL)
    assert "The endpoint is 1st of 1 waiting" in str(reported)
    assert older.waits() == [1.0]
    refusal = younger.refusal(ANOTHER_ENDPOINT, ANOTHER)
    assert "The endpoint is 2nd of 2 waiting" in str(refusal)
    assert younger.judged(ANOTHER_ENDPOINT.key, refusal or FULL) is refusal, "it was not even tried"
    assert younger.refusal(Delete(THERE[ALARM.key]), WANTED) is None, "what goes needs no room"
    older.conclude(view(THERE))
    younger.conclude(view(THERE))
    assert "2nd of 2" in str(gate(quotas, age=1).refusal(ANOTHER_ENDPOINT, ANOTHER))


def test_an_object_that_can_never_fit_says_so_and_does_not_wait(quotas: Quotas) -> None:
    one = gate(quotas, age=9)
    one.refusal(ENDPOINT, WANTED)
    assert isinstance(one.judged(ENDPOINT.key, NEVER), QuotaTooLow)
    assert (one.held, one.waits()) == ({}, [])


def test_an_update_that_a_quota_refuses_is_noted_and_waits_behind_nobody(quotas: Quotas) -> None:
    older, younger = gate(quotas, age=9), gate(quotas, age=1)
    older.refusal(ANOTHER_ENDPOINT, ANOTHER)
    older.judged(ANOTHER_ENDPOINT.key, FULL)
    assert younger.refusal(UPDATE, WANTED) is None
    reported = younger.judged(UPDATE.key, FULL)
    assert [each.endpoint for each in younger.refused_updates] == [UPDATE.key]
    assert older.refused_updates == []
    assert younger.held == {UPDATE.key: reported}
    younger.release(UPDATE.key)
    assert younger.held == {}


def test_the_room_of_a_recreated_endpoint_is_kept_until_it_exists_again(quotas: Quotas) -> None:
    one, another = gate(quotas, age=1), gate(quotas, age=9)
    assert one.refusal(Delete(THERE[ENDPOINT.key]), WANTED) is None
    deleting = THERE | {ENDPOINT.key: replace(THERE[ENDPOINT.key], phase=Phase.DELETING)}
    absent = {key: each for key, each in THERE.items() if key != ENDPOINT.key}
    for own in (deleting, absent):
        one.conclude(view(own))
        refusal = another.refusal(ANOTHER_ENDPOINT, ANOTHER)
        assert "the room that it has given up is kept for it" in str(refusal)
    assert gate(quotas, age=1).refusal(ENDPOINT, WANTED) is None
    one.conclude(view(THERE))
    assert gate(quotas, age=9).refusal(ANOTHER_ENDPOINT, ANOTHER) is None


def test_an_object_that_does_not_wait_any_more_gives_up_its_claim(quotas: Quotas) -> None:
    first = gate(quotas, age=9)
    first.refusal(ENDPOINT, WANTED)
    first.judged(ENDPOINT.key, FULL)
    gate(quotas, age=9).conclude(view(THERE))
    assert gate(quotas, age=1).refusal(ANOTHER_ENDPOINT, ANOTHER) is None


@pytest.mark.parametrize(
    ("key", "error", "reason"),
    [
        (ENDPOINT.key, Denied("no"), "no room would help"),
        (ENDPOINT.key, Throttled("slow down"), "it is tried again soon"),
        (CREATIONS[FUNCTION].key, QuotaExceeded("too much code"), "only endpoints queue up"),
    ],
)
def test_other_errors_are_reported_unchanged(
    quotas: Quotas, key: Key, error: Denied | Throttled | QuotaExceeded, reason: str
) -> None:
    one = gate(quotas)
    for step in CREATIONS.values():
        one.refusal(step, WANTED)
    assert one.judged(key, error) is error, reason
    assert one.held == {}


def test_a_repair_that_is_reverted_repeatedly_waits_and_is_reported_with_the_other_repairs(quotas: Quotas) -> None:
    drift = Drift()
    for repairs in range(3):
        drift = drift.of_generation(1).seen(WANTED, THERE)
        one = gate(quotas, drift=drift)
        if repairs < 2:
            assert one.refusal(ALARM, WANTED) is None
            one.took(ALARM)
            drift = one.drift
            assert one.repaired == [ALARM]
    refusal = one.refusal(ALARM, WANTED)
    assert isinstance(refusal, Contested)
    assert one.waits() == [60.0]
    assert one.held == {ALARM.key: refusal}
    assert one.judged(ALARM.key, refusal) is refusal


def test_a_step_that_repairs_nothing_is_not_reported(quotas: Quotas) -> None:
    one = gate(quotas)
    steps: list[Step] = [ALARM, Delete(THERE[ALARM.key])]
    for step in steps:
        one.took(step)
    assert one.repaired == []
