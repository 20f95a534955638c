import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.backoff import LONGEST_SECONDS, delay, poll_delay
from ephemeral_endpoints.engine.errors import (
    Denied,
    InProgress,
    Invalid,
    NameConflict,
    QuotaExceeded,
    QuotaTooLow,
    ReconcileError,
    Throttled,
    Transient,
    Unauthenticated,
)


@pytest.mark.parametrize(
    ("error", "delays", "reason"),
    [
        (InProgress("x"), [2, 2, 2, 4, 8, 16, 32, 60], "busy things are mostly done soon, and sometimes not"),
        (QuotaTooLow("x"), [1800, 1800], "a quota is raised within hours or days"),
        (Transient("x"), [1, 2, 4, 8], "an outage may be short or long"),
        (Throttled("x"), [1, 2, 4], "so may be a burst of others"),
        (Denied("x"), [1, 2, 4], "a policy may just be on its way"),
        (Invalid("x"), [300, 300], "only a change helps, and a role is repaired without one"),
        (NameConflict("x"), [300, 300], "somebody may remove it"),
    ],
)
def test_the_pauses(error: ReconcileError, delays: list[float], reason: str) -> None:
    assert [delay(error, attempts + 1) for attempts in range(len(delays))] == delays, reason


@pytest.mark.parametrize(
    ("error", "longest", "reason"),
    [
        (Transient("x"), 300, "an account may be down for long"),
        (QuotaExceeded("x"), 60, "room appears whenever another object goes"),
        (Unauthenticated("x"), 15, "everything waits for credentials"),
        (InProgress("x"), 60, "what is busy for long is not asked every two seconds"),
    ],
)
def test_the_longest_pause(error: ReconcileError, longest: float, reason: str) -> None:
    assert delay(error, 10**6) == longest, reason


@given(
    error=st.sampled_from([kind("x") for kind in (Transient, Throttled, Denied, QuotaExceeded, Unauthenticated)]),
    attempts=st.integers(1, 10**9),
)
def test_pauses_never_shrink_and_never_end(error: ReconcileError, attempts: int) -> None:
    assert 0 < delay(error, attempts) <= delay(error, attempts + 1) <= LONGEST_SECONDS


def test_looks_become_rarer_up_to_a_limit() -> None:
    assert [poll_delay(looks, first=0.25, longest=1.5) for looks in (1, 2, 3, 4, 10**9)] == [0.25, 0.5, 1.0, 1.5, 1.5]
