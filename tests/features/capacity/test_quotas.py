from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.engine.errors import QuotaExceeded, QuotaTooLow
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.features.capacity.policy import CLAIM_SECONDS, LOOK_SECONDS, Claim, Demand
from ephemeral_endpoints.features.capacity.quotas import Quotas
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.kube.cache import ObjectKey, endpoint_key

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE, ELSEWHERE = Scope("c1", "123456789012", "us-east-1"), Scope("c1", "123456789012", "eu-west-1")
LARGE: Demand = {"ml.m5.large": 1}
MEDIUM: Demand = {"ml.t2.medium": 1}
FOUR: Demand = {"ml.m5.large": 4}
FULL = QuotaExceeded("The account-level service limit 'ml.m5.large for endpoint usage' is 1 Instances.")
TOO_LOW = QuotaExceeded(
    "The account-level service limit 'ml.m5.large for endpoint usage' is 4 Instances, with current utilization of 0 "
    "Instances and a request delta of 5 Instances."
)


def claim(name: str) -> Claim:
    """The claim of an object that is the older the earlier its name is in the alphabet."""
    return Claim(NOON + timedelta(seconds=ord(name)), name, Key(ENDPOINT, name))


@dataclass
class Account:
    """Objects that ask for room in an account, and who was woken."""

    time: float = 100.0
    gone: set[str] = field(default_factory=set)
    enqueued: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self._find, lambda key: self.enqueued.append(key.name), lambda: self.time)

    def tries(self, name: str, demand: Demand = LARGE, *, room: bool = False, holds: bool = False) -> str:
        """What comes of an object's reconciliation: it waits, is refused by AWS, or gets what it wants."""
        if self.quotas.refusal(HERE, claim(name), demand, holds=holds):
            self.quotas.keep_only(HERE, name, {claim(name).endpoint}, self.quotas.reserved(HERE, name))
            return "waits"
        if not room:
            self.quotas.refused(HERE, claim(name), demand, FULL, holds=holds)
        kept = () if room else self.quotas.reserved(HERE, name)
        self.quotas.keep_only(HERE, name, () if room else {claim(name).endpoint}, kept)
        return "served" if room else "refused"

    def _find(self, uid: str) -> ObjectKey | None:
        return None if uid in self.gone else endpoint_key("ns", uid)


@pytest.fixture
def account() -> Account:
    return Account()


def test_only_the_oldest_tries_again_and_the_others_wait_without_a_call(account: Account) -> None:
    assert [account.tries(name) for name in "bac"] == ["refused", "refused", "waits"]
    account.time += 60
    assert [account.tries(name) for name in "abc"] == ["refused", "waits", "waits"]


def test_a_later_claim_does_not_take_released_capacity(account: Account) -> None:
    account.tries("a")
    assert account.tries("b", room=True) == "waits"
    assert account.tries("c", MEDIUM, room=True) == "served", "another kind of room is free for all"


def test_an_older_object_goes_first_although_it_claims_later(account: Account) -> None:
    account.tries("b")
    assert account.tries("a", room=True) == "served"


def test_room_calls_the_first_at_once_and_its_success_the_next(account: Account) -> None:
    for name in "abc":
        account.tries(name)
    account.enqueued.clear()
    account.quotas.room(HERE)
    assert account.enqueued == ["a"]
    assert account.tries("a", room=True) == "served"
    assert account.enqueued == ["a", "b"]
    assert account.tries("b") == "refused", "that was all the room there was"
    assert account.tries("c") == "waits"


def test_who_asks_for_less_is_tried_behind_who_does_not_fit_at_a_pace(account: Account) -> None:
    assert [account.tries("a", FOUR), account.tries("b"), account.tries("c")] == ["refused", "refused", "waits"]
    assert account.quotas.due(HERE, "b") == 1.0
    assert account.tries("b") == "waits", "the pause is not over"
    account.time += 1
    assert account.tries("b", room=True) == "served"
    assert account.enqueued == ["c"], "it is the next one that may fit"
    assert account.tries("c", room=True) == "served"


def test_room_calls_everybody_who_may_fit(account: Account) -> None:
    for name, demand in (("a", FOUR), ("b", LARGE), ("c", LARGE)):
        account.tries(name, demand)
    account.quotas.room(HERE)
    assert account.enqueued == ["a", "b"]


def test_who_can_never_fit_leaves_the_line_and_nobody_waits_behind_it(account: Account) -> None:
    account.tries("a", FOUR)
    account.tries("b", FOUR)
    reported = account.quotas.refused(HERE, claim("a"), {"ml.m5.large": 5}, TOO_LOW)
    assert isinstance(reported, QuotaTooLow)
    assert account.enqueued == ["b"]
    assert account.quotas.due(HERE, "a") is None
    assert account.tries("b", FOUR, room=True) == "served"


def test_a_changed_demand_is_tried_at_once(account: Account) -> None:
    account.tries("a", FOUR)
    assert account.tries("a", FOUR) == "waits"
    assert account.tries("a", LARGE, room=True) == "served"


def test_what_serves_already_waits_behind_nobody(account: Account) -> None:
    account.tries("a")
    assert account.tries("b", holds=True) == "refused"
    account.time += 1
    assert account.tries("b", holds=True) == "refused", "it tries again although it is not the first"


def test_the_room_of_an_endpoint_that_is_recreated_is_kept_for_it(account: Account) -> None:
    account.tries("a")
    account.time += 60
    account.quotas.reserve(HERE, claim("b"), LARGE)
    assert account.tries("a", room=True) == "waits", "it would take the room"
    assert account.tries("c", MEDIUM, room=True) == "served", "other room is free for all"
    assert account.tries("d", room=True, holds=True) == "waits", "an update takes room too"
    account.quotas.room(HERE)
    assert account.enqueued == []
    assert account.tries("b", room=True) == "served"
    assert account.enqueued == ["a", "d"]
    assert account.tries("a") == "refused", "there was no other room"


def test_room_that_aws_counts_late_stays_reserved(account: Account) -> None:
    account.tries("a")
    account.quotas.reserve(HERE, claim("b"), LARGE)
    assert account.tries("b") == "refused"
    account.time += 60
    assert account.tries("a", room=True) == "waits"
    assert account.tries("b", room=True) == "served"


def test_room_is_not_kept_for_who_is_gone(account: Account) -> None:
    account.quotas.reserve(HERE, claim("b"), LARGE)
    assert account.tries("a", room=True) == "waits"
    account.gone.add("b")
    assert account.tries("a", room=True) == "served"


def test_room_elsewhere_calls_nobody_here(account: Account) -> None:
    account.tries("a")
    account.quotas.room(ELSEWHERE)
    assert account.enqueued == []


@pytest.mark.parametrize(
    "leave",
    [
        lambda account: account.quotas.keep_only(HERE, "a", ()),
        lambda account: account.gone.add("a"),
        lambda account: setattr(account, "time", account.time + CLAIM_SECONDS + 1),
    ],
    ids=["it wants something else", "it is gone", "nobody has looked at it for long"],
)
def test_a_withdrawn_claim_lets_the_next_one_through(account: Account, leave: Callable[[Account], None]) -> None:
    for name in "ab":
        account.tries(name)
    leave(account)
    account.time += 1
    assert account.tries("b", room=True) == "served"


def test_a_claim_that_is_evaluated_regularly_keeps_its_position(account: Account) -> None:
    for name in "ab":
        account.tries(name)
    for _ in range(5):
        account.time += LOOK_SECONDS
        account.tries("b")
        account.tries("a")
    assert account.tries("b") == "waits"


def test_the_first_tries_again_after_growing_pauses_and_the_others_look_now_and_then(account: Account) -> None:
    account.tries("a")
    account.tries("b")
    assert account.quotas.due(HERE, "a") == 1.0
    assert account.tries("a") == "waits", "the pause is not over"
    account.time += 1
    assert account.tries("a") == "refused"
    assert account.quotas.due(HERE, "a") == 2.0
    assert account.quotas.due(HERE, "b") == LOOK_SECONDS
    assert account.quotas.due(HERE, "c") is None


def test_positions_are_those_of_the_last_evaluation(account: Account) -> None:
    for name in "abc":
        account.tries(name)
    reported = account.quotas.refusal(HERE, claim("c"), LARGE)
    assert "The endpoint is 3rd of 3 waiting for ml.m5.large for endpoint usage;" in str(reported)
    account.gone.add("a")
    reported = account.quotas.refusal(HERE, claim("c"), LARGE)
    assert "The endpoint is 2nd of 2" in str(reported)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["try", "gone", "room"])), max_size=30))
def test_whatever_happens_nobody_is_served_before_an_older_one_that_waits(events: list[tuple[str, str]]) -> None:
    account, waiting = Account(), set[str]()
    room = 0
    for name, event in events:
        if name in account.gone:
            continue
        if event == "gone":
            account.gone.add(name)
            waiting.discard(name)
        elif event == "room":
            room += 1
            account.quotas.room(HERE)
        else:
            outcome = account.tries(name, room=room > 0)
            if outcome == "served":
                assert not [other for other in waiting if other < name]
                room -= 1
                waiting.discard(name)
            else:
                waiting.add(name)
