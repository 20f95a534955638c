"""Runs checks: sends their requests, a few at a time, and judges the answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from ephemeral_endpoints.api.v1alpha1.checks import MAX_TIME_LIMIT_MS, CheckOutcome, CheckResult
from ephemeral_endpoints.features.checks.documents import line
from ephemeral_endpoints.features.checks.evaluation import (
    MAX_JUDGED_BYTES,
    MAX_MESSAGE,
    Failure,
    evaluate,
    message_of,
    milliseconds,
)
from ephemeral_endpoints.features.checks.preparation import PreparedCheck
from ephemeral_endpoints.features.checks.requests import ModelAnswer, ModelClient
from ephemeral_endpoints.features.checks.schemas import Schemas
from ephemeral_endpoints.features.places import Places
from ephemeral_endpoints.features.worker import WorkerError

CHECK_SECONDS: Final = MAX_TIME_LIMIT_MS / 1000
"""How long one check may take, with all its attempts."""

AT_ONCE: Final = 4
"""Requests to one model at once."""

PURPOSE: Final = "check"

_JUDGING: Final = 2
"""Answers that are judged at once, of all models: each takes up to 100 MB, most of it in a process of its own."""

_PAUSES: Final = (0.5, 5.0)
"""The shortest and the longest pause before another attempt; also how long to wait where the answer names no time."""

_COLD: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a model is reached. ``token`` is asked before each attempt: it may be rotated meanwhile.

    ``tenant`` is whom the operator's time is shared with fairly, such as a namespace.
    """

    url: str
    token: Callable[[], str | None]
    tenant: str = ""


class Runner:
    """Runs checks. ``clock`` is monotonic seconds, ``sleep`` waits for so many."""

    def __init__(
        self,
        client: ModelClient,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._clock = clock
        self._sleep = sleep
        self._judging = Places(_JUDGING)

    async def run(
        self, checks: Sequence[PreparedCheck], target: Target, *, at_once: int = AT_ONCE
    ) -> tuple[CheckResult, ...]:
        """The results of the checks in their order, of which ``at_once`` run at a time."""
        turn = asyncio.Semaphore(at_once)

        async def in_turn(check: PreparedCheck) -> CheckResult:
            async with turn:
                return await self._check(check, target)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(in_turn(each)) for each in checks]
        return tuple(each.result() for each in tasks)

    async def _check(self, check: PreparedCheck, target: Target) -> CheckResult:
        answer, obstacle = await self._answer(check, target)
        if obstacle:
            return _result(check, CheckOutcome.INCONCLUSIVE, answer, obstacle)
        try:
            async with self._judging.of(target.tenant):
                found = await _judged(check, answer)
        except WorkerError as error:
            return _result(check, CheckOutcome.INCONCLUSIVE, answer, f"the schema {error}")
        outcome = CheckOutcome.FAILED if found else CheckOutcome.PASSED
        return _result(check, outcome, answer, message_of(found))

    async def _answer(self, check: PreparedCheck, target: Target) -> tuple[ModelAnswer, str]:
        """The answer to judge, and what keeps it from being judged; empty if nothing does."""
        end, obstacle = self._clock() + CHECK_SECONDS, ""
        while True:
            answer = await self._client.send(
                target.url,
                target.token(),
                check.request,
                timeout_seconds=max(0.0, end - self._clock()),
                most_bytes=MAX_JUDGED_BYTES,
            )
            if obstacle and answer.is_timeout:
                return answer, obstacle
            obstacle = _obstacle(answer, check.expect.status)
            if not obstacle:
                return answer, ""
            shortest, longest = _PAUSES
            pause = min(max(shortest, answer.retry_after or 0.0), longest)
            if self._clock() + pause >= end:
                return answer, obstacle
            await self._sleep(pause)


async def _judged(check: PreparedCheck, answer: ModelAnswer) -> tuple[Failure, ...]:
    """All failures. Raises WorkerError."""
    # A megabyte of JSON takes a second to read, in which the operator has other things to do.
    found = await asyncio.to_thread(evaluate, answer, check.expect, needs_json=check.schema is not None)
    if check.schema is None or not found.is_json:
        return found.failures
    async with Schemas() as schemas:
        return (*found.failures, *await schemas.failures(check.schema, answer.body))


def _obstacle(answer: ModelAnswer, expected: int | None) -> str:
    """Why the answer says nothing about the model, but may do so later; empty if it does."""
    if answer.status is None:
        return "" if answer.is_timeout else answer.error
    if answer.status == expected:
        return ""
    if answer.status in _COLD and answer.retry_after is not None:
        return f"the model was still being started, or busy, after {CHECK_SECONDS:g} s ({answer.status})"
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return "the URL refuses the token (401)"
    return ""


def _result(check: PreparedCheck, outcome: CheckOutcome, answer: ModelAnswer, message: str) -> CheckResult:
    latency = milliseconds(answer) if answer.status is not None else None
    return CheckResult(name=check.name, outcome=outcome, message=line(message, MAX_MESSAGE), latency_ms=latency)
