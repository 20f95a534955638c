import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from kubernetes.aio.client import ApiClient as AsyncApiClient
from kubernetes.aio.client import Configuration
from kubernetes.client import ApiClient, CoordinationV1Api, V1LeaseSpec
from kubernetes.client.exceptions import NotFoundException
from tests.aws.cloud import eventually
from tests.fixtures.connection import Connection, line_to
from tests.fixtures.virtual_time import VirtualTime
from typing_extensions import override

from ephemeral_endpoints.kube.elector import Elector, LeaseLost, leadership
from ephemeral_endpoints.kube.lease import Lease, Record, Timing

TIMING = Timing(lease=10, renew_deadline=7, retry=0.1)
SECONDS = 60
NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
PATCH = "application/merge-patch+json"


class Clock:
    """Time that passes only when a test lets it: how busy the machine is decides nothing."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Day:
    """The time of day, which passes with a clock and is never the same twice; ``ahead`` is by how much it was set."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.ahead = timedelta()
        self._clock = clock
        self._ticks = count()

    def __call__(self) -> datetime:
        return NOON + self.ahead + timedelta(seconds=self._clock(), microseconds=next(self._ticks))


class Counted(Lease):
    """A Lease that counts how often it was looked at and tried to be written."""

    looks = 0
    tries = 0

    async def read(self) -> tuple[Record | None, str | None]:
        found = await super().read()
        self.looks += 1
        return found

    async def write(self, record: Record, version: str | None) -> str:
        self.tries += 1
        return await super().write(record, version)


class Replicas:
    """Competitors for one Lease of the test's own, and what anybody else can do to it."""

    def __init__(self, api: AsyncApiClient, administrator: ApiClient) -> None:
        self.clock = Clock()
        self.day = Day(self.clock)
        self.name = f"test-{uuid4().hex[:8]}"
        self._api = api
        self._leases = CoordinationV1Api(administrator)

    def elector(self, identity: str, *, lease: Lease | None = None, timing: Timing = TIMING) -> Elector:
        lease = lease or self.lease()
        return Elector(lease, identity, clock=self.clock, now=self.day, timing=timing)

    def lease(self, api: AsyncApiClient | None = None) -> Counted:
        return Counted(api or self._api, "default", self.name)

    def patch(self, body: dict[str, Any]) -> None:
        self._leases.patch_namespaced_lease(self.name, "default", body, _content_type=PATCH)

    def delete(self) -> None:
        self._leases.delete_namespaced_lease(self.name, "default")

    def holder(self) -> str:
        return self._spec().holder_identity or ""

    def is_renewed_by(self, identity: str, since: datetime) -> bool:
        with contextlib.suppress(NotFoundException):
            spec = self._spec()
            return spec.holder_identity == identity and spec.renew_time is not None and spec.renew_time > since
        return False

    def _spec(self) -> V1LeaseSpec:
        spec = self._leases.read_namespaced_lease(self.name, "default").spec
        assert spec is not None
        return spec


@pytest.fixture
def replicas(api: AsyncApiClient, kubernetes_client: ApiClient) -> Replicas:
    return Replicas(api, kubernetes_client)


@contextlib.asynccontextmanager
async def running(wanted: Awaitable[None]) -> AsyncIterator["asyncio.Future[None]"]:
    task = asyncio.ensure_future(wanted)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def soon(wanted: Awaitable[None]) -> None:
    await asyncio.wait_for(wanted, SECONDS)


async def until(holds: Callable[[], bool], what: str) -> None:
    async def check() -> bool:
        return holds()

    await eventually(check, what)


async def looked_at(lease: Counted) -> None:
    """Wait until the Lease was read once more, from now on."""
    before = lease.looks
    await until(lambda: lease.looks > before + 1, "another look")


async def test_of_two_that_begin_at_once_exactly_one_leads_and_keeps_leading(replicas: Replicas) -> None:
    leases = [replicas.lease(), replicas.lease()]
    electors = [replicas.elector(name, lease=lease) for name, lease in zip("ab", leases, strict=True)]
    async with running(electors[0].acquire()) as one, running(electors[1].acquire()) as two:
        await asyncio.wait([one, two], return_when=asyncio.FIRST_COMPLETED)
        leader, standby = electors if one.done() else reversed(electors)
        waiting, watched = (two, leases[1]) if one.done() else (one, leases[0])
        async with running(leader.keep()) as keeping:
            for _ in range(4):
                replicas.clock.now += TIMING.lease / 2
                since = replicas.day()
                await until(lambda since=since: replicas.is_renewed_by(replicas.holder(), since), "it renews")  # type: ignore[misc]
                await looked_at(watched)
            assert leader.is_leading()
            assert not keeping.done()
            assert not waiting.done()
            assert not standby.is_leading()
            assert standby.is_informed, "it may call itself ready"


async def test_after_a_release_the_next_one_leads_at_once(replicas: Replicas) -> None:
    first, second = replicas.elector("a"), replicas.elector("b")
    await soon(first.acquire())
    async with running(second.acquire()) as waiting:
        await until(lambda: second.is_informed, "it stands by")
        await first.release()
        assert not first.is_leading()
        await soon(waiting)
    assert replicas.clock.now == 0, "no time had to pass"
    assert replicas.holder() == "b"


async def test_after_a_crash_the_next_one_leads_when_the_lease_is_over_and_the_first_cannot_act_any_more(
    replicas: Replicas,
) -> None:
    watched = replicas.lease()
    first, second = replicas.elector("a"), replicas.elector("b", lease=watched)
    await soon(first.acquire())
    async with running(second.acquire()) as waiting:
        await looked_at(watched)
        replicas.clock.now = TIMING.renew_deadline
        assert not first.is_leading(), "its renew deadline lies before the end of the lease"
        replicas.clock.now = TIMING.lease - 0.001
        await looked_at(watched)
        assert not waiting.done()
        replicas.clock.now = TIMING.lease
        await soon(waiting)
    assert second.is_leading()
    assert not first.is_leading()


async def test_a_leader_whose_lease_was_taken_learns_it_at_the_next_renewal(replicas: Replicas) -> None:
    first = replicas.elector("a")
    await soon(first.acquire())
    replicas.patch({"spec": {"holderIdentity": "thief"}})
    with pytest.raises(LeaseLost, match="taken by thief"):
        await soon(first.keep())
    assert not first.is_leading()
    await first.release()
    assert replicas.holder() == "thief", "who has lost the Lease does not free it"


@pytest.mark.parametrize(
    "meddle",
    [
        lambda replicas: replicas.patch({"metadata": {"labels": {"a": "b"}}}),
        lambda replicas: replicas.delete(),
        lambda replicas: replicas.patch({"spec": {"holderIdentity": None}}),
    ],
    ids=["labelled", "deleted", "emptied"],
)
async def test_a_leader_survives_what_others_do_to_the_lease_without_taking_it(
    replicas: Replicas, meddle: Callable[[Replicas], None]
) -> None:
    leader = replicas.elector("a")
    await soon(leader.acquire())
    async with running(leader.keep()) as keeping:
        meddle(replicas)
        since = replicas.day()
        await until(lambda: replicas.is_renewed_by("a", since), "it renews all the same")
        assert not keeping.done()
        assert leader.is_leading()


async def test_a_candidate_keeps_waiting_when_the_lease_of_the_holder_is_deleted(replicas: Replicas) -> None:
    watched = replicas.lease()
    first, second = replicas.elector("a"), replicas.elector("b", lease=watched)
    await soon(first.acquire())
    async with running(second.acquire()) as waiting:
        await until(lambda: second.is_informed, "it stands by")
        replicas.delete()
        replicas.clock.now = TIMING.lease - 0.001
        assert not first.is_leading(), "the first may not act any more"
        await looked_at(watched)
        assert not waiting.done()
        replicas.clock.now = TIMING.lease
        await soon(waiting)


async def test_a_process_that_was_stopped_does_not_lead_when_it_goes_on(replicas: Replicas) -> None:
    first = replicas.elector("a")
    await soon(first.acquire())
    assert first.is_leading()
    replicas.clock.now = TIMING.renew_deadline
    assert not first.is_leading()
    with pytest.raises(LeaseLost, match="could not be renewed"):
        await soon(first.keep())


async def test_a_machine_whose_monotonic_clock_stood_does_not_lead_once_its_time_of_day_is_set(
    replicas: Replicas,
) -> None:
    first = replicas.elector("a")
    await soon(first.acquire())
    replicas.day.ahead = timedelta(seconds=TIMING.renew_deadline)
    assert not first.is_leading(), "as after a pause of the virtual machine"
    with pytest.raises(LeaseLost, match="could not be renewed"):
        await soon(first.keep())


async def test_a_time_of_day_that_is_set_back_prolongs_nothing(replicas: Replicas) -> None:
    first = replicas.elector("a")
    await soon(first.acquire())
    replicas.day.ahead = timedelta(hours=-8)
    assert first.is_leading()
    replicas.clock.now = TIMING.renew_deadline
    assert not first.is_leading()


async def test_who_slept_while_another_renewed_waits_for_the_whole_lease_again(replicas: Replicas) -> None:
    watched = replicas.lease()
    leader, sleeper = replicas.elector("a"), replicas.elector("b", lease=watched)
    await soon(leader.acquire())
    async with running(sleeper.acquire()):
        await until(lambda: sleeper.is_informed, "it stands by")
    async with running(leader.keep()):
        since = replicas.day()
        replicas.clock.now += TIMING.renew_deadline - 1
        await until(lambda: replicas.is_renewed_by("a", since), "it renews")
    replicas.clock.now += TIMING.lease - 1
    async with running(sleeper.acquire()) as waking:
        await looked_at(watched)
        assert not waking.done(), "what it saw before it slept says nothing"
    assert replicas.holder() == "a"


@pytest.mark.parametrize("happens", [Connection.hang, Connection.cut], ids=["does not answer", "refuses connections"])
async def test_a_leader_that_cannot_reach_the_api_server_gives_up_at_the_renew_deadline(
    replicas: Replicas, api: AsyncApiClient, happens: Callable[[Connection], None]
) -> None:
    impatient = Timing(lease=2, renew_deadline=1.4, retry=0.1)
    async with line_to(api.configuration) as (line, configuration), AsyncApiClient(configuration) as through:
        lease = replicas.lease(through)
        leader = replicas.elector("a", lease=lease, timing=impatient)
        await soon(leader.acquire())
        happens(line)
        async with running(leader.keep()) as keeping:
            tried = lease.tries
            await until(lambda: lease.tries > tried + 1, "it tries again and again")
            replicas.clock.now = impatient.renew_deadline - 0.001
            assert leader.is_leading()
            assert not keeping.done()
            replicas.clock.now = impatient.renew_deadline
            with pytest.raises(LeaseLost, match="could not be renewed"):
                await asyncio.wait_for(keeping, SECONDS)
        await asyncio.wait_for(leader.release(), SECONDS)


async def test_the_attempt_after_one_on_a_dropped_connection_opens_another_and_renews(
    replicas: Replicas, api: AsyncApiClient
) -> None:
    impatient = Timing(lease=3, renew_deadline=2.1, retry=0.1)
    async with line_to(api.configuration) as (line, configuration), AsyncApiClient(configuration) as through:
        lease = replicas.lease(through)
        leader = replicas.elector("a", lease=lease, timing=impatient)
        await soon(leader.acquire())
        async with running(leader.keep()) as keeping:
            line.drop()
            since, tried, opened = replicas.day(), lease.tries, line.opened
            await until(lambda: replicas.is_renewed_by("a", since), "it renews on another connection")
            assert lease.tries >= tried + 2, "the first attempt was on the dropped one"
            failed = lease.tries - tried - 1
            assert opened < line.opened <= opened + failed, "none but after one that has failed"
            assert not keeping.done()


class Hanging(Lease):
    """A Lease that is held, and whose every request takes as long as it may."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.began: list[float] = []
        self.hangs = False
        self._clock = clock

    @override
    async def read(self) -> tuple[Record | None, str | None]:
        return None, None

    @override
    async def write(self, record: Record, version: str | None) -> str:
        self.began.append(self._clock())
        if self.hangs:
            await asyncio.Event().wait()
        return "1"


@pytest.mark.parametrize("timing", [Timing(), Timing(lease=15, renew_deadline=10, retry=2), Timing(retry=1)], ids=str)
def test_two_attempts_that_get_no_answer_fit_into_the_renew_deadline(timing: Timing) -> None:
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        clock = runner.get_loop().time
        lease = Hanging(clock)
        elector = Elector(lease, "a", clock=clock, now=Day(clock), timing=timing)

        async def lose() -> None:
            await elector.acquire()
            lease.hangs = True
            with pytest.raises(LeaseLost, match="could not be renewed"):
                await elector.keep()

        runner.run(lose())
        acquired, *attempts = lease.began
        assert attempts == pytest.approx([acquired + timing.retry, acquired + timing.retry + timing.request])
        assert clock() == pytest.approx(acquired + timing.renew_deadline), "and not a moment longer does it lead"


async def test_a_candidate_waits_for_an_unreachable_api_server(replicas: Replicas) -> None:
    async with AsyncApiClient(Configuration(host="http://127.0.0.1:1")) as nowhere:
        elector = replicas.elector("a", lease=replicas.lease(nowhere))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(elector.acquire(), 5 * TIMING.retry)
        assert not elector.is_informed
        assert not elector.is_leading()


async def test_the_leader_only_writes_the_lease_and_who_stands_by_only_reads_it(
    replicas: Replicas, api: AsyncApiClient
) -> None:
    leader, standby = replicas.elector("a"), replicas.elector("b")
    await soon(leader.acquire())
    seen: list[str] = []

    async def note(_: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        seen.append(request.method)

    assert api.rest_client.pool_manager is not None
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    trace.freeze()
    api.rest_client.pool_manager.trace_configs.append(trace)
    async with running(leader.keep()):
        await until(lambda: len(seen) >= 3, "three renewals")
    assert set(seen) == {"PATCH"}
    seen.clear()
    async with running(standby.acquire()):
        await until(lambda: len(seen) >= 3, "three looks")
    assert set(seen) == {"GET"}


async def test_leadership_lasts_as_long_as_its_context_and_is_released_with_it(replicas: Replicas) -> None:
    elector, stop, lost = replicas.elector("a"), asyncio.Event(), list[LeaseLost]()
    async with leadership(elector, stop=stop, on_lost=lost.append) as leads:
        assert leads
        stop.set()
        since = replicas.day()
        await until(lambda: replicas.is_renewed_by("a", since), "it renews while the calls in hand are finished")
    assert not elector.is_leading()
    assert replicas.holder() == ""
    assert lost == []


async def test_a_candidate_that_is_stopped_never_leads(replicas: Replicas) -> None:
    first, second, stop = replicas.elector("a"), replicas.elector("b"), asyncio.Event()
    await soon(first.acquire())
    asyncio.get_running_loop().call_later(2 * TIMING.retry, stop.set)
    async with leadership(second, stop=stop, on_lost=lambda lost: pytest.fail(str(lost))) as leads:
        assert not leads
    assert replicas.holder() == "a"


async def test_a_leader_that_loses_the_lease_is_stopped_during_its_work(replicas: Replicas) -> None:
    lost: asyncio.Future[LeaseLost] = asyncio.get_running_loop().create_future()
    async with leadership(replicas.elector("a"), stop=asyncio.Event(), on_lost=lost.set_result):
        replicas.patch({"spec": {"holderIdentity": "thief"}})
        assert "thief" in str(await asyncio.wait_for(lost, SECONDS))
    assert replicas.holder() == "thief"


class Refused(Exception):  # noqa: N818 - what a check of these tests raises
    pass


def refuse() -> None:
    raise Refused
