"""What a real HTTP server makes of requests: the API server's refusals, and connections that break."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from ephemeral_endpoints.engine import errors as engine
from ephemeral_endpoints.kube import errors
from ephemeral_endpoints.kube.rest import Rest

PATH = "/api/v1/namespaces/builds/pods"
QUOTA = 'pods "p" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1'


@asynccontextmanager
async def served(answer: Callable[[], web.StreamResponse]) -> AsyncIterator[Rest]:
    async def handle(_: web.Request) -> web.StreamResponse:
        return answer()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server, ApiClient(Configuration(host=str(server.make_url("")).rstrip("/"))) as api:
        yield Rest(api)


def status(message: str) -> bytes:
    return json.dumps({"kind": "Status", "message": message}).encode()


@dataclass(frozen=True, kw_only=True)
class Case:
    code: int
    body: bytes
    kind: type[errors.KubernetesError]
    counterpart: type[engine.AwsError]
    message: str


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Case(code=400, body=status("bad"), kind=errors.Invalid, counterpart=engine.Invalid, message="bad"),
            id="bad request",
        ),
        pytest.param(
            Case(
                code=401,
                body=status("Unauthorized"),
                kind=errors.Unauthenticated,
                counterpart=engine.Unauthenticated,
                message="Unauthorized",
            ),
            id="unauthorized",
        ),
        pytest.param(
            Case(code=403, body=status("may not"), kind=errors.Denied, counterpart=engine.Denied, message="may not"),
            id="forbidden",
        ),
        pytest.param(
            Case(
                code=403, body=status(QUOTA), kind=errors.QuotaExceeded, counterpart=engine.QuotaExceeded, message=QUOTA
            ),
            id="a quota is exceeded",
        ),
        pytest.param(
            Case(
                code=404, body=status("not found"), kind=errors.Gone, counterpart=engine.NotFound, message="not found"
            ),
            id="not found",
        ),
        pytest.param(
            Case(code=408, body=b"", kind=errors.Unavailable, counterpart=engine.Transient, message="HTTP 408"),
            id="timed out",
        ),
        pytest.param(
            Case(
                code=409,
                body=status("modified"),
                kind=errors.Conflict,
                counterpart=engine.Transient,
                message="modified",
            ),
            id="conflict",
        ),
        pytest.param(
            Case(
                code=410,
                body=status("too old"),
                kind=errors.Unavailable,
                counterpart=engine.Transient,
                message="too old",
            ),
            id="too old",
        ),
        pytest.param(
            Case(code=422, body=status("a: b: c"), kind=errors.Invalid, counterpart=engine.Invalid, message="a: b: c"),
            id="invalid",
        ),
        pytest.param(
            Case(code=429, body=status("slow"), kind=errors.Throttled, counterpart=engine.Throttled, message="slow"),
            id="too many requests",
        ),
        pytest.param(
            Case(code=500, body=b"<html>", kind=errors.Unavailable, counterpart=engine.Transient, message="HTTP 500"),
            id="a fault without a Status",
        ),
        pytest.param(
            Case(code=503, body=b"[]", kind=errors.Unavailable, counterpart=engine.Transient, message="HTTP 503"),
            id="a body that is no object",
        ),
        pytest.param(
            Case(
                code=200,
                body=b"<html>",
                kind=errors.Unavailable,
                counterpart=engine.Transient,
                message="the API server's answer cannot be read",
            ),
            id="a success that is no JSON",
        ),
        pytest.param(
            Case(
                code=200,
                body=b"",
                kind=errors.Unavailable,
                counterpart=engine.Transient,
                message="the API server's answer cannot be read",
            ),
            id="a success without a body",
        ),
        pytest.param(
            Case(
                code=500,
                body=status("x\n" * 500),
                kind=errors.Unavailable,
                counterpart=engine.Transient,
                message="x " * 299 + "x…",
            ),
            id="a long message on many lines",
        ),
    ],
)
async def test_an_answer_that_is_no_success_is_an_error_of_the_tree(case: Case) -> None:
    async with served(lambda: web.Response(status=case.code, body=case.body)) as rest:
        with pytest.raises(errors.KubernetesError) as caught:
            await rest("GET", PATH)
    assert type(caught.value) is case.kind
    assert str(caught.value) == f"GET {PATH}: {case.message}"
    problem = caught.value.problem("ListPods")
    assert (type(problem), str(problem)) == (case.counterpart, f"ListPods: {case.message}")


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n")
    writer.close()


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("serve", [hang_up, break_off])
async def test_a_connection_that_breaks_leaves_the_outcome_unknown(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with ApiClient(Configuration(host=f"http://{host}:{port}")) as api:
            with pytest.raises(errors.Unavailable, match=f"POST {PATH}: the API server did not answer: "):
                await Rest(api)("POST", PATH, {})


async def test_nobody_who_answers_is_unavailable_too() -> None:
    async with ApiClient(Configuration(host="http://127.0.0.1:1")) as api:
        with pytest.raises(errors.Unavailable, match="did not answer: Cannot connect"):
            await Rest(api)("GET", PATH)


async def test_a_timeout_is_reported_as_one() -> None:
    assert str(errors.of_connection(TimeoutError(), "GET /")) == "GET /: the API server did not answer: TimeoutError"


async def test_a_text_is_read_as_it_is() -> None:
    async with served(lambda: web.Response(body=b"one\ntwo \xff\n")) as rest:
        assert await rest.text(PATH) == "one\ntwo \ufffd\n"
    async with served(lambda: web.Response(status=404)) as rest:
        with pytest.raises(errors.Gone):
            await rest.text(PATH)


@pytest.mark.parametrize(
    ("kind", "caught", "reason"),
    [
        (errors.Throttled, errors.Unavailable, "it may be asked again"),
        (errors.Denied, errors.Refused, "asking again is of no use"),
        (errors.Unauthenticated, errors.Refused, "likewise"),
        (errors.QuotaExceeded, errors.Refused, "likewise, before something else goes"),
        (errors.Invalid, errors.Refused, "likewise"),
    ],
)
def test_callers_decide_by_few_classes(
    kind: type[errors.KubernetesError], caught: type[errors.KubernetesError], reason: str
) -> None:
    assert issubclass(kind, caught), reason


@pytest.mark.parametrize("kind", [errors.Conflict, errors.Gone, errors.Unavailable, errors.Refused])
def test_a_kubernetes_error_is_not_one_that_a_status_reports(
    kind: type[errors.KubernetesError],
) -> None:
    assert issubclass(kind, errors.KubernetesError)
    assert not issubclass(kind, engine.ReconcileError)
