"""Sends requests at planned moments, whether earlier ones were answered or not, by the clock of the event loop.

A generator that waits for answers sends less the slower the model is, and so hides what it is to show (coordinated
omission: https://www.scylladb.com/2021/04/22/on-coordinated-omission/).
"""

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Final

import aiohttp

from ephemeral_endpoints.features.checks.load.measurement import Measurement, Sample, WarmUp
from ephemeral_endpoints.features.checks.load.plan import (
    FIRST_ANSWER_SECONDS,
    REQUEST_SECONDS,
    WARM_UP_SECONDS,
    LoadPlan,
)
from ephemeral_endpoints.features.checks.requests import ModelAnswer, ModelClient

_PURPOSE: Final = "load"
_PAUSE_SECONDS: Final = 1.0
_MAY_HEAL: Final = 429
"""Answers with this status or of 500 and more, and none, are those of an endpoint that may still be starting."""

_FAULTS: Final = 500

Send = Callable[[], Awaitable[ModelAnswer]]
"""Sends the request once and waits for its end; never raises for the other side."""


async def measure(plan: LoadPlan, send: Send) -> Measurement:
    """Warm up, then send all requests of the plan, and wait for their ends.

    The load is not begun if no request of the warm-up was answered, or if they show that it is more than the endpoint
    takes.
    """
    warm_up = await _warm_up(plan, send)
    if warm_up.median is None or plan.exceeds(warm_up.median):
        return Measurement(plan, warm_up)
    if (lanes := plan.lanes(warm_up.median)) > 1:
        # Serverless capacity starts for each request that comes while others are under way.
        await asyncio.gather(*(send() for _ in range(lanes)))
    return Measurement(plan, warm_up, await _load(plan, send))


async def _warm_up(plan: LoadPlan, send: Send) -> WarmUp:
    clock = asyncio.get_running_loop().time
    sent, first = await _first_answer(send, clock() + FIRST_ANSWER_SECONDS)
    status = first.status
    if not first.is_ok:
        return WarmUp(sent, None, status)
    until, answered = clock() + WARM_UP_SECONDS, []
    for _ in range(plan.warm_up):
        began = clock()
        answer = await send()
        sent, status = sent + 1, answer.status
        if answer.is_ok:
            answered.append(clock() - began)
        if clock() >= until:
            break
    return WarmUp(sent, median(answered) if answered else None, status)


async def _first_answer(send: Send, until: float) -> tuple[int, ModelAnswer]:
    """Repeat a request until it is answered, refused for good, or the time is over; with how often it was sent."""
    clock, sent = asyncio.get_running_loop().time, 0
    while True:
        answer, sent = await send(), sent + 1
        may_heal = answer.status is None or answer.status == _MAY_HEAL or answer.status >= _FAULTS
        if answer.is_ok or not may_heal or clock() >= until:
            return sent, answer
        await asyncio.sleep(_PAUSE_SECONDS)


async def _load(plan: LoadPlan, send: Send) -> tuple[Sample, ...]:
    clock = asyncio.get_running_loop().time
    began = clock()

    async def one(due: float) -> Sample:
        lateness = max(0.0, clock() - due)
        answer = await send()
        return Sample(lateness, clock() - due, answer.status, answer.variant)

    async with asyncio.TaskGroup() as group:
        tasks = []
        for start in plan.starts():
            await asyncio.sleep(began + start - clock())
            tasks.append(group.create_task(one(began + start)))
    return tuple(task.result() for task in tasks)


async def measure_url(plan: LoadPlan, token: Callable[[], str | None]) -> Measurement:
    """The same with requests to the plan's URL. ``token`` gives the bearer token for each of them, and does not block.

    No connection is waited for, and of the answers nothing is kept.
    """
    clock = asyncio.get_running_loop().time
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(), trust_env=True) as session:
        client = ModelClient(session, clock, _PURPOSE, reads_all=True)

        async def send() -> ModelAnswer:
            return await client.send(plan.url, token(), plan.request, timeout_seconds=REQUEST_SECONDS, most_bytes=0)

        return await measure(plan, send)
