"""Checks on a model server: attempts, limits, and how many at once."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.features.checks.checking import check
from tests.features.checks.model_server import ModelServer, answering

from ephemeral_endpoints.api.v1alpha1.checks import Check, CheckOutcome, CheckResult
from ephemeral_endpoints.features.checks.evaluation import Evaluation, evaluate
from ephemeral_endpoints.features.checks.preparation import prepare
from ephemeral_endpoints.features.checks.requests import ModelClient
from ephemeral_endpoints.features.checks.runner import Runner, Target

PASSED, FAILED, INCONCLUSIVE = CheckOutcome


@dataclass
class Time:
    """Monotonic seconds that pass only in pauses."""

    seconds: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def runner(time: Time) -> AsyncIterator[Runner]:
    async with aiohttp.ClientSession() as session:
        yield Runner(ModelClient(session, time.clock, "check"), time.clock, time.sleep)


async def run(runner: Runner, model: ModelServer, *checks: Check, at_once: int = 4) -> tuple[CheckResult, ...]:
    return await runner.run(prepare(checks, [], {}), Target(model.url, lambda: "a-token"), at_once=at_once)


async def test_a_request_is_marked_and_has_the_token(runner: Runner, model: ModelServer) -> None:
    [result] = await run(runner, model, check(body='{"a": 1}', values=[{"pointer": "/a", "equals": 1}]))
    assert (result.outcome, result.message, result.latency_ms) == (PASSED, "", 0)
    [(headers, body)] = model.requests
    assert body == b'{"a": 1}'
    assert (headers["Authorization"], headers["eep-purpose"]) == ("Bearer a-token", "check")


async def test_results_are_in_the_order_of_the_checks(runner: Runner, model: ModelServer) -> None:
    checks = [check(f"c{number}", body=str(number), values=[{"pointer": "", "max": 4}]) for number in range(10)]
    results = await run(runner, model, *checks)
    assert [each.name for each in results] == [each.name for each in checks]
    assert [each.outcome for each in results] == [PASSED] * 5 + [FAILED] * 5


async def test_fifty_slow_checks_run_four_at_a_time(runner: Runner, model: ModelServer) -> None:
    full = asyncio.Event()

    async def slow(body: bytes) -> web.Response:
        if model.most == 4:
            full.set()
        await full.wait()
        return web.Response(body=body)

    model.reply = slow
    results = await run(runner, model, *(check(f"c{number}") for number in range(50)))
    assert [each.outcome for each in results] == [PASSED] * 50
    assert model.most == 4


async def test_a_model_that_is_being_started_is_asked_again(runner: Runner, model: ModelServer, time: Time) -> None:
    cold = answering("starting", status=503, **{"Retry-After": "3"})
    busy = answering("busy", status=429, **{"Retry-After": "0"})
    replies: Iterator[object] = iter([cold, busy, cold])

    async def reply(body: bytes) -> web.Response:
        response: web.Response = await next(replies, answering('"warm"'))(body)  # type: ignore[operator]
        return response

    model.reply = reply
    [result] = await run(runner, model, check(values=[{"pointer": "", "equals": "warm"}]))
    assert result.outcome is PASSED
    assert time.pauses == [3, 0.5, 3]


async def test_one_that_stays_cold_is_inconclusive_after_thirty_seconds(
    runner: Runner, model: ModelServer, time: Time
) -> None:
    model.reply = answering("starting", status=503, **{"Retry-After": "10"})
    [result] = await run(runner, model, check())
    assert result.outcome is INCONCLUSIVE
    assert result.message == "the model was still being started, or busy, after 30 s (503)"
    assert time.pauses == [5] * 5


async def test_a_refusal_without_retry_after_or_that_is_expected_is_an_answer(
    runner: Runner, model: ModelServer, time: Time
) -> None:
    model.reply = answering("no", status=503)
    [failed] = await run(runner, model, check())
    assert (failed.outcome, failed.message) == (FAILED, "status: expected 200 to 299, found 503 (no)")
    model.reply = answering("no", status=429, **{"Retry-After": "1"})
    [passed] = await run(runner, model, check(status=429))
    assert (passed.outcome, time.pauses) == (PASSED, [])


async def test_a_token_that_is_rotated_meanwhile_is_taken(model: ModelServer, runner: Runner) -> None:
    tokens = iter(["old", "old", "new"])

    async def guarded(body: bytes) -> web.Response:
        is_known = model.requests[-1][0]["Authorization"] == "Bearer new"
        return web.Response(body=body, status=200 if is_known else 401)

    model.reply = guarded
    [result] = await runner.run(prepare([check()], [], {}), Target(model.url, lambda: next(tokens)))
    assert result.outcome is PASSED
    assert len(model.requests) == 3


async def test_a_url_that_goes_on_refusing_the_token_is_no_fault_of_the_model(
    runner: Runner, model: ModelServer
) -> None:
    model.reply = answering("no", status=401)
    [result] = await run(runner, model, check())
    assert (result.outcome, result.message) == (INCONCLUSIVE, "the URL refuses the token (401)")
    [expected] = await run(runner, model, check(status=401))
    assert expected.outcome is PASSED


async def test_a_url_that_nobody_serves_is_inconclusive(runner: Runner, model: ModelServer) -> None:
    target = Target("http://127.0.0.1:1/nlp/pr", lambda: None)
    [result] = await runner.run(prepare([check()], [], {}), target)
    assert result.outcome is INCONCLUSIVE
    assert result.message == "the URL does not answer: ClientConnectorError"
    assert result.latency_ms is None
    assert model.requests == []


async def test_a_model_that_hangs_has_failed(model: ModelServer) -> None:
    async def hang(_: bytes) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    model.reply = hang
    times = iter([0.0, 29.95])  # the beginning of the check, and of its attempt: 50 ms are left
    async with aiohttp.ClientSession() as session:
        runner = Runner(ModelClient(session, lambda: 0.0), lambda: next(times, 30.0))
        [result] = await run(runner, model, check())
    assert result.outcome is FAILED
    assert result.message == "the answer: expected one within 30000 ms, found no answer within 0.05 s"


async def test_an_answer_of_six_megabytes_is_read_in_part(runner: Runner, model: ModelServer) -> None:
    model.reply = answering(f'["{"x" * 6_000_000}"]')
    plain, looked_into = await run(
        runner, model, check("plain"), check("looked-into", values=[{"pointer": "/0", "equals": "x"}])
    )
    assert plain.outcome is PASSED
    assert looked_into.outcome is FAILED
    assert "found more than 1024 KiB" in looked_into.message


async def test_a_schema_is_applied_to_the_answer(runner: Runner, model: ModelServer) -> None:
    schema = {"required": ["label"]}
    results = await run(
        runner,
        model,
        check("matches", body='{"label": 1}', schema=schema),
        check("does-not", body="{}", schema=schema),
        check("no-json", body="<html>", schema=schema),
    )
    assert [each.outcome for each in results] == [PASSED, FAILED, FAILED]
    assert results[1].message == (
        'the answer: expected a match of the schema (required), found "label" is a required property'
    )
    assert results[2].message.startswith("the answer: expected JSON, found application/json that is not JSON")


async def test_a_redirect_is_not_followed_with_the_token(runner: Runner, model: ModelServer) -> None:
    model.reply = answering("", status=302, Location=model.url + "/elsewhere")
    [result] = await run(runner, model, check())
    assert (result.outcome, len(model.requests)) == (FAILED, 1)


async def test_large_answers_are_read_while_the_operator_does_other_things(
    runner: Runner, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def seen(*arguments: Any, **options: Any) -> Evaluation:  # noqa: ANN401 - those of evaluate
        threads.append(threading.current_thread())
        return evaluate(*arguments, **options)

    monkeypatch.setattr("ephemeral_endpoints.features.checks.runner.evaluate", seen)
    await run(runner, model, check())
    assert threads
    assert threading.main_thread() not in threads
