from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.errors import QuotaExceeded
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.features.capacity.cost import Capacities
from ephemeral_endpoints.features.capacity.policy import (
    Claim,
    Demand,
    Usage,
    Waiting,
    asked_of,
    concerns,
    demand_of,
    line,
    makes_room,
    may_try,
    ordinal,
    quota_of,
    refusal,
    too_low,
)
from ephemeral_endpoints.features.serving.specs import ENDPOINT, InstanceSpec, ServerlessSpec

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LARGE = "ml.m5.large for endpoint usage"
CONCURRENCY = "Maximum total concurrency that can be allocated across all serverless endpoints"
SERVERLESS = "Maximum number of serverless endpoints per account"
WORDS = (
    "The account-level service limit '{}' is 4 Instances, with current utilization of 4 Instances and a request delta "
    "of 1 Instances. Please use AWS Service Quotas to request an increase for this quota. (ResourceLimitExceeded)"
)

GOES_ON = (
    "the operator tries again when it may fit. Delete endpoints that are not needed, or ask AWS to raise the quota."
)


def claim(seconds: int, uid: str = "u") -> Claim:
    return Claim(NOON + timedelta(seconds=seconds), uid, Key(ENDPOINT, f"e-{seconds}-{uid}"))


def waiting(seconds: int, quota: str = LARGE, uid: str = "u", count: int = 1) -> Waiting:
    words = WORDS.format(quota)
    return Waiting(claim(seconds, uid), {"ml.m5.large": count}, quota, words, Usage.of(QuotaExceeded(words)))


def refused(limit: int, used: int, delta: int) -> QuotaExceeded:
    """AWS's refusal with these numbers."""
    return QuotaExceeded(
        f"The account-level service limit '{LARGE}' is {limit} Instances, with current utilization of {used} Instances "
        f"and a request delta of {delta} Instances. Please use AWS Service Quotas to request an increase."
    )


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
def test_the_demands_that_a_quota_concerns(quota: str, capacities: Capacities, expected: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    assert concerns(quota, demand_of(capacities)) is expected, reason


@pytest.mark.parametrize(
    ("quota", "capacities", "expected", "reason"),
    [
        (LARGE, (InstanceSpec("ml.m5.large", 2), InstanceSpec("ml.m5.large", 3)), 5, "all variants together"),
        (LARGE, (InstanceSpec("ml.m5.large", 2), InstanceSpec("ml.t2.medium", 3)), 2, "those of the type"),
        (SERVERLESS, (ServerlessSpec(1024, 20), ServerlessSpec(1024, 3)), 1, "an endpoint is one"),
        (CONCURRENCY, (ServerlessSpec(1024, 20), ServerlessSpec(1024, 3)), 23, "the concurrency of all variants"),
        ("Number of endpoints", (InstanceSpec("ml.m5.large", 9),), 1, "an endpoint is one, however large"),
    ],
)
def test_how_much_of_a_quota_is_asked_for(quota: str, capacities: Capacities, expected: int, reason: str) -> None:
    assert asked_of(quota, demand_of(capacities)) == expected, reason


@pytest.mark.parametrize(
    ("mine", "ahead", "expected", "reason"),
    [
        (1, [], True, "nobody is before it"),
        (1, [1], False, "the older one asks for as much"),
        (1, [2], True, "it may fit where the older one does not"),
        (2, [1], False, "where the older one does not fit it does not either"),
        (1, [4, 1], False, "another small one is before it"),
        (1, [4, 2], True, "all before it ask for more"),
    ],
)
def test_an_object_that_asks_for_less_than_all_before_it_is_tried(
    mine: int,
    ahead: list[int],
    expected: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    others = [waiting(at, uid=f"u{at}", count=count) for at, count in enumerate(ahead)]
    last = waiting(9, uid="mine", count=mine)
    assert may_try(last, [*others, waiting(0, SERVERLESS, uid="z"), last]) is expected, reason


def test_a_claim_that_was_refused_for_a_fallback_type_stands_in_that_line_with_its_number() -> None:
    """Not with 0, which would have it tried before, and everybody wait behind it."""
    falls_back = InstanceSpec("ml.c5.large", 2, fallback_types=("ml.m5.large",))
    mine = Waiting(claim(0), demand_of((falls_back,)), "").refused(refused(4, 3, 2), 1.0)
    assert (mine.quota, mine.asked) == (LARGE, 2)
    one, two = (waiting(at, uid=f"u{at}", count=at) for at in (1, 2))
    assert (may_try(one, [mine, one]), may_try(two, [mine, two])) == (True, False)


def test_nobody_waits_behind_another_endpoint_of_the_same_object() -> None:
    first, second = waiting(0), waiting(1)
    assert may_try(second, [first, second])


def test_a_claim_that_was_not_tried_has_its_own_numbers() -> None:
    first = Waiting(claim(0), {"ml.m5.large": 4}, "").refused(refused(4, 2, 4), 1.0)
    mine = Waiting(claim(1, "v"), {"ml.m5.large": 3}, LARGE)
    message = str(refusal(mine, [first, mine]))
    assert message == (
        f"The account's quota '{LARGE}' is 4 Instances, of which 2 are in use; the endpoint asks for 3. "
        f"The endpoint is 2nd of 2 waiting for {LARGE}; {GOES_ON}"
    )


@pytest.mark.parametrize(
    ("error", "expected", "reason"),
    [
        (refused(4, 0, 5), True, "more than there will ever be"),
        (refused(4, 4, 4), False, "all of it, once the others are gone"),
        (refused(0, 0, 1), True, "the account has none of this type"),
        (QuotaExceeded("The request would exceed a limit."), False, "nobody knows the limit"),
    ],
)
def test_an_object_that_can_never_fit_says_so(error: QuotaExceeded, expected: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    hopeless = too_low(Waiting(claim(0), {"ml.m5.large": 5}, "").refused(error, 1.0))
    assert (hopeless is not None) is expected, reason
    if hopeless:
        usage = Usage.of(error)
        assert usage
        assert f"asks for {usage.delta} Instances" in str(hopeless)
        assert f"quota '{LARGE}' is {usage.limit}" in str(hopeless)
        assert hopeless.terminal


@pytest.mark.parametrize(
    ("error", "asked", "running", "expected", "reason"),
    [
        (refused(1, 1, 1), 1, 1, True, "it waits for nobody but itself"),
        (refused(2, 2, 1), 1, 1, True, "its own room is enough, although others have some too"),
        (refused(2, 2, 2), 2, 1, False, "the other one's room is missing: it would be deleted only to wait"),
        (refused(4, 2, 3), 3, 2, True, "it grows within the limit"),
        (refused(4, 4, 1), 1, 0, False, "none of its own instances are of this type"),
        (QuotaExceeded(f"limit '{LARGE}' is reached"), 1, 1, False, "nobody knows the numbers"),
        (
            QuotaExceeded(WORDS.format(CONCURRENCY)),
            1,
            1,
            False,
            "of serverless endpoints the larger of both counts, so that recreating gains nothing",
        ),
    ],
)
def test_an_endpoint_is_recreated_only_where_that_makes_room(
    error: QuotaExceeded,
    asked: int,
    running: int,
    expected: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    wanted, there = ({"ml.m5.large": count, "concurrency": count} for count in (asked, running))
    assert bool(makes_room(error, wanted, there)) is expected, reason


@given(
    limit=st.integers(0, 9),
    others=st.integers(0, 9),
    running=st.integers(0, 9),
    asked=st.integers(1, 9),
)
def test_whatever_the_numbers_a_recreated_endpoint_fits(limit: int, others: int, running: int, asked: int) -> None:
    error = refused(limit, others + running, asked)
    demand: Demand = {"ml.m5.large": asked}
    if makes_room(error, demand, {"ml.m5.large": running}):
        assert others + asked <= limit
        assert running > 0


def test_the_oldest_object_is_first_and_the_uid_decides_within_a_second() -> None:
    first, second, third = waiting(0), waiting(1, uid="a"), waiting(1, uid="b")
    assert line([third, first, second, waiting(0, SERVERLESS)], LARGE) == [first, second, third]


def test_a_waiting_object_reports_the_message_of_aws_and_its_position() -> None:
    mine = waiting(1)
    reported = refusal(mine, [waiting(0), mine, waiting(2), waiting(0, SERVERLESS)])
    assert str(reported) == f"{WORDS.format(LARGE)} The endpoint is 2nd of 3 waiting for {LARGE}; {GOES_ON}"
    nameless = waiting(0, "")
    assert str(refusal(nameless, [nameless])).endswith(f"The endpoint is 1st of 1 waiting for room; {GOES_ON}")


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
    assert sorted(everybody, key=lambda each: each.claim) == queue
    for at, each in enumerate(queue, start=1):
        assert f"The endpoint is {ordinal(at)} of {len(queue)}" in str(refusal(each, everybody))


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(1, 4)), unique=True, min_size=1))
def test_somebody_is_always_tried_and_of_equals_the_oldest(claims: list[tuple[int, str, int]]) -> None:
    everybody = [waiting(seconds, uid=f"{uid}{seconds}{count}", count=count) for seconds, uid, count in claims]
    tried = [each for each in everybody if may_try(each, everybody)]
    assert line(everybody, LARGE)[0] in tried
    assert min(each.asked for each in everybody) == min(each.asked for each in tried)
    for each in tried:
        assert not [other for other in everybody if other.claim < each.claim and other.asked <= each.asked]
