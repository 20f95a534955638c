"""Sends the same requests to base and head, in turns, and compares the answers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

from ephemeral_endpoints.features.checks.comparison import report
from ephemeral_endpoints.features.checks.comparison.differences import Content, Rules, differences
from ephemeral_endpoints.features.checks.comparison.report import KeptAnswer
from ephemeral_endpoints.features.checks.comparison.summary import Pair, Reply, pair
from ephemeral_endpoints.features.checks.requests import ModelAnswer, ModelClient, ModelRequest

TIMEOUT_SECONDS: Final = 35.0
"""A little longer than an HTTP API waits."""

MOST_ANSWER_BYTES: Final = 1024 * 1024
"""Of longer answers the beginnings are compared, as bytes."""

MOST_SECONDS: Final = 600.0
"""For which requests are sent; the rest is skipped."""

MOST_FAILURES: Final = 10
"""In a row, by the same side: then it is given up, and the rest is skipped."""

_JUDGE: Final = ThreadPoolExecutor(1, "compare")
"""Of all comparisons, one pair is judged at a time: it may take 100 MB, and ten seconds of a processor."""

WARM_UPS: Final = 2
"""Attempts to have a side answer before anything is measured: the first request may start a container."""


@dataclass(frozen=True, slots=True)
class NamedRequest:
    """A request with the name that people know it by."""

    name: str
    request: ModelRequest


class Side(Protocol):
    """One of the two that are compared."""

    async def warm_up(self, request: ModelRequest) -> None:
        """Have it ready to answer."""
        ...

    async def answer(self, request: ModelRequest) -> ModelAnswer | None:
        """The answer to a request; None where there is none to compare with. Never raises for the other side."""
        ...


@dataclass(frozen=True, slots=True)
class LiveSide:
    """A model behind its URL."""

    client: ModelClient
    url: str
    token: str | None = field(repr=False)

    async def warm_up(self, request: ModelRequest) -> None:
        """See ``Side``."""
        for _ in range(WARM_UPS):
            if (await self.answer(request)).is_ok:
                return

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        """See ``Side``. Waits at most ``TIMEOUT_SECONDS``."""
        return await self.client.send(
            self.url, self.token, request, timeout_seconds=TIMEOUT_SECONDS, most_bytes=MOST_ANSWER_BYTES
        )


@dataclass(frozen=True, slots=True)
class KeptSide:
    """The answers of an earlier revision, by the digests of the requests."""

    answers: Mapping[str, KeptAnswer]

    async def warm_up(self, request: ModelRequest) -> None:
        """See ``Side``."""

    async def answer(self, request: ModelRequest) -> ModelAnswer | None:
        """See ``Side``."""
        kept = self.answers.get(report.digest(request))
        return kept.answer if kept else None


@dataclass(slots=True)
class Exchange:
    """What has become of the requests: those that both were asked, those that were skipped, and what to keep."""

    pairs: list[Pair] = field(default_factory=list)
    skipped: int = 0
    heads: list[Reply] = field(default_factory=list)
    kept: dict[str, KeptAnswer] = field(default_factory=dict)


async def exchange(  # noqa: PLR0913 - both sides, what to send, and how to judge it
    base: Side,
    head: Side,
    requests: Sequence[NamedRequest],
    rules: Rules,
    *,
    clock: Callable[[], float],
    keeps: bool = False,
) -> Exchange:
    """Send each request to both, one after the other; the order alternates, so that a drift concerns both alike.

    ``keeps`` has the head's answers kept. ``clock`` is monotonic seconds.
    """
    done, ends_at = Exchange(), clock() + MOST_SECONDS
    if requests:
        await asyncio.gather(base.warm_up(requests[0].request), head.warm_up(requests[0].request))
    for number, each in enumerate(requests):
        if clock() >= ends_at or _has_given_up(done.pairs):
            done.skipped += len(requests) - number
            break
        answers = await _answers(base, head, each.request, head_first=number % 2 == 1)
        await _note(done, each, *answers, rules, keeps=keeps)
    return done


async def _answers(
    base: Side, head: Side, request: ModelRequest, *, head_first: bool
) -> tuple[ModelAnswer | None, ModelAnswer | None]:
    if head_first:
        later = await head.answer(request)
        return await base.answer(request), later
    first = await base.answer(request)
    return first, await head.answer(request)


async def _note(  # noqa: PLR0913 - what is noted, and where
    done: Exchange,
    asked: NamedRequest,
    base: ModelAnswer | None,
    head: ModelAnswer | None,
    rules: Rules,
    *,
    keeps: bool,
) -> None:
    if head is not None:
        done.heads.append(Reply.of(head))
        if keeps and (kept := report.keep(head, rules)):
            done.kept[report.digest(asked.request)] = kept
    if base is None or head is None:
        done.skipped += 1
        return
    # Megabytes of JSON take a while, in which the operator has other things to do.
    judged = asyncio.get_running_loop().run_in_executor(_JUDGE, _judged, asked.name, base, head, rules)
    done.pairs.append(await judged)


def _judged(name: str, base: ModelAnswer, head: ModelAnswer, rules: Rules) -> Pair:
    found = differences(_content(base), _content(head), rules) if base.is_ok and head.is_ok else ()
    return pair(name, Reply.of(base), Reply.of(head), found)


def _content(answer: ModelAnswer) -> Content:
    return Content(answer.body, answer.content_type, answer.is_truncated)


def _has_given_up(pairs: Sequence[Pair]) -> bool:
    last = pairs[-MOST_FAILURES:]
    if len(last) < MOST_FAILURES:
        return False
    return not any(each.base.is_ok for each in last) or not any(each.head.is_ok for each in last)
