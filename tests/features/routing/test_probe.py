"""Requests of the probe to a real HTTP server, and their pace."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import accumulate

import aiohttp
import pytest
from aiohttp import web

from eep_platform.aws.alarms import Missing, Rule, State, Windows
from ephemeral_endpoints.features.monitoring.desired import ALARM_PERIOD_SECONDS, ALARM_PERIODS
from ephemeral_endpoints.features.routing.answers import MAX_BYTES, Answer, SampleAnswer
from ephemeral_endpoints.features.routing.probe import HttpProbe, pause

REFUSED = Answer(ok=False, kind="sample-refused", sample=SampleAnswer("a", None, 500, ""))
STARTING = Answer(ok=False, kind="model-not-ready")

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def answer(serve: Serve, token: str | None = "t") -> Answer:  # noqa: S107 - opens nothing
    app = web.Application()
    app.router.add_get("/pr", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        [(host, port)] = runner.addresses
        async with aiohttp.ClientSession() as session:
            return await HttpProbe(session).request(f"http://{host}:{port}/pr", token)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("token", "header"), [("t", "Bearer t"), (None, None)])
async def test_the_token_is_sent_if_there_is_one(token: str | None, header: str | None) -> None:
    seen = []

    async def serve(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization"))
        return web.Response()

    assert (await answer(serve, token)).ok
    assert seen == [header]


async def test_a_problem_that_comes_in_parts_is_read_whole_with_its_variant() -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=503)
        await response.prepare(request)
        await response.write(b'{"type":"urn:ephemeral-endpoints:problem:sample-refused",')
        await response.write(b'"sample":"a","variant":"b","modelStatus":500,"modelMessage":"no"}')
        return response

    assert (await answer(serve)).sample == SampleAnswer("a", "b", 500, "no")


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"x" * MAX_BYTES)
        return response

    assert (await answer(serve)).message == "the URL answers 500 Internal Server Error"


async def test_a_url_that_nobody_serves_is_told() -> None:
    async with aiohttp.ClientSession() as session:
        found = await HttpProbe(session).request("http://127.0.0.1:9/pr", None)
    assert found == Answer(ok=False, message="the URL does not answer: ClientConnectorError")


@pytest.mark.parametrize(
    ("answered", "pauses"),
    [
        pytest.param(STARTING, [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60], id="soon, and then every minute"),
        pytest.param(REFUSED, [60, 600, 1200, 2400, 3600, 3600], id="a sample costs the model something"),
    ],
)
def test_requests_get_fewer(answered: Answer, pauses: list[float]) -> None:
    assert [pause(answered, attempts) for attempts in range(1, len(pauses) + 1)] == pauses


def test_samples_alone_never_raise_the_alarm_on_errors() -> None:
    """It takes no request of a caller for a corrected revision not to be rolled back by the errors of the former."""
    rule = Rule("GreaterThanThreshold", 0.01, ALARM_PERIOD_SECONDS, ALARM_PERIODS, ALARM_PERIODS, Missing.NOT_BREACHING)
    for second in range(0, 60, 7):
        sent = list(accumulate((pause(REFUSED, attempts) for attempts in range(1, 10)), initial=float(second)))
        for now in range(0, 4 * 3600, ALARM_PERIOD_SECONDS):
            windows: Windows[float] = Windows.of(rule, now)
            values = [1.0 if part else None for part in windows.fill((at, at) for at in sent)]
            assert rule.state(State.OK, values)[0] is State.OK


def test_at_the_pace_of_other_answers_they_would() -> None:
    rule = Rule("GreaterThanThreshold", 0.01, ALARM_PERIOD_SECONDS, ALARM_PERIODS, ALARM_PERIODS, Missing.NOT_BREACHING)
    assert rule.state(State.OK, [1.0] * ALARM_PERIODS)[0] is State.ALARM
