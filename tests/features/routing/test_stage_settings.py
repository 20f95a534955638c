"""One update of a stage at a time, and one refused change in nobody else's way."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.engine.errors import AwsError, Denied, Invalid, NotFound, Transient
from ephemeral_endpoints.features.routing.specs import ThrottleSpec
from ephemeral_endpoints.features.routing.stage_settings import EVERY_ROUTE, StageSettings

NARROW = ThrottleSpec(1, 2)
SENT = {"DetailedMetricsEnabled": False, "ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 2}


class Stage:
    """A stage that refuses settings of some routes, and every update while it has settings of a route that is gone."""

    def __init__(self, refused: Iterable[str] = (), lost: Iterable[str] = (), error: AwsError | None = None) -> None:
        self.refused = set(refused)
        self.settings: dict[str, Any] = dict.fromkeys(lost, SENT)
        self.default: Any = None
        self.error = error
        self.updates: list[set[str]] = []
        self.under_way = 0
        self.deleted: list[str] = []

    async def __call__(self, method: Callable[..., Any], **arguments: Any) -> Any:  # noqa: ANN401 - a call of AWS
        self.under_way += 1
        assert self.under_way == 1, "one call at a time"
        await asyncio.sleep(0)
        self.under_way -= 1
        return method(**arguments)

    def update_stage(self, **arguments: Any) -> None:  # noqa: ANN401 - a call of AWS
        asked = arguments.get("RouteSettings", {})
        self.updates.append(set(asked))
        if self.error:
            raise self.error
        if any(key.startswith("GONE") for key in self.settings):
            raise NotFound("Unable to find Route by key GONE")
        if self.refused & asked.keys():
            raise Invalid("too much")
        self.settings |= asked
        self.default = arguments.get("DefaultRouteSettings", self.default)

    def delete_route_settings(self, **arguments: Any) -> None:  # noqa: ANN401 - a call of AWS
        self.deleted.append(arguments["RouteKey"])
        if self.settings.pop(arguments["RouteKey"], None) is None:
            raise NotFound("no such settings")

    def get_stages(self, **_: Any) -> Any:  # noqa: ANN401 - a call of AWS
        return {"Items": [{"StageName": "$default", "RouteSettings": self.settings}]}

    def get_routes(self, **_: Any) -> Any:  # noqa: ANN401 - a call of AWS
        return {"Items": [{"RouteKey": key} for key in self.settings if not key.startswith("GONE")]}


async def put(stage: Stage, *keys: str) -> list[type | None]:
    """Have several routes throttled at once; returns what became of each."""
    writer, calls = StageSettings(cast("Any", stage)), cast("Calls", stage)
    results = await asyncio.gather(*(writer.put(calls, "api", key, NARROW) for key in keys), return_exceptions=True)
    return [type(each) if each else None for each in results]


async def test_changes_that_come_together_are_one_update_and_say_everything() -> None:
    stage = Stage()
    assert await put(stage, "a", "b", EVERY_ROUTE) == [None] * 3
    assert stage.updates == [{"a", "b"}]
    assert stage.settings == {"a": SENT, "b": SENT}
    assert stage.default == SENT


@pytest.mark.parametrize(
    ("stage", "expected", "updates", "reason"),
    [
        (Stage(refused="b"), [None, Invalid, None], 4, "one is refused, and the others are not"),
        (Stage(lost=["GONE"]), [None] * 3, 4, "what is left behind is deleted, and all are set"),
        (Stage(refused="b", lost=["GONE"]), [None, Invalid, None], 4, "both at once"),
        (Stage(error=Denied("no")), [Denied] * 3, 1, "no change is to blame: none is tried again"),
        (Stage(error=Transient("?")), [Transient] * 3, 1, "it may have been done: each object looks"),
    ],
)
async def test_a_refused_update_holds_up_nobody_else(
    stage: Stage, expected: list[type | None], updates: int, reason: str
) -> None:
    assert await put(stage, "a", "b", "c") == expected, reason
    assert len(stage.updates) == updates, reason
    assert set(stage.settings) == {key for key, error in zip("abc", expected, strict=True) if error is None}, reason


async def test_what_is_asked_for_during_an_update_is_the_next_one() -> None:
    stage, writer = Stage(), None
    writer, calls = StageSettings(cast("Any", stage)), cast("Calls", stage)
    first = asyncio.create_task(writer.put(calls, "api", "a", NARROW))
    while not stage.under_way:
        await asyncio.sleep(0)
    rest = [asyncio.create_task(writer.put(calls, "api", key, NARROW)) for key in "bc"]
    rest.append(asyncio.create_task(writer.remove(calls, "api", "none")))
    await asyncio.gather(first, *rest)
    assert stage.updates == [{"a"}, {"b", "c"}]
    assert stage.deleted == ["none"], "deleting what is not there succeeds"


async def test_a_caller_that_gives_up_does_not_keep_the_others_from_being_answered() -> None:
    stage = Stage()
    writer, calls = StageSettings(cast("Any", stage)), cast("Calls", stage)
    impatient, other = (asyncio.create_task(writer.put(calls, "api", key, NARROW)) for key in "ab")
    await asyncio.sleep(0)
    impatient.cancel()
    await other
    assert set(stage.settings) == {"a", "b"}
