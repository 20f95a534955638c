"""A stage whose operator is killed at every write: each version is promoted once all the same."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.controllers.environment import Environment, Object
from tests.controllers.model_stage.test_controller import CHECK, NAMESPACE, Stages
from tests.fixtures.platform import Aws

from ephemeral_endpoints.api.kinds import ENDPOINT, PROMOTION
from ephemeral_endpoints.kube.cache import ObjectKey, class_key, endpoint_key
from ephemeral_endpoints.wiring import operator as wired
from ephemeral_endpoints.wiring.operator import Operator

pytestmark = pytest.mark.chaos

WRITES = ("annotate", "change_spec", "create", "delete", "write_status")
LOOK_SECONDS = 0.02


async def _nothing(_: ObjectKey) -> float | None:
    return None


@pytest.fixture
async def stages(env: Environment, fresh_aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Stages:
    """Stages whose operators leave endpoints to the test, each that follows too."""
    started = env._started  # noqa: SLF001 - what becomes of endpoints is for the test to say

    def made() -> Operator:
        operator = started()
        operator.reconcilers = {**operator.reconcilers, ENDPOINT.name: _nothing}
        return operator

    monkeypatch.setattr(env, "_started", made)
    monkeypatch.setattr(wired, "GRACE_SECONDS", 0.0)
    env.api.change(class_key("default"), {"spec": {"stages": {"allowed": True}, "packages": {"groups": ["wine"]}}})
    await env.restart()
    return Stages(env, fresh_aws)


class Killing:
    """Has the operator end at each write: before it is done, the first time that it is tried; or right after it."""

    def __init__(self, env: Environment, monkeypatch: pytest.MonkeyPatch, *, is_before: bool) -> None:
        self.env, self.is_before, self.deaths = env, is_before, 0
        self._is_dying = self._is_spared = False
        for name in WRITES:
            monkeypatch.setattr(env.api, name, self._fatal(getattr(env.api, name)))

    def _fatal(self, write: Callable[..., Awaitable[Object]]) -> Callable[..., Awaitable[Object]]:
        async def killed(*args: Any, **kwargs: Any) -> Object:  # noqa: ANN401 - those of any write
            if self.is_before and (self._is_spared or self._is_dying):
                self._is_spared = False
                return await write(*args, **kwargs)
            if not self.is_before:
                answer = await write(*args, **kwargs)
                if self._is_dying:
                    return answer
            self._is_dying = True
            await asyncio.get_running_loop().create_future()
            raise AssertionError("nothing ends it but the end of its operator")

        return killed

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Have another operator in place of each that has ended."""
        is_over = asyncio.Event()
        working = asyncio.create_task(self._replace(is_over))
        try:
            yield
        finally:
            is_over.set()
            await working

    async def _replace(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            await asyncio.sleep(LOOK_SECONDS)
            if self._is_dying:
                await self.env.stop()
                self._is_dying, self._is_spared, self.deaths = False, self.is_before, self.deaths + 1
                await self.env.start()


async def promote(stages: Stages) -> None:
    """The story of a stage: a good version, a bad one that goes back, and one by hand."""
    env = stages.env

    async def becomes(version: int, checks: str) -> None:
        await env.until(lambda: stages.version("staging") == version, f"version {version}")
        await stages.becomes("staging", checks=checks)

    stages.register()
    stages.make("staging", template={"spec": {"checks": [CHECK]}})
    await becomes(1, "True")
    await stages.state("staging", "Promoted")
    stages.register()
    await stages.look()
    await becomes(2, "False")
    await becomes(1, "True")
    await stages.state("staging", "StagePinned")
    stages.register()
    await stages.look()
    stages.ask("by-hand", "staging", version="wine/3")
    await becomes(3, "True")
    await stages.state("staging", "Promoted")


def judge(stages: Stages) -> None:
    """Each version was promoted once, and the history tells it."""
    assert stages.outcomes("staging") == ["wine/3 Succeeded", "wine/2 RolledBack", "wine/1 Succeeded"]
    promotions = [each for key, each in stages.env.api.kept.items() if key.kind == PROMOTION.name]
    assert sorted(each["spec"]["version"] for each in promotions) == ["wine/1", "wine/2", "wine/3"]
    assert stages.status("staging")["current"]["version"] == "wine/3"
    assert "pinnedTo" not in stages.status("staging")
    # One for the creation, and one for each other version: nothing was promoted twice.
    assert stages.env.api.kept[endpoint_key(NAMESPACE, "staging")]["metadata"]["generation"] == 4


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
async def test_whichever_write_is_the_last_of_its_operator_each_version_is_promoted_once(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, *, is_before: bool
) -> None:
    killing = Killing(stages.env, monkeypatch, is_before=is_before)
    async with killing.at_work():
        await promote(stages)
    judge(stages)
    assert killing.deaths > 10, "the story has more writes than that"
