import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import CredentialRetrievalError
from tests.aws.cloud import Cloud
from tests.aws.connectors import HOME, Same
from tests.engine.objects import make_class
from tests.fixtures.aws import CLUSTER

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.accounts import LONGEST_PAUSE_SECONDS, Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Access, Clients, Role, Sessions
from ephemeral_endpoints.aws.freshness import take_snapshots
from ephemeral_endpoints.aws.limits import Limiter
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP
from ephemeral_endpoints.features.registry import components
from ephemeral_endpoints.features.serving.specs import ENDPOINT

OTHER = "111111111111"
ROLE = Role(f"arn:aws:iam::{OTHER}:role/operator")
FAR = Access(OTHER, "us-east-1", ROLE)
MINE = Access(HOME.account, HOME.region, Role(f"arn:aws:iam::{HOME.account}:role/one"))
ALSO_MINE = Access(HOME.account, HOME.region, Role(f"arn:aws:iam::{HOME.account}:role/two"))
DENIED = FaultError(code="AccessDenied", message="no", status=403)

pytestmark = pytest.mark.usefixtures("cloud")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class NearAndFar:
    """Leads to the embedded account by the same clients every time, and by ``ROLE`` elsewhere."""

    near: Same
    far: Sessions

    def connect(self, region: str, role: Role | None) -> Clients:
        return self.far.connect(region, role) if role == ROLE else self.near.connect(region, role)

    def forget(self, clients: Clients) -> None:
        if clients is self.near.clients:
            self.near.forget(clients)
        else:
            self.far.forget(clients)


@dataclass
class Ways:
    """Accounts by real sessions."""

    sessions: Sessions
    calls: Calls
    clock: Callable[[], float] = time.monotonic
    asked: list[Access] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.accounts = Accounts(
            CLUSTER,
            connector=self.sessions,
            calls=self._calls,
            components=components,
            clock=self.clock,
            on_change=lambda _: None,
        )

    def _calls(self, access: Access) -> Calls:
        self.asked.append(access)
        return replace(self.calls, limiter=Limiter(time.monotonic, {}))


@pytest.fixture
def ways(calls: Calls) -> Ways:
    return Ways(Sessions(connections=4), calls)


@pytest.fixture
def same(cloud: Cloud) -> Same:
    return Same(cloud.clients)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(same: Same, calls: Calls, clock: Clock) -> Accounts:
    return Accounts(
        CLUSTER, connector=same, calls=lambda _: calls, components=components, clock=clock, on_change=lambda _: None
    )


async def test_an_account_is_connected_once_for_all_and_complete_when_it_is_handed_out(
    cloud: Cloud, accounts: Accounts, same: Same
) -> None:
    await cloud.make(cloud.resources[ALARM])
    cloud.aws.control.reset_meter()
    found = await asyncio.gather(*(accounts.by(HOME) for _ in range(5)))
    assert same.connected == [("us-east-1", None)]
    assert cloud.aws.control.calls()["sts"] == {"GetCallerIdentity": 1}
    assert cloud.aws.control.calls()["sagemaker"]["ListEndpoints"] == 1
    assert {id(account) for account in found} == {id(accounts.connected[0])}
    assert found[0].scope == cloud.scope
    assert cloud.key(ALARM) in found[0].inventory.all


async def test_an_account_that_cannot_be_listed_is_not_handed_out_and_all_who_wait_share_the_attempt(
    cloud: Cloud, accounts: Accounts, same: Same, clock: Clock
) -> None:
    denied = FaultError(code="AccessDeniedException", status=400)
    cloud.aws.control.add_faults(Fault(service="logs", operation="DescribeLogGroups", error=denied))
    results = await asyncio.gather(*(accounts.by(HOME) for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in results] == [errors.Denied] * 5
    assert len(same.connected) == 1
    assert not accounts.connected
    cloud.aws.control.clear_faults()
    clock.now += LONGEST_PAUSE_SECONDS
    account = await accounts.by(HOME)
    assert list(accounts.connected) == [account]


async def test_owners_are_reported_once_an_account_that_could_not_be_listed_can(
    cloud: Cloud, same: Same, calls: Calls, clock: Clock
) -> None:
    reported: list[str] = []
    accounts = Accounts(
        CLUSTER, connector=same, calls=lambda _: calls, components=components, clock=clock, on_change=reported.append
    )
    await cloud.make(cloud.resources[ALARM])
    denied = FaultError(code="AccessDeniedException", status=400)
    cloud.aws.control.add_faults(Fault(service="logs", operation="DescribeLogGroups", error=denied))
    with pytest.raises(errors.Denied):
        await accounts.by(HOME)
    assert reported == []
    cloud.aws.control.clear_faults()
    clock.now += LONGEST_PAUSE_SECONDS
    account = await accounts.by(HOME)
    assert sorted(reported) == sorted(account.inventory.owners()), "their next attempts may be minutes away"
    accounts.forget(account)
    reported.clear()
    await accounts.by(HOME)
    assert reported == [], "nobody waits"


async def test_a_cancelled_waiter_does_not_cancel_the_others(cloud: Cloud, accounts: Accounts) -> None:
    cloud.aws.control.add_faults(Fault(service="sts", held=True, times=1))
    impatient, patient = (asyncio.create_task(accounts.by(HOME)) for _ in range(2))
    await cloud.fault_has_struck()
    impatient.cancel()
    await asyncio.wait([impatient])
    cloud.aws.control.clear_faults()
    assert (await patient).scope == cloud.scope


async def test_a_forgotten_account_is_connected_anew_and_keeps_its_rate_limits(accounts: Accounts, same: Same) -> None:
    first = await accounts.by(HOME)
    accounts.forget(first)
    assert accounts.connected == ()
    assert same.forgotten == 1
    second = await accounts.by(HOME)
    assert second is not first
    assert second.calls.limiter is first.calls.limiter
    assert len(same.connected) == 2


async def test_credentials_that_do_not_work_are_not_kept(cloud: Cloud, accounts: Accounts, same: Same) -> None:
    expired = FaultError(code="ExpiredToken", status=403)
    cloud.aws.control.add_faults(Fault(service="sts", error=expired, times=1))
    with pytest.raises(errors.Unauthenticated):
        await accounts.by(HOME)
    assert same.forgotten == 1


async def test_expired_credentials_cost_four_calls_a_minute_however_many_objects_want_the_account(
    cloud: Cloud, accounts: Accounts, clock: Clock
) -> None:
    cloud.aws.control.add_faults(Fault(service="sts", error=FaultError(code="ExpiredToken", status=403)))
    objects, every, minutes, began = 100, 15.0, 20, clock.now
    while clock.now < began + minutes * 60:
        with pytest.raises(errors.Unauthenticated) as caught:
            await accounts.by(HOME)
        assert "a platform engineer must renew the operator's credentials" in caught.value.described
        clock.now += every / objects
    asked = cloud.aws.control.calls()["sts"]["GetCallerIdentity"]
    assert asked == pytest.approx(minutes * 60 / LONGEST_PAUSE_SECONDS, abs=5)
    assert accounts.ages()[HOME] == pytest.approx(minutes * 60), "which alerts tell"

    cloud.aws.control.clear_faults()
    clock.now += LONGEST_PAUSE_SECONDS
    assert (await accounts.by(HOME)).scope == cloud.scope, "without a restart"


class Unanswered:
    """Credentials that cannot be had: the agent of the node does not answer."""

    def connect(self, *_: object) -> Clients:
        raise CredentialRetrievalError(provider="container-role", error_msg="no answer")

    def forget(self, _: Clients) -> None:
        pytest.fail("there are none")


async def test_credentials_that_the_node_does_not_hand_out_are_reported_as_missing(calls: Calls, clock: Clock) -> None:
    accounts = Accounts(
        CLUSTER,
        connector=Unanswered(),
        calls=lambda _: calls,
        components=components,
        clock=clock,
        on_change=lambda _: None,
    )
    with pytest.raises(errors.Unauthenticated, match=r"container-role: no answer"):
        await accounts.by(HOME)


async def test_a_class_works_in_the_account_of_its_role_and_nowhere_else(cloud: Cloud, ways: Ways) -> None:
    await cloud.make(cloud.resources[LOG_GROUP])
    roles = dict.fromkeys(("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), f"arn:aws:iam::{OTHER}:role/any")
    far = await ways.accounts.of(make_class({"spec": {**roles, "assumeRole": {"roleArn": ROLE.arn}}}))
    assert far.scope.account_id == OTHER
    assert cloud.key(LOG_GROUP) not in far.inventory.all, "what the operator's own account has is not seen there"
    home = await ways.accounts.by(HOME)
    assert cloud.key(LOG_GROUP) in home.inventory.all
    assert far.calls.limiter is not home.calls.limiter
    assert ways.asked == [FAR, HOME]


async def test_credentials_of_another_account_than_the_class_names_are_refused_before_anything_is_looked_at(
    cloud: Cloud, ways: Ways
) -> None:
    with pytest.raises(errors.WrongAccount) as caught:
        await ways.accounts.by(Access(OTHER, "us-east-1"))
    reported = str(caught.value)
    assert f"the credentials belong to account {HOME.account}" in reported
    assert f"the class's roles to {OTHER}" in reported
    assert "spec.assumeRole" in reported
    assert caught.value.terminal
    assert cloud.aws.control.calls() == {"sts": {"GetCallerIdentity": 1}}
    assert ways.accounts.connected == ()


async def test_a_role_that_may_not_be_assumed_concerns_only_the_classes_that_name_it(cloud: Cloud, ways: Ways) -> None:
    cloud.aws.control.add_faults(Fault(service="sts", operation="AssumeRole", error=DENIED))
    far, home = await asyncio.gather(ways.accounts.by(FAR), ways.accounts.by(HOME), return_exceptions=True)
    assert isinstance(far, errors.Denied)
    assert "AssumeRole" in str(far)
    assert isinstance(home, Account)


async def test_an_account_that_does_not_answer_delays_no_other(cloud: Cloud, ways: Ways) -> None:
    far, home = await ways.accounts.by(FAR), await ways.accounts.by(HOME)
    hanging: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def hang(*_: Any, **__: Any) -> None:  # noqa: ANN401 - whatever is asked
        await hanging

    before, rounds = home.seen_at, 0

    async def sleep(_: float) -> None:
        nonlocal rounds
        rounds += 1
        while home.seen_at == before and rounds == 2:
            await asyncio.sleep(0.01)
        if rounds == 2:
            raise asyncio.CancelledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(far, "refresh", hang)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(take_snapshots(ways.accounts, 0, time.monotonic, sleep), 60)
    assert home.seen_at > before
    assert cloud.aws.control.calls()["lambda"]["ListFunctions"] == 3, "one each to connect, and the round of the other"


@dataclass
class Stuck:
    """Never finds the credentials of a role, until it is released."""

    near: Same
    released: threading.Event = field(default_factory=threading.Event)

    def connect(self, region: str, role: Role | None) -> Clients:
        if role:
            self.released.wait()
            raise CredentialRetrievalError(provider="container-role", error_msg="no answer")
        return self.near.connect(region, role)

    def forget(self, clients: Clients) -> None:
        self.near.forget(clients)


async def test_accounts_whose_credentials_never_come_take_no_thread_from_another(
    same: Same, calls: Calls, clock: Clock
) -> None:
    stuck, pools = Stuck(same), list[ThreadPoolExecutor]()

    def calls_of(_: Access) -> Calls:
        pools.append(ThreadPoolExecutor(1))
        return replace(calls, pool=pools[-1])

    accounts = Accounts(
        CLUSTER, connector=stuck, calls=calls_of, components=components, clock=clock, on_change=lambda _: None
    )
    # More than asyncio's own threads, of which there are at most 32.
    roles = [Role(f"arn:aws:iam::{OTHER}:role/{number}") for number in range(40)]
    waiting = [asyncio.create_task(accounts.by(Access(OTHER, HOME.region, role))) for role in roles]
    try:
        near = await asyncio.wait_for(accounts.by(HOME), 60)
        assert near.scope.account_id == HOME.account
        assert not any(each.done() for each in waiting)
    finally:
        stuck.released.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        for pool in pools:
            pool.shutdown()
    assert {type(each) for each in outcomes} == {errors.Unauthenticated}


async def test_two_roles_of_one_account_share_its_rate_limits_and_nothing_else(ways: Ways) -> None:
    one, two = await asyncio.gather(ways.accounts.by(MINE), ways.accounts.by(ALSO_MINE))
    assert one is not two
    assert one.clients.session is not two.clients.session
    assert one.scope == two.scope
    assert one.calls.limiter is two.calls.limiter
    assert set(ways.accounts.sharing(one.scope)) == {one, two}


@pytest.mark.parametrize(
    ("used", "left", "reason"),
    [
        ({MINE}, {MINE}, "the class has another role now, by which the account is seen"),
        ({MINE, FAR}, {MINE, FAR}, "others are not concerned"),
        (set(), {MINE, ALSO_MINE}, "what was left behind there is still to be found"),
        ({FAR}, {MINE, ALSO_MINE, FAR}, "another account is not the same"),
    ],
)
async def test_a_connection_that_no_class_uses_is_given_up_for_another_to_the_same_place(
    same: Same, calls: Calls, used: set[Access], left: set[Access], reason: str
) -> None:
    accounts = Accounts(
        CLUSTER,
        connector=NearAndFar(same, Sessions(connections=1)),
        calls=lambda _: calls,
        components=components,
        clock=time.monotonic,
        on_change=lambda _: None,
    )
    connected = {access: await accounts.by(access) for access in (MINE, ALSO_MINE)}
    if FAR in used:
        connected[FAR] = await accounts.by(FAR)
    accounts.keep_only(used)
    assert set(accounts.connected) == {connected[access] for access in left}, reason


async def test_the_age_of_what_is_known_grows_while_it_cannot_be_listed(cloud: Cloud, calls: Calls, same: Same) -> None:
    clock = Clock()
    accounts = Accounts(
        CLUSTER, connector=same, calls=lambda _: calls, components=components, clock=clock, on_change=lambda _: None
    )
    assert accounts.ages() == {}
    cloud.aws.control.add_faults(Fault(service="sagemaker", operation="ListModels", error=DENIED))
    for _ in range(2):
        with pytest.raises(errors.Denied):
            await accounts.by(HOME)
        clock.now += LONGEST_PAUSE_SECONDS
    assert accounts.ages() == {HOME: 2 * LONGEST_PAUSE_SECONDS}, "since the first failure"

    cloud.aws.control.clear_faults()
    account = await accounts.by(HOME)
    clock.now += 5
    assert accounts.ages() == {HOME: 5}
    cloud.aws.control.add_faults(Fault(service="sagemaker", operation="ListModels", error=DENIED))
    clock.now += 5
    with pytest.raises(errors.Denied):
        await account.refresh(account.kinds, since=clock.now)
    await account.refresh((ENDPOINT,), since=clock.now)
    assert accounts.ages() == {HOME: 10}, "one kind that cannot be listed is enough"
