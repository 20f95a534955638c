from datetime import UTC, datetime, timedelta

import pytest
from tests.core.objects import CLUSTER, endpoint, endpoint_class, resolved, subject

from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.core.desired import Subject, desired
from ephemeral_endpoints.core.errors import Contested, Denied, QuotaExceeded, Throttled
from ephemeral_endpoints.core.plan import Create, Delete, Step
from ephemeral_endpoints.core.resources import Have, Key, Kind, Phase
from ephemeral_endpoints.kube.store import ObjectKey
from ephemeral_endpoints.reconcile.gate import Gate
from ephemeral_endpoints.reconcile.memory import Memory
from ephemeral_endpoints.reconcile.quotas import Quotas

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCOPE = Scope("c1", "123456789012", "us-east-1")
WANTED = desired(subject(), resolved())
THERE = {want.key: Have(want.key, Phase.READY, want.spec) for want in WANTED.wants}
CREATIONS = {want.key.kind: Create(want) for want in WANTED.wants}
ENDPOINT, ALARM = CREATIONS[Kind.ENDPOINT], CREATIONS[Kind.ALARM]
ANOTHER = desired(Subject(CLUSTER, endpoint({"metadata": {"uid": "another"}}), endpoint_class()), resolved())
ANOTHER_ENDPOINT = next(Create(want) for want in ANOTHER.wants if want.key.kind is Kind.ENDPOINT)
FULL = QuotaExceeded("The account-level service limit 'Number of serverless endpoints' is 1 Endpoints.")


@pytest.fixture
def quotas() -> Quotas:
    return Quotas(lambda uid: ObjectKey("nlp", uid), lambda _: None, lambda: 100.0)


def gate(quotas: Quotas, *, age: int = 0, memory: Memory | None = None) -> Gate:
    """The gate of an object that is so many seconds older than others."""
    uid = f"uid-{age}"
    return Gate(quotas, SCOPE, NOON - timedelta(seconds=age), uid, memory or Memory(uid), lambda: NOON)


def test_nothing_has_to_wait_where_nobody_is_in_the_way(quotas: Quotas) -> None:
    one = gate(quotas)
    assert [one.refusal(step, WANTED) for step in CREATIONS.values()] == [None] * len(CREATIONS)
    assert (one.held, one.waits(), one.repaired) == ({}, [], [])


def test_an_endpoint_for_which_there_is_no_room_queues_up(quotas: Quotas) -> None:
    older, younger = gate(quotas, age=9), gate(quotas, age=1)
    told = older.judged(ENDPOINT.key, FULL)
    assert "It is 1st of 1 waiting" in str(told)
    assert older.waits() == [1.0]
    refusal = younger.refusal(ANOTHER_ENDPOINT, ANOTHER)
    assert "It is 2nd of 2 waiting" in str(refusal)
    assert younger.judged(ANOTHER_ENDPOINT.key, refusal or FULL) is refusal, "it was not even tried"
    assert younger.refusal(Delete(THERE[ENDPOINT.key]), WANTED) is None, "what goes needs no room"
    older.conclude()
    younger.conclude()
    assert "2nd of 2" in str(gate(quotas, age=1).refusal(ANOTHER_ENDPOINT, ANOTHER))


def test_who_does_not_wait_any_more_makes_way(quotas: Quotas) -> None:
    gate(quotas, age=9).judged(ENDPOINT.key, FULL)
    gate(quotas, age=9).conclude()
    assert gate(quotas, age=1).refusal(ANOTHER_ENDPOINT, ANOTHER) is None


@pytest.mark.parametrize(
    ("key", "error", "reason"),
    [
        (ENDPOINT.key, Denied("no"), "no room would help"),
        (ENDPOINT.key, Throttled("slow down"), "it is tried again soon"),
        (CREATIONS[Kind.FUNCTION].key, QuotaExceeded("too much code"), "only endpoints queue up"),
    ],
)
def test_other_errors_are_told_as_they_are(
    quotas: Quotas, key: Key, error: Denied | Throttled | QuotaExceeded, reason: str
) -> None:
    one = gate(quotas)
    assert one.judged(key, error) is error, reason
    assert one.held == {}


def test_what_somebody_undoes_again_and_again_waits_and_is_told_with_what_was_repaired(quotas: Quotas) -> None:
    memory = Memory("uid-0")
    for repairs in range(3):
        memory.drift = memory.drift.of_generation(1).seen(WANTED, THERE)
        one = gate(quotas, memory=memory)
        if repairs < 2:
            assert one.refusal(ALARM, WANTED) is None
            one.took(ALARM)
            assert one.repaired == [ALARM]
    refusal = one.refusal(ALARM, WANTED)
    assert isinstance(refusal, Contested)
    assert one.waits() == [60.0]
    assert one.held == {ALARM.key: refusal}
    assert one.judged(ALARM.key, refusal) is refusal


def test_a_step_that_repairs_nothing_is_not_told_of(quotas: Quotas) -> None:
    one = gate(quotas)
    steps: list[Step] = [ALARM, Delete(THERE[ALARM.key])]
    for step in steps:
        one.took(step)
    assert one.repaired == []
