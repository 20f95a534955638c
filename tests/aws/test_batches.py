import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from tests.fixtures.waiting import TIMEOUT_SECONDS

from ephemeral_endpoints.aws.batches import Batches, Fill
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.engine.errors import AwsError, Denied, Invalid, NotFound, Transient

MOST = 3


class Service:
    """Answers each name by itself in capitals as soon as it is let; knows what came in one call."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.open = asyncio.Event()
        self.refuses: AwsError | None = None
        self.batches: Batches[str, str] = Batches(self.send, most=MOST)

    async def send(self, _: Calls, fill: Fill[str]) -> Mapping[str, str | AwsError]:
        names = list(fill())
        self.calls.append(names)
        await self.open.wait()
        if self.refuses and (len(names) > 1 or "spoils" in names):
            raise self.refuses
        answers = {name: Denied(name) if name.startswith("not") else name.upper() for name in names}
        return {name: answer for name, answer in answers.items() if name != "forgotten" or len(names) == 1}

    def ask(self, calls: Calls, *names: str) -> list[asyncio.Task[str]]:
        return [asyncio.create_task(self.batches.ask(calls, name)) for name in names]


@pytest.fixture
def service() -> Service:
    return Service()


async def begun() -> None:
    """Let everything come to where it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_requests_during_a_call_join_the_next_one_up_to_its_limit(service: Service, calls: Calls) -> None:
    asked = service.ask(calls, "a")
    await begun()
    asked += service.ask(calls, "b", "c", "b", "d", "e")
    await begun()
    service.open.set()
    assert await asyncio.gather(*asked) == ["A", "B", "C", "B", "D", "E"]
    assert service.calls == [["a"], ["b", "c", "d"], ["e"]]


async def test_a_repeated_request_for_a_name_in_a_running_call_gets_a_new_answer(
    service: Service, calls: Calls
) -> None:
    asked = service.ask(calls, "a")
    await begun()
    asked += service.ask(calls, "a")
    service.open.set()
    await asyncio.gather(*asked)
    assert service.calls == [["a"], ["a"]]


async def test_a_name_that_is_requested_again_between_two_attempts_is_answered_to_both(
    service: Service, calls: Calls
) -> None:
    async def send(calls: Calls, fill: Fill[str]) -> Mapping[str, str | AwsError]:
        fill()
        await service.open.wait()
        return await service.send(calls, fill)

    service.batches = Batches(send, most=MOST)
    asked = service.ask(calls, "a")
    await begun()
    asked += service.ask(calls, "a")
    await begun()
    service.open.set()
    done, waiting = await asyncio.wait(asked, timeout=TIMEOUT_SECONDS)
    assert not waiting
    assert [each.result() for each in done] == ["A", "A"]
    assert service.calls == [["a"]]


async def test_one_whose_answer_is_an_error_fails_alone(service: Service, calls: Calls) -> None:
    service.open.set()
    good, bad = service.ask(calls, "a", "not b")
    with pytest.raises(Denied):
        await bad
    assert await good == "A"


async def test_a_call_that_fails_fails_for_all_and_the_next_ones_are_made(service: Service, calls: Calls) -> None:
    service.open.set()
    service.refuses = Transient("away")
    for each in service.ask(calls, "a", "b"):
        with pytest.raises(Transient):
            await each
    assert service.calls == [["a", "b"]]
    service.refuses = None
    assert await asyncio.gather(*service.ask(calls, "a")) == ["A"]


async def test_an_error_of_the_call_reaches_all_waiting_requests(service: Service, calls: Calls) -> None:
    service.open.set()
    service.batches = Batches(cast("Any", lambda *_: None), most=MOST)
    for each in service.ask(calls, "a", "b"):
        with pytest.raises(TypeError):
            await each


@pytest.mark.parametrize("refusal", [NotFound("spoils"), Invalid("spoils")], ids=["not found", "invalid"])
async def test_one_that_spoils_a_call_fails_alone(service: Service, calls: Calls, refusal: AwsError) -> None:
    service.open.set()
    service.refuses = refusal
    good, bad = service.ask(calls, "a", "spoils")
    with pytest.raises(type(refusal)):
        await bad
    assert await good == "A"


async def test_one_that_is_not_answered_among_others_is_asked_for_alone(service: Service, calls: Calls) -> None:
    service.open.set()
    assert await asyncio.gather(*service.ask(calls, "a", "forgotten")) == ["A", "FORGOTTEN"]
    assert service.calls == [["a", "forgotten"], ["forgotten"]]


async def test_a_cancelled_request_does_not_cancel_others(service: Service, calls: Calls) -> None:
    first, second = service.ask(calls, "a", "b")
    await begun()
    first.cancel()
    service.open.set()
    assert await second == "B"


async def test_a_single_request_does_not_wait_and_a_burst_is_spread_over_calls(service: Service, calls: Calls) -> None:
    service.open.set()
    over, waited = asyncio.Event(), list[float]()

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await over.wait()

    service.batches = Batches(service.send, most=MOST, pause_seconds=0.5)
    patient = replace(calls, sleep=sleep)
    assert await asyncio.gather(*service.ask(patient, "a")) == ["A"]
    asked = service.ask(patient, "b")
    await begun()
    asked += service.ask(patient, "c")
    await begun()
    assert service.calls == [["a"]]
    over.set()
    assert await asyncio.gather(*asked) == ["B", "C"]
    assert service.calls == [["a"], ["b", "c"]]
    assert set(waited) == {0.5}
