from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.core.errors import QuotaExceeded
from ephemeral_endpoints.core.quotas import LOOK_SECONDS, PATIENCE_SECONDS, Claim
from ephemeral_endpoints.core.resources import Key, Kind
from ephemeral_endpoints.kube.store import ObjectKey
from ephemeral_endpoints.reconcile.quotas import Quotas

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE, ELSEWHERE = Scope("c1", "123456789012", "us-east-1"), Scope("c1", "123456789012", "eu-west-1")
LARGE = frozenset({"ml.m5.large"})
MEDIUM = frozenset({"ml.t2.medium"})
FULL = QuotaExceeded("The account-level service limit 'ml.m5.large for endpoint usage' is 1 Instances.")


def claim(name: str) -> Claim:
    """The claim of an object that is the older the earlier its name is in the alphabet."""
    return Claim(NOON + timedelta(seconds=ord(name)), name, Key(Kind.ENDPOINT, name))


@dataclass
class Account:
    """Objects that ask for room in an account, and who was woken."""

    time: float = 100.0
    gone: set[str] = field(default_factory=set)
    woken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self._find, lambda key: self.woken.append(key.name), lambda: self.time)

    def tries(self, name: str, demanded: frozenset[str] = LARGE, *, room: bool = False) -> str:
        """What comes of an object's reconciliation: it waits, is refused by AWS, or gets what it wants."""
        if self.quotas.refusal(HERE, claim(name), demanded):
            self.quotas.keep_only(HERE, name, {claim(name).endpoint})
            return "waits"
        if not room:
            self.quotas.refused(HERE, claim(name), FULL)
        self.quotas.keep_only(HERE, name, () if room else {claim(name).endpoint})
        return "served" if room else "refused"

    def _find(self, uid: str) -> ObjectKey | None:
        return None if uid in self.gone else ObjectKey("ns", uid)


@pytest.fixture
def account() -> Account:
    return Account()


def test_only_the_oldest_tries_again_and_the_others_wait_without_a_call(account: Account) -> None:
    assert [account.tries(name) for name in "bac"] == ["refused", "refused", "waits"]
    account.time += 60
    assert [account.tries(name) for name in "abc"] == ["refused", "waits", "waits"]


def test_who_comes_later_does_not_snatch_the_room(account: Account) -> None:
    account.tries("a")
    assert account.tries("b", room=True) == "waits"
    assert account.tries("c", MEDIUM, room=True) == "served", "another kind of room is free for all"


def test_who_is_older_goes_first_although_it_comes_later(account: Account) -> None:
    account.tries("b")
    assert account.tries("a", room=True) == "served"


def test_room_calls_the_first_at_once_and_its_success_the_next(account: Account) -> None:
    for name in "abc":
        account.tries(name)
    account.woken.clear()
    account.quotas.room(HERE)
    assert account.woken == ["a"]
    assert account.tries("a", room=True) == "served"
    assert account.woken == ["a", "b"]
    assert account.tries("b") == "refused", "that was all the room there was"
    assert account.tries("c") == "waits"


def test_room_elsewhere_calls_nobody_here(account: Account) -> None:
    account.tries("a")
    account.quotas.room(ELSEWHERE)
    assert account.woken == []


@pytest.mark.parametrize(
    "leave",
    [
        lambda account: account.quotas.keep_only(HERE, "a", ()),
        lambda account: account.gone.add("a"),
        lambda account: setattr(account, "time", account.time + PATIENCE_SECONDS + 1),
    ],
    ids=["it wants something else", "it is gone", "nobody has looked at it for long"],
)
def test_who_gives_up_makes_way(account: Account, leave: Callable[[Account], None]) -> None:
    for name in "ab":
        account.tries(name)
    leave(account)
    account.time += 1
    assert account.tries("b", room=True) == "served"


def test_who_is_looked_at_now_and_then_keeps_its_place(account: Account) -> None:
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


def test_positions_are_told_as_of_the_last_look(account: Account) -> None:
    for name in "abc":
        account.tries(name)
    told = account.quotas.refusal(HERE, claim("c"), LARGE)
    assert "It is 3rd of 3 waiting for ml.m5.large for endpoint usage." in str(told)
    account.gone.add("a")
    told = account.quotas.refusal(HERE, claim("c"), LARGE)
    assert "It is 2nd of 2" in str(told)


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
