from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.core.cost import Capacities
from ephemeral_endpoints.core.errors import QuotaExceeded
from ephemeral_endpoints.core.quotas import Claim, Waiting, concerns, demand, line, ordinal, quota_of, refusal
from ephemeral_endpoints.core.resources import InstanceSpec, Key, Kind, ServerlessSpec

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LARGE = "ml.m5.large for endpoint usage"
SERVERLESS = "Maximum number of serverless endpoints per account"
WORDS = (
    "The account-level service limit '{}' is 4 Instances, with current utilization of 4 Instances and a request delta "
    "of 1 Instances. Please use AWS Service Quotas to request an increase for this quota. (ResourceLimitExceeded)"
)


def claim(seconds: int, uid: str = "u") -> Claim:
    return Claim(NOON + timedelta(seconds=seconds), uid, Key(Kind.ENDPOINT, f"e-{seconds}-{uid}"))


def waiting(seconds: int, quota: str = LARGE, uid: str = "u") -> Waiting:
    return Waiting(claim(seconds, uid), quota, WORDS.format(quota))


@pytest.mark.parametrize(
    ("message", "quota", "reason"),
    [
        (WORDS.format(LARGE), LARGE, "AWS names the limit"),
        ("The request would exceed a limit.", "", "AWS names none"),
        (WORDS.format("x" * 201), "", "no name is that long"),
    ],
)
def test_which_quota_is_used_up(message: str, quota: str, reason: str) -> None:
    assert quota_of(QuotaExceeded(message)) == quota, reason


@pytest.mark.parametrize(
    ("quota", "capacities", "expected", "reason"),
    [
        (LARGE, (InstanceSpec("ml.m5.large", 1),), True, "the very type"),
        (LARGE, (InstanceSpec("ml.m5.large2", 1),), False, "a type whose name begins alike"),
        (LARGE, (InstanceSpec("ml.t2.medium", 1),), False, "another type"),
        (LARGE, (ServerlessSpec(1024, 1),), False, "serverless endpoints take no instances"),
        (SERVERLESS, (ServerlessSpec(1024, 1),), True, "serverless endpoints share all their limits"),
        (SERVERLESS, (InstanceSpec("ml.m5.large", 1),), False, "instances are not serverless"),
        ("Number of endpoints", (ServerlessSpec(1024, 1),), True, "this concerns every endpoint"),
        ("", (InstanceSpec("ml.m5.large", 1),), True, "nobody knows whom it concerns"),
    ],
)
def test_whom_a_quota_concerns(quota: str, capacities: Capacities, expected: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    assert concerns(quota, demand(capacities)) is expected, reason


def test_the_oldest_object_is_first_and_the_uid_settles_what_seconds_cannot() -> None:
    first, second, third = waiting(0), waiting(1, uid="a"), waiting(1, uid="b")
    assert line([third, first, second, waiting(0, SERVERLESS)], LARGE) == [first, second, third]


def test_who_waits_reads_the_words_of_aws_and_the_position() -> None:
    mine = waiting(1)
    told = refusal(mine, [waiting(0), mine, waiting(2), waiting(0, SERVERLESS)])
    assert str(told) == f"{WORDS.format(LARGE)} It is 2nd of 3 waiting for {LARGE}."
    nameless = waiting(0, "")
    assert str(refusal(nameless, [nameless])).endswith("It is 1st of 1 waiting for room.")


def test_each_refusal_in_a_row_makes_the_pause_longer_up_to_a_minute_and_a_call_ends_it() -> None:
    error, mine = QuotaExceeded(WORDS.format(LARGE), operation="CreateEndpoint"), waiting(0)
    pauses = []
    for _ in range(8):
        mine = mine.refused(error, 100.0)
        pauses.append(mine.retry_at - 100.0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert mine.words.startswith("CreateEndpoint: The account-level")
    called = mine.called(200.0)
    assert called.retry_at == 200.0
    assert called.refused(error, 200.0).retry_at == 201.0, "room that is announced may take a moment to be there"


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"), (113, "113th")],
)
def test_positions_in_words(number: int, word: str) -> None:
    assert ordinal(number) == word


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), unique=True, min_size=1, max_size=8))
def test_everybody_has_one_position_and_the_older_the_better(claims: list[tuple[int, str]]) -> None:
    everybody = [waiting(seconds, uid=uid) for seconds, uid in claims]
    queue = line(everybody, LARGE)
    assert sorted(queue, key=lambda each: each.claim) == queue
    assert set(queue) == set(everybody)
    for at, each in enumerate(queue, start=1):
        assert f"It is {ordinal(at)} of {len(queue)}" in str(refusal(each, everybody))
