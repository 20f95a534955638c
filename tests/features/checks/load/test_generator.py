"""The generator in virtual time, where every figure is exact, and against a server on this machine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from tests.features.checks.load.figures import REQUEST, plan
from tests.fixtures.virtual_time import VirtualTime

from ephemeral_endpoints.features.checks.load.generator import measure, measure_url
from ephemeral_endpoints.features.checks.load.measurement import Measurement
from ephemeral_endpoints.features.checks.load.plan import FIRST_ANSWER_SECONDS, LoadPlan
from ephemeral_endpoints.features.checks.load.report import report
from ephemeral_endpoints.features.checks.requests import ModelAnswer

Model = Callable[[int], Awaitable[ModelAnswer]]


def run(plan_: LoadPlan, model: Model) -> Measurement:
    """Measure a model, which is told the number of its request, in virtual time."""
    count = 0

    async def send() -> ModelAnswer:
        nonlocal count
        count += 1
        return await model(count)

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(measure(plan_, send))


def now() -> float:
    return asyncio.get_running_loop().time()


async def answered(seconds: float, status: int | None = 200) -> ModelAnswer:
    await asyncio.sleep(seconds)
    return ModelAnswer(status, seconds)


def test_requests_are_sent_when_they_are_due_whether_earlier_ones_were_answered_or_not() -> None:
    sent: list[float] = []

    async def slow(_: int) -> ModelAnswer:
        sent.append(now())
        return await answered(0.01 if len(sent) <= 4 else 20.0)

    seen = run(plan(rate=50, seconds=2.0), slow)
    counted = sent[4:]
    assert [round(each - counted[0], 6) for each in counted] == [index / 50 for index in range(100)]
    assert {round(each.latency, 6) for each in seen.samples} == {20.0}
    assert {round(each.lateness, 6) for each in seen.samples} == {0.0}


def test_a_model_that_is_silent_for_a_while_delays_all_requests_that_were_due_meanwhile() -> None:
    """With two workers that wait for answers instead, at most two of 800 requests would be slow: a fast p99."""

    async def stalls(_: int) -> ModelAnswer:
        is_silent = 3.0 <= now() < 4.0
        return await answered(4.0 - now() + 0.01 if is_silent else 0.01)

    seen = run(plan(rate=100, seconds=8.0), stalls)
    figures = report(seen).result
    assert figures is not None
    assert (figures.p50_ms, figures.failed) == (10.0, 0)
    slow = sum(each.latency > 0.02 for each in seen.samples)
    assert 98 <= slow <= 100, "a second at 100 per second"
    assert figures.p90_ms is not None
    assert figures.p99_ms is not None
    assert 190 < figures.p90_ms < 300
    assert 900 < figures.p99_ms < 1000
    assert figures.max_ms is not None
    assert 1000 <= figures.max_ms <= 1010


def test_the_generator_measures_its_own_lateness_and_counts_it_to_the_latency() -> None:
    async def held_up(number: int) -> ModelAnswer:
        if number == 14:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTime)
            loop.stand_still(0.35)
        return await answered(0.01)

    seen = run(plan(rate=10, seconds=10.0), held_up)
    late = [round(each.lateness, 3) for each in seen.samples[9:15]]
    assert late == [0.0, 0.25, 0.15, 0.05, 0.0, 0.0]
    assert [round(each.latency, 3) for each in seen.samples[9:14]] == [0.36, 0.26, 0.16, 0.06, 0.01]
    figures = report(seen).result
    assert figures is not None
    assert figures.lateness_p99_ms == 150.0


def test_the_warm_up_does_not_count() -> None:
    async def cold(number: int) -> ModelAnswer:
        return await answered(9.0 if number == 1 else 0.02)

    seen = run(plan(warm_up=3), cold)
    assert (seen.warm_up.sent, seen.warm_up.status) == (4, 200)
    assert seen.warm_up.median == pytest.approx(0.02)
    assert {round(each.latency, 6) for each in seen.samples} == {0.02}


def test_an_endpoint_that_is_still_starting_is_asked_until_it_answers() -> None:
    async def starting(number: int) -> ModelAnswer:
        statuses: dict[int, int | None] = {1: None, 2: 503, 3: 429}
        return await answered(0.02, statuses.get(number, 200))

    seen = run(plan(), starting)
    assert seen.warm_up.sent == 4 + 3
    assert len(seen.samples) == 100


def test_an_endpoint_that_never_starts_is_given_up_and_gets_no_load() -> None:
    asked: list[float] = []

    async def dead(_: int) -> ModelAnswer:
        asked.append(now())
        return await answered(30.0, None)

    seen = run(plan(), dead)
    assert (seen.warm_up.median, seen.warm_up.status, seen.samples) == (None, None, ())
    assert FIRST_ANSWER_SECONDS - 31 < asked[-1] <= FIRST_ANSWER_SECONDS


def test_a_refusal_that_does_not_heal_is_not_repeated() -> None:
    async def refuses(_: int) -> ModelAnswer:
        return await answered(0.01, 400)

    seen = run(plan(), refuses)
    assert (seen.warm_up.sent, seen.warm_up.status, seen.samples) == (1, 400, ())


def test_a_slow_warm_up_ends_in_time() -> None:
    async def slow(_: int) -> ModelAnswer:
        return await answered(25.0)

    assert run(plan(warm_up=100), slow).warm_up.sent == 1 + 3


def test_more_than_the_endpoint_takes_is_not_even_tried() -> None:
    sent = 0

    async def slow(number: int) -> ModelAnswer:
        nonlocal sent
        sent = number
        return await answered(0.3)

    seen = run(plan(rate=10, concurrency=2.0), slow)
    assert (sent, seen.samples) == (4, ())
    assert seen.warm_up.median is not None
    assert round(seen.warm_up.median, 6) == 0.3


def test_as_much_serverless_capacity_is_started_before_as_the_load_needs() -> None:
    under_way, most, before_load = 0, 0, 0

    async def serverless(number: int) -> ModelAnswer:
        nonlocal under_way, most, before_load
        under_way += 1
        most = max(most, under_way)
        before_load = most if number <= 4 + 3 else before_load
        answer = await answered(0.25)
        under_way -= 1
        return answer

    run(plan(rate=10, concurrency=5.0), serverless)
    assert before_load == most == 3


def test_failures_count_with_the_time_that_they_took() -> None:
    async def half(number: int) -> ModelAnswer:
        return await (answered(30.0, None) if number > 54 else answered(0.01))

    figures = report(run(plan(), half)).result
    assert figures is not None
    assert (figures.sent, figures.failed, figures.failures) == (100, 50, {"none": 50})
    assert (figures.p50_ms, figures.p90_ms) == (10.0, 30_000.0)


@asynccontextmanager
async def served(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/model", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/model"
    finally:
        await runner.cleanup()


async def test_over_http_every_request_has_the_token_as_it_is_then_and_every_answer_counts_for_its_variant() -> None:
    seen: list[tuple[str, bytes]] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append((request.headers["Authorization"], await request.read()))
        number = len(seen)
        variant = "b" if number % 4 == 0 else "a"
        return web.Response(status=500 if number == 20 else 200, headers={"eep-variant": variant}, body=b"x" * 300_000)

    tokens = iter(range(10_000))
    async with served(handle) as url:
        told = report(await measure_url(replace(plan(rate=50, seconds=2.0), url=url), lambda: f"t{next(tokens)}"))
    figures = told.result
    assert figures is not None
    assert {each for each, _ in seen} == {f"Bearer t{number}" for number in range(104)}
    assert {body for _, body in seen} == {REQUEST.body}
    assert (figures.planned, figures.sent, figures.failed, figures.failures) == (100, 100, 1, {"500": 1})
    assert {each.name: (each.answered, each.failed) for each in figures.variants} == {"a": (75, 0), "b": (25, 1)}


async def test_over_http_no_request_waits_for_a_connection() -> None:
    """All are under way at once: none is answered before the last one has arrived."""
    arrived, everybody = 0, asyncio.Event()

    async def handle(_: web.Request) -> web.Response:
        nonlocal arrived
        arrived += 1
        if arrived > 2:
            if arrived == 2 + 150:
                everybody.set()
            await everybody.wait()
        return web.Response()

    async with served(handle) as url:
        told = report(await measure_url(replace(plan(rate=150, seconds=1.0, warm_up=1), url=url), lambda: None))
    assert told.result is not None
    assert (told.result.sent, told.result.failed) == (150, 0)
