"""Places that are fair between namespaces."""

import asyncio

from ephemeral_endpoints.features.places import Places


class Bench:
    """Work that holds its place until it is let go."""

    def __init__(self, most: int) -> None:
        self.places = Places(most)
        self.begun: list[str] = []
        self._goes_on: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, *names: str) -> None:
        """Begin work of that name, which begins with its namespace."""
        for each in names:
            self._goes_on[each] = asyncio.Event()
            self._tasks[each] = asyncio.create_task(self._work(each))
        await self.turns()

    async def end(self, name: str) -> None:
        self._goes_on[name].set()
        await self.turns()

    async def cancel(self, *names: str) -> None:
        for each in names:
            self._tasks[each].cancel()
        await self.turns()

    async def turns(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def _work(self, name: str) -> None:
        async with self.places.of(name[0]):
            self.begun.append(name)
            await self._goes_on[name].wait()


async def test_what_hangs_in_a_namespace_keeps_no_other_from_its_turn() -> None:
    bench = Bench(most=8)
    await bench.begin(*(f"a{number}" for number in range(20)))
    assert len(bench.begun) == 6
    await bench.begin("b0", "b1")
    assert bench.begun[6:] == ["b0", "b1"]


async def test_there_are_never_more_at_once() -> None:
    bench = Bench(most=4)
    await bench.begin("a0", "b0", "c0", "d0", "e0", "f0")
    assert bench.begun == ["a0", "b0", "c0", "d0"]
    await bench.end("b0")
    assert bench.begun[4:] == ["e0"]


async def test_the_namespace_with_the_fewest_places_comes_first() -> None:
    bench = Bench(most=4)
    await bench.begin("a0", "a1", "a2", "b0", "a3", "a4", "b1", "c0")
    await bench.end("b0")
    await bench.end("a0")
    await bench.end("a1")
    assert bench.begun == ["a0", "a1", "a2", "b0", "b1", "c0", "a3"]


async def test_a_namespace_alone_has_one_place_of_one() -> None:
    bench = Bench(most=1)
    await bench.begin("a0", "a1")
    await bench.end("a0")
    assert bench.begun == ["a0", "a1"]


async def test_what_is_cancelled_holds_no_place_and_takes_none() -> None:
    bench = Bench(most=1)
    await bench.begin("a0", "a1", "b0", "b1")
    await bench.cancel("a1", "b0")
    await bench.cancel("a0")
    assert bench.begun == ["a0", "b1"]
    await bench.end("b1")
    await bench.begin("c0")
    assert bench.begun == ["a0", "b1", "c0"]


async def test_a_place_that_was_just_given_to_what_is_cancelled_goes_on() -> None:
    bench = Bench(most=1)
    await bench.begin("a0", "b0", "c0")
    bench._goes_on["a0"].set()  # noqa: SLF001 - its own bench
    await asyncio.sleep(0)
    await bench.cancel("b0")
    assert bench.begun in (["a0", "c0"], ["a0", "b0", "c0"])
