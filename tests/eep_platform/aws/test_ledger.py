from datetime import UTC, datetime

from eep_platform.aws.ledger import Ledger, Outcome

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_counts_are_by_service_operation_and_outcome() -> None:
    ledger = Ledger(clock=lambda: NOON)
    ledger.record("logs", "CreateLogGroup", "/a", Outcome.FORWARDED)
    ledger.record("logs", "CreateLogGroup", "/b", Outcome.THROTTLED)
    ledger.record("logs", "DeleteLogGroup", "/b", Outcome.LOST)
    ledger.record(None, None, None, Outcome.FORWARDED)
    assert ledger.counts() == {
        "logs": {"CreateLogGroup": 2, "DeleteLogGroup": 1},
        "unknown": {"unknown": 1},
    }
    assert ledger.counts([Outcome.THROTTLED, Outcome.LOST]) == {"logs": {"CreateLogGroup": 1, "DeleteLogGroup": 1}}


def test_counts_outlive_the_bounded_log() -> None:
    ledger = Ledger(clock=lambda: NOON, capacity=2)
    for name in "abc":
        ledger.record("logs", "CreateLogGroup", name, Outcome.FORWARDED)
    assert ledger.counts() == {"logs": {"CreateLogGroup": 3}}
    assert [(call.number, call.resource) for call in ledger.latest()] == [(2, "b"), (3, "c")]
    assert [call.resource for call in ledger.latest(1)] == ["c"]
    assert ledger.latest(0) == []


def test_reset_forgets_everything() -> None:
    ledger = Ledger(clock=lambda: NOON)
    ledger.record("logs", "CreateLogGroup", "a", Outcome.FORWARDED)
    ledger.reset()
    assert (ledger.counts(), ledger.latest()) == ({}, [])
    assert ledger.record("logs", "CreateLogGroup", "a", Outcome.FORWARDED).number == 1
