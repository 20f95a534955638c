import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.features.checks.comparison.servers import Models, answering, echo, refusing, running

from ephemeral_endpoints.features.checks.comparison import exchange as module
from ephemeral_endpoints.features.checks.comparison import report
from ephemeral_endpoints.features.checks.comparison.differences import Content, Difference, Rules, differences
from ephemeral_endpoints.features.checks.comparison.exchange import (
    MOST_ANSWER_BYTES,
    MOST_FAILURES,
    MOST_SECONDS,
    WARM_UPS,
    Exchange,
    KeptSide,
    LiveSide,
    NamedRequest,
    exchange,
)
from ephemeral_endpoints.features.checks.comparison.report import KeptAnswer
from ephemeral_endpoints.features.checks.requests import ModelAnswer, ModelClient, ModelRequest

HEAD, BASE = "/nlp/pr", "/nlp/main"


def requests(count: int) -> list[NamedRequest]:
    return [NamedRequest(f"r{number}", ModelRequest(json.dumps(number).encode())) for number in range(count)]


class Impatient(ModelClient):
    """Waits for no answer as long as it may."""

    async def send(self, *asked: Any, timeout_seconds: float, **options: Any) -> ModelAnswer:  # noqa: ANN401 - those of any
        return await super().send(*asked, timeout_seconds=min(timeout_seconds, 0.05), **options)


@pytest.fixture
async def models() -> AsyncIterator[Models]:
    async with running() as models:
        yield models


async def exchanged(
    models: Models, count: int = 3, *, clock: Callable[[], float] = time.monotonic, keeps: bool = False
) -> Exchange:
    async with aiohttp.ClientSession() as session:
        client = ModelClient(session, clock)
        base, head = LiveSide(client, models.url(BASE), "b"), LiveSide(client, models.url(HEAD), "h")
        return await exchange(base, head, requests(count), Rules(), clock=clock, keeps=keeps)


async def test_both_get_the_same_requests_in_turns_each_with_its_own_token(models: Models) -> None:
    models.behaviours = {HEAD: echo(), BASE: echo()}
    done = await exchanged(models)
    measured = models.asked[2:]
    assert sorted(path for path, _, _ in models.asked[:2]) == [BASE, HEAD], "both are warmed up"
    assert [path for path, _, _ in measured] == [BASE, HEAD, HEAD, BASE, BASE, HEAD]
    assert {(path, token) for path, token, _ in models.asked} == {(BASE, "Bearer b"), (HEAD, "Bearer h")}
    assert [each.count for each in done.pairs] == [0, 0, 0]


async def test_a_head_that_always_fails_is_given_up(models: Models) -> None:
    models.behaviours = {HEAD: refusing(500), BASE: echo()}
    done = await exchanged(models, 50)
    assert (len(done.pairs), done.skipped) == (MOST_FAILURES, 50 - MOST_FAILURES)
    assert len(models.requests(HEAD)) == MOST_FAILURES + WARM_UPS
    assert {(each.base.status, each.head.status) for each in done.pairs} == {(200, 500)}


async def test_a_base_that_is_slower_than_the_timeout_fails_and_the_head_does_not(
    models: Models,
) -> None:
    models.behaviours = {HEAD: echo(), BASE: echo()}
    models.held.add(BASE)
    async with aiohttp.ClientSession() as session:
        base = LiveSide(Impatient(session, time.monotonic), models.url(BASE), None)
        head = LiveSide(ModelClient(session, time.monotonic), models.url(HEAD), None)
        [found] = (await exchange(base, head, requests(1), Rules(), clock=time.monotonic)).pairs
    models.held.clear()
    assert (found.base.error, found.head.status) == ("no answer within 0.05 s", 200)


async def test_after_ten_minutes_the_rest_is_skipped(models: Models) -> None:
    models.behaviours = {HEAD: echo(), BASE: echo()}
    passed = iter([0.0, *[1.0] * 12, *[MOST_SECONDS] * 1000])
    done = await exchanged(models, 20, clock=lambda: next(passed))
    assert done.pairs
    assert len(done.pairs) + done.skipped == 20
    assert done.skipped > 0


@pytest.mark.parametrize(
    ("last", "changed"), [(b"", 0), (b" ", 0), (b"x", 0)], ids=["the same", "longer", "other at the end"]
)
async def test_of_huge_answers_the_beginnings_are_compared(models: Models, last: bytes, changed: int) -> None:
    huge = b'"' + b"x" * (6 * 1024 * 1024)
    models.behaviours = {HEAD: lambda _: web.Response(body=huge + last), BASE: lambda _: web.Response(body=huge)}
    [found] = (await exchanged(models, 1)).pairs
    assert found.count == changed


async def test_huge_answers_that_differ_early_are_seen_to(models: Models) -> None:
    one, other = (each * (MOST_ANSWER_BYTES * 2) for each in (b"x", b"y"))
    models.behaviours = {HEAD: lambda _: web.Response(body=one), BASE: lambda _: web.Response(body=other)}
    [found] = (await exchanged(models, 1)).pairs
    assert found.count == 1
    assert len(found.shown[0].base) <= 160


async def test_a_url_that_nobody_serves_is_a_failure_and_no_error(models: Models) -> None:
    async with aiohttp.ClientSession() as session:
        client = ModelClient(session, time.monotonic)
        models.behaviours = {HEAD: echo()}
        head, nobody = LiveSide(client, models.url(HEAD), None), LiveSide(client, "http://127.0.0.1:9/", None)
        done = await exchange(nobody, head, requests(1), Rules(), clock=time.monotonic)
    assert [(each.base.status, each.head.status) for each in done.pairs] == [(None, 200)]


async def test_answers_are_kept_for_the_next_revision_and_compared_with_it(models: Models) -> None:
    models.behaviours = {HEAD: answering({"score": 1}), BASE: echo()}
    first = await exchanged(models, keeps=True)
    assert len(first.kept) == 3
    models.behaviours[HEAD] = answering({"score": 2})
    async with aiohttp.ClientSession() as session:
        head = LiveSide(ModelClient(session, time.monotonic), models.url(HEAD), None)
        done = await exchange(KeptSide(first.kept), head, requests(4), Rules(), clock=time.monotonic)
    assert [each.count for each in done.pairs] == [1, 1, 1]
    assert done.skipped == 1, "of a new request nothing is kept"
    assert len(done.heads) == 4


async def test_a_kept_answer_is_as_fast_as_it_was() -> None:
    [asked] = requests(1)
    kept = KeptSide({report.digest(asked.request): KeptAnswer(200, 0.25, "text/csv", b"1")})
    answer = await kept.answer(asked.request)
    assert answer is not None
    assert (answer.seconds, answer.content_type, answer.body) == (0.25, "text/csv", b"1")


async def test_one_pair_is_judged_at_a_time_aside_from_everything_else(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.behaviours = {HEAD: echo(), BASE: echo()}
    threads = set[threading.Thread]()

    def seen(base: Content, head: Content, rules: Rules) -> tuple[Difference, ...]:
        threads.add(threading.current_thread())
        return differences(base, head, rules)

    monkeypatch.setattr(module, "differences", seen)
    await asyncio.gather(*(exchanged(models) for _ in range(4)))
    assert len(threads) == 1
    assert threading.main_thread() not in threads


async def test_without_requests_nothing_is_sent(models: Models) -> None:
    assert (await exchanged(models, 0)).pairs == []
    assert models.asked == []
