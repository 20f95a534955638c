import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest
from kubernetes.aio.client import ApiClient as AsyncApiClient
from kubernetes.aio.client import Configuration
from kubernetes.client import ApiClient, CoordinationV1Api, V1LeaseSpec
from kubernetes.client.exceptions import NotFoundException
from tests.aws.world import eventually

from ephemeral_endpoints.kube.elector import Elector, LeaseLost, leadership
from ephemeral_endpoints.kube.lease import Lease, Timing

QUICK = Timing(lease=2, renew_deadline=1.4, retry=0.1)
SECONDS = 20
PATCH = "application/merge-patch+json"


class Replicas:
    """Competitors for one Lease of the test's own, and what anybody else can do to it."""

    def __init__(self, api: AsyncApiClient, administrator: ApiClient) -> None:
        self.name = f"test-{uuid4().hex[:8]}"
        self._api = api
        self._leases = CoordinationV1Api(administrator)

    def elector(
        self, identity: str, *, api: AsyncApiClient | None = None, clock: Callable[[], float] = time.monotonic
    ) -> Elector:
        lease = Lease(api or self._api, "default", self.name)
        return Elector(lease, identity, clock=clock, now=lambda: datetime.now(UTC), timing=QUICK)

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


async def test_of_two_that_begin_at_once_exactly_one_leads_and_keeps_leading(replicas: Replicas) -> None:
    electors = [replicas.elector("a"), replicas.elector("b")]
    async with running(electors[0].acquire()) as one, running(electors[1].acquire()) as two:
        await asyncio.wait([one, two], return_when=asyncio.FIRST_COMPLETED)
        leader, standby = electors if one.done() else reversed(electors)
        waiting = two if one.done() else one
        async with running(leader.keep()) as keeping:
            await asyncio.sleep(1.5 * QUICK.lease)
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
        began = time.monotonic()
        await first.release()
        assert not first.is_leading()
        await soon(waiting)
        assert time.monotonic() - began < QUICK.lease / 2
    assert replicas.holder() == "b"


async def test_after_a_crash_the_next_one_leads_when_the_lease_is_over_and_the_first_cannot_act_any_more(
    replicas: Replicas,
) -> None:
    first, second = replicas.elector("a"), replicas.elector("b")
    began = time.monotonic()
    await soon(first.acquire())
    await soon(second.acquire())
    took = time.monotonic() - began
    assert not first.is_leading(), "its renew deadline lies before the end of the lease"
    assert second.is_leading()
    assert QUICK.lease <= took < QUICK.lease + 5 * QUICK.retry + 1


async def test_whose_lease_was_taken_by_another_one_is_told_at_the_next_renewal(replicas: Replicas) -> None:
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
        since = datetime.now(UTC)
        await until(lambda: replicas.is_renewed_by("a", since), "it renews all the same")
        assert not keeping.done()
        assert leader.is_leading()


async def test_who_waits_for_a_holder_waits_on_when_the_lease_is_deleted_under_it(replicas: Replicas) -> None:
    first, second = replicas.elector("a"), replicas.elector("b")
    await soon(first.acquire())
    async with running(second.acquire()) as waiting:
        await until(lambda: second.is_informed, "it stands by")
        replicas.delete()
        await until(lambda: not first.is_leading(), "the first may not act any more")
        assert not waiting.done()
        await soon(waiting)


async def test_a_process_that_was_stopped_does_not_lead_when_it_goes_on(replicas: Replicas) -> None:
    skipped = 0.0
    first = replicas.elector("a", clock=lambda: time.monotonic() + skipped)
    await soon(first.acquire())
    assert first.is_leading()
    skipped = QUICK.renew_deadline
    assert not first.is_leading()
    with pytest.raises(LeaseLost, match="could not be renewed"):
        await soon(first.keep())


class Line:
    """A connection to the API server that can be held up or cut."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._through = asyncio.Event()
        self._through.set()
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def hang(self) -> None:
        """Swallow whatever is said from here on."""
        self._through.clear()

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, onward = await asyncio.open_connection(self._target.hostname, self._target.port)
            with contextlib.closing(writer), contextlib.closing(onward):
                await asyncio.gather(self._pipe(reader, onward), self._pipe(there, writer))

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._through.wait()
            sink.write(data)
        sink.close()


@pytest.mark.parametrize("happens", [Line.hang, Line.cut], ids=["does not answer", "refuses connections"])
async def test_a_leader_that_cannot_reach_the_api_server_gives_up_at_the_renew_deadline(
    replicas: Replicas, api: AsyncApiClient, happens: Callable[[Line], None]
) -> None:
    line = Line(str(api.configuration.host))
    configuration = Configuration(host=f"https://127.0.0.1:{await line.open()}")
    configuration.ssl_ca_cert = api.configuration.ssl_ca_cert
    configuration.api_key = dict(api.configuration.api_key)
    configuration.cert_file, configuration.key_file = api.configuration.cert_file, api.configuration.key_file
    async with AsyncApiClient(configuration) as through:
        leader = replicas.elector("a", api=through)
        await soon(leader.acquire())
        began = time.monotonic()
        happens(line)
        with pytest.raises(LeaseLost, match="could not be renewed"):
            await soon(leader.keep())
        assert time.monotonic() - began <= QUICK.lease, "before anybody else could take the Lease"
        await asyncio.wait_for(leader.release(), SECONDS)
    line.cut()


async def test_who_cannot_reach_the_api_server_waits_for_it(replicas: Replicas) -> None:
    async with AsyncApiClient(Configuration(host="http://127.0.0.1:1")) as nowhere:
        elector = replicas.elector("a", api=nowhere)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(elector.acquire(), 5 * QUICK.retry)
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
        since = datetime.now(UTC)
        await until(lambda: replicas.is_renewed_by("a", since), "it renews while the calls in hand are finished")
    assert not elector.is_leading()
    assert replicas.holder() == ""
    assert lost == []


async def test_who_is_to_stop_while_it_stands_by_never_leads(replicas: Replicas) -> None:
    first, second, stop = replicas.elector("a"), replicas.elector("b"), asyncio.Event()
    await soon(first.acquire())
    asyncio.get_running_loop().call_later(2 * QUICK.retry, stop.set)
    async with leadership(second, stop=stop, on_lost=lambda lost: pytest.fail(str(lost))) as leads:
        assert not leads
    assert replicas.holder() == "a"


async def test_who_loses_the_lease_is_told_in_the_midst_of_its_work(replicas: Replicas) -> None:
    lost: asyncio.Future[LeaseLost] = asyncio.get_running_loop().create_future()
    async with leadership(replicas.elector("a"), stop=asyncio.Event(), on_lost=lost.set_result):
        replicas.patch({"spec": {"holderIdentity": "thief"}})
        assert "thief" in str(await asyncio.wait_for(lost, SECONDS))
    assert replicas.holder() == "thief"


class Refused(Exception):  # noqa: N818 - what a check of these tests raises
    pass


def refuse() -> None:
    raise Refused
