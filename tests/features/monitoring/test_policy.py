from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.monitoring.policy import Attempt, LogStream

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def stream(name: str, minutes: float) -> LogStream:
    return LogStream(name, NOON + timedelta(minutes=minutes))


OLD, FAILED, AGAIN, LATER = (
    stream("main/i-0", -60),
    stream("main/i-1", 1),
    stream("main/i-2", 2),
    stream("main/i-3", 30),
)
UPDATE = Attempt(NOON, NOON + timedelta(minutes=10))
SERVERLESS = stream("main/2026-11-21-12-01-00-0123456789abcdef0", 1)
PING = "The primary container for production variant {} did not pass the ping health check."


@pytest.mark.parametrize(
    ("attempt", "streams", "expected", "reason"),
    [
        (UPDATE, [OLD, FAILED], FAILED, "the old instance began before the update"),
        (UPDATE, [OLD, FAILED, AGAIN, LATER], AGAIN, "the newest of the update; what began after it serves again"),
        (UPDATE, [OLD, LATER], None, "somebody else's words would mislead"),
        (UPDATE, [], None, "nothing was logged"),
        (UPDATE, [OLD, SERVERLESS], SERVERLESS, "serverless containers have other names"),
        (Attempt(), [OLD, FAILED], FAILED, "nobody knows when it began: the newest"),
        (Attempt(NOON), [OLD, LATER], LATER, "it is not over"),
        (
            Attempt(NOON, None, PING.format("a")),
            [stream("a/i-1", 1), stream("b/i-2", 2)],
            stream("a/i-1", 1),
            "SageMaker names the variant",
        ),
        (
            Attempt(NOON, None, PING.format("a-b")),
            [stream("a/i-1", 2), stream("a-b/i-2", 1)],
            stream("a-b/i-2", 1),
            "the name of another begins alike",
        ),
        (Attempt(NOON, None, "no reason"), [stream("a/i-1", 1), stream("b/i-2", 2)], stream("b/i-2", 2), "none named"),
    ],
)
def test_whose_words_are_told(
    attempt: Attempt, streams: list[LogStream], expected: LogStream | None, reason: str
) -> None:
    assert attempt.stream(streams) == expected, reason


@given(st.lists(st.integers(-100, 100), max_size=8), st.integers(-50, 0), st.integers(0, 50))
def test_no_stream_from_before_or_after_the_attempt_is_ever_read(begun: list[int], since: int, until: int) -> None:
    found = Attempt(NOON + timedelta(minutes=since), NOON + timedelta(minutes=until)).stream(
        stream(f"main/i-{minutes}", minutes) for minutes in begun
    )
    inside = [minutes for minutes in begun if since <= minutes <= until]
    assert found == (stream(f"main/i-{max(inside)}", max(inside)) if inside else None)
