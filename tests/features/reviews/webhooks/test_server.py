"""The endpoint for webhooks over real HTTP: the embedded GitHub delivers, and strangers try."""

import asyncio
import hashlib
import hmac
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
import pytest
from aiohttp import web
from tests.fixtures.github import REPOSITORY
from tests.fixtures.waiting import eventually

from eep_platform.github.client import GitHubClient as Service
from eep_platform.github.client import sha_of
from ephemeral_endpoints.features.reviews.secret import ClassSecret
from ephemeral_endpoints.features.reviews.webhooks.deliveries import DELIVERY, EVENT, MAX_BODY_BYTES, SIGNATURE, News
from ephemeral_endpoints.features.reviews.webhooks.server import CONCURRENT, SECRET_KEY, Webhooks, webhook_app
from ephemeral_endpoints.kube.errors import KubernetesError, Unavailable
from ephemeral_endpoints.telemetry.server import serve

SECRET = "It's a Secret to Everybody"  # noqa: S105 - of this test
NEWS = {"action": "closed", "number": 42, "repository": {"full_name": REPOSITORY}}


@dataclass
class Secrets:
    """The Secrets of the operator's namespace, without an API server."""

    content: dict[str, Mapping[str, bytes]]
    error: KubernetesError | None = None
    reads: int = 0
    namespace: str = "eep"

    async def data(self, name: str) -> Mapping[str, bytes] | None:
        self.reads += 1
        if self.error:
            raise self.error
        return self.content.get(name)


@dataclass
class Endpoint:
    """The endpoint of a replica that leads, or stands by."""

    secrets: Secrets
    url: str = ""
    leads: bool = True
    leader_url: str | None = None
    woken: list[News] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        names = {"default": "forge", "without": "other", "missing": "none"}

        def secret_of(class_name: str) -> ClassSecret | None:
            name = names.get(class_name)
            return ClassSecret(self.secrets, name) if name else None  # type: ignore[arg-type]  # as far as it is used

        self.webhooks = Webhooks(secret_of, self.woken.append)

    def app(self) -> web.Application:
        return webhook_app(
            lambda: self.webhooks if self.leads else None,
            lambda answer: self.answers.update([answer]),
            lambda: self.leader_url,
        )

    async def post(self, body: bytes, **options: str) -> int:
        """What GitHub sends, with another ``secret``, ``event``, ``id_`` or ``class_name``."""
        given = {"secret": SECRET, "event": "pull_request", "id_": "delivery-1", "class_name": "default"} | options
        digest = hmac.new(given["secret"].encode(), body, hashlib.sha256).hexdigest()
        headers = {SIGNATURE: f"sha256={digest}", EVENT: given["event"], DELIVERY: given["id_"]}
        return await self.send(body, headers, given["class_name"])

    async def send(self, body: object, headers: Mapping[str, str], class_name: str = "default") -> int:
        url, data = f"{self.url}/webhooks/github/{class_name}", io.BytesIO(body) if isinstance(body, bytes) else body
        async with aiohttp.ClientSession() as session, session.post(url, data=data, headers=headers) as answer:
            return answer.status


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with served() as endpoint:
        yield endpoint


@asynccontextmanager
async def served() -> AsyncIterator[Endpoint]:
    """The endpoint of one replica."""
    secrets = Secrets({"forge": {SECRET_KEY: f"{SECRET}\n".encode(), "token": b"x"}, "other": {"token": b"x"}})
    endpoint = Endpoint(secrets)
    runner = await serve("127.0.0.1", 0, endpoint.app())
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield endpoint
    await runner.cleanup()


def body_of(payload: object) -> bytes:
    return json.dumps(payload).encode()


async def test_what_github_delivers_wakes_the_operator(endpoint: Endpoint, github: Service) -> None:
    github.send_events(f"{endpoint.url}/webhooks/github/default", SECRET)
    github.open(REPOSITORY, sha_of("first"), number=42)
    github.comment(REPOSITORY, 42, "ada", "/preview delete")
    github.close(REPOSITORY, 42)
    deliveries = await asyncio.to_thread(github.deliveries)
    assert [(each["event"], each["statuses"]) for each in deliveries] == [
        ("pull_request", [202]),
        ("issue_comment", [202]),
        ("pull_request", [202]),
    ]
    assert sorted(endpoint.woken, key=str) == sorted(
        [News(REPOSITORY, 42), News(REPOSITORY, 42), News(REPOSITORY, 42, is_comment=True)], key=str
    )


async def test_a_delivery_that_comes_again_is_refused(endpoint: Endpoint, github: Service) -> None:
    github.send_events(f"{endpoint.url}/webhooks/github/default", SECRET)
    github.open(REPOSITORY, sha_of("first"), number=42)
    [delivery] = await asyncio.to_thread(github.deliveries)
    github.redeliver(delivery["guid"])
    [delivery] = await asyncio.to_thread(github.deliveries)
    assert delivery["statuses"] == [202, 409]
    assert len(endpoint.woken) == 1


async def test_a_delivery_that_no_leader_took_may_come_again(endpoint: Endpoint, github: Service) -> None:
    endpoint.leads = False
    github.send_events(f"{endpoint.url}/webhooks/github/default", SECRET)
    github.open(REPOSITORY, sha_of("first"), number=42)
    [delivery] = await asyncio.to_thread(github.deliveries)
    endpoint.leads = True
    github.redeliver(delivery["guid"])
    [delivery] = await asyncio.to_thread(github.deliveries)
    assert delivery["statuses"] == [503, 202]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        pytest.param({}, 202, id="news"),
        pytest.param({"event": "ping"}, 204, id="the first delivery of all, whose secret is right"),
        pytest.param({"event": "ping", "secret": "another"}, 403, id="and one whose secret is wrong"),
        pytest.param({"secret": "another"}, 403, id="a wrong signature"),
        pytest.param({"class_name": "unknown"}, 404, id="a class that does not exist"),
        pytest.param({"class_name": "without"}, 404, id="a class without a secret for webhooks"),
        pytest.param({"class_name": "missing"}, 404, id="a class whose Secret does not exist"),
    ],
)
async def test_an_answer_says_what_became_of_a_delivery(
    endpoint: Endpoint, options: dict[str, str], status: int
) -> None:
    assert await endpoint.post(body_of(NEWS), **options) == status
    assert len(endpoint.woken) == (status == 202)


async def test_a_body_that_is_no_json_is_refused_although_it_is_signed(endpoint: Endpoint) -> None:
    assert await endpoint.post(b"payload=%7B%7D") == 415


async def test_what_is_replayed_under_another_id_is_refused(endpoint: Endpoint) -> None:
    assert await endpoint.post(body_of(NEWS)) == 202
    assert await endpoint.post(body_of(NEWS), id_="delivery-2") == 409
    assert len(endpoint.woken) == 1


@pytest.mark.parametrize("missing", [SIGNATURE, EVENT, DELIVERY])
async def test_a_request_without_the_headers_of_a_delivery_costs_nothing(endpoint: Endpoint, missing: str) -> None:
    headers = {SIGNATURE: f"sha256={'0' * 64}", EVENT: "pull_request", DELIVERY: "delivery-1"}
    del headers[missing]
    assert await endpoint.send(b"{}", headers) == 400
    assert endpoint.secrets.reads == 0


async def test_a_large_body_is_refused_before_it_is_read(endpoint: Endpoint) -> None:
    try:
        assert await endpoint.post(b"x" * (MAX_BODY_BYTES + 1)) == 413
    except aiohttp.ClientOSError:
        assert endpoint.answers == {"Request Entity Too Large": 1}, "it was answered while the body was being sent"
    assert endpoint.secrets.reads == 0


async def test_a_large_body_whose_size_is_not_said_is_not_kept_either(endpoint: Endpoint) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2 * MAX_BODY_BYTES // 65536):
            yield b"x" * 65536

    headers = {SIGNATURE: f"sha256={'0' * 64}", EVENT: "pull_request", DELIVERY: "delivery-1"}
    try:
        assert await endpoint.send(endless(), headers) == 413
    except aiohttp.ClientOSError:
        assert endpoint.answers == {"Request Entity Too Large": 1}, "it was answered while the body was being sent"


async def test_no_more_bodies_are_read_at_once_than_said(endpoint: Endpoint) -> None:
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        begun.release()
        await go_on.wait()
        yield b"}"

    headers = {SIGNATURE: f"sha256={'0' * 64}", EVENT: "pull_request", DELIVERY: "delivery-1"}
    waiting = [asyncio.create_task(endpoint.send(slow(), headers)) for _ in range(CONCURRENT)]
    for _ in waiting:
        await begun.acquire()
    while await endpoint.post(body_of(NEWS)) != HTTPStatus.SERVICE_UNAVAILABLE:
        pass  # until the last of them has arrived
    go_on.set()
    assert set(await asyncio.gather(*waiting)) == {403}


async def test_without_an_api_server_a_delivery_is_not_taken_and_may_come_again(endpoint: Endpoint) -> None:
    endpoint.secrets.error = Unavailable("no answer")
    assert await endpoint.post(body_of(NEWS)) == 503
    endpoint.secrets.error = None
    assert await endpoint.post(body_of(NEWS)) == 202


async def test_load_balancers_can_ask_which_replica_leads(endpoint: Endpoint) -> None:
    async with aiohttp.ClientSession() as session:
        for leads, status in ((True, 200), (False, 503)):
            endpoint.leads = leads
            async with session.get(f"{endpoint.url}/healthz") as answer:
                assert answer.status == status


async def test_no_other_path_and_method_is_served(endpoint: Endpoint) -> None:
    async with aiohttp.ClientSession() as session:
        for method, path in (("GET", "/webhooks/github/default"), ("POST", "/"), ("GET", "/metrics")):
            async with session.request(method, f"{endpoint.url}{path}") as answer:
                assert answer.status in {404, 405}


async def test_a_replica_that_stands_by_hands_over_to_the_one_that_leads(endpoint: Endpoint) -> None:
    async with served() as other:
        other.leads, other.leader_url = False, endpoint.url
        assert await other.post(body_of(NEWS)) == HTTPStatus.ACCEPTED
        assert await other.post(body_of(NEWS)) == HTTPStatus.CONFLICT, "the leader knows what it has seen"
        assert await other.post(body_of(NEWS), secret=SECRET[1:], id_="delivery-2") == HTTPStatus.FORBIDDEN
        assert await other.post(body_of(NEWS), class_name="%2e%2e", id_="delivery-3") == HTTPStatus.NOT_FOUND
    assert (endpoint.woken, other.woken) == ([News(REPOSITORY, 42)], [])


async def test_nothing_is_handed_over_twice_or_to_nobody(endpoint: Endpoint) -> None:
    async with served() as other:
        other.leads = endpoint.leads = False
        other.leader_url, endpoint.leader_url = endpoint.url, other.url
        assert await other.post(body_of(NEWS)) == HTTPStatus.SERVICE_UNAVAILABLE, "both believe in the other"
        other.leader_url = "http://127.0.0.1:9"
        assert await other.post(body_of(NEWS)) == HTTPStatus.SERVICE_UNAVAILABLE


async def test_a_body_that_claims_to_be_compressed_is_not_unpacked(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    body = body_of(NEWS)
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {SIGNATURE: f"sha256={digest}", EVENT: "pull_request", DELIVERY: "delivery-1"}
    async with aiohttp.ClientSession() as session:
        url, encoded = f"{endpoint.url}/webhooks/github/default", {**headers, "Content-Encoding": "gzip"}
        async with session.post(url, data=io.BytesIO(body), headers=encoded) as answer:
            assert answer.status == 202, "what is signed are the bytes as they came"
    assert not caplog.records


async def test_a_stranger_who_hangs_up_leaves_nothing_in_the_log(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = endpoint.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    headers = f"{SIGNATURE}: sha256={'0' * 64}\r\n{EVENT}: ping\r\n{DELIVERY}: delivery-1\r\nContent-Length: 99\r\n"
    writer.write(f"POST /webhooks/github/default HTTP/1.1\r\nHost: eep\r\n{headers}\r\n{{".encode())
    await writer.drain()
    assert await endpoint.post(body_of(NEWS)) == 202, "so that the first request has arrived"
    writer.close()
    await asyncio.to_thread(eventually, lambda: "Bad Request" in endpoint.answers, "the answer to who hung up")
    assert not caplog.records
