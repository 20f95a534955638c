"""Settings of a running service, changed by JSON merge patches (RFC 7396): a test states only what it changes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from eep_platform.emulation.signals import Signal


class FrozenModel(BaseModel):
    """An immutable part of the settings; unknown members are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Model = TypeVar("Model", bound=FrozenModel)


class LiveSettings(Generic[Model]):
    """The settings in force; wakes whoever waits for a change."""

    def __init__(self, initial: Model) -> None:
        self.now = initial
        self._initial = initial
        self._changed = Signal()

    def patch(self, patch: object) -> Model:
        """Apply a merge patch and return the result; null resets a member to its default.

        Raises:
            pydantic.ValidationError: The result would be invalid; the settings stay as they are.
        """
        merged = merge_patch(self.now.model_dump(mode="json", exclude_unset=True), patch)
        self.replace(type(self.now).model_validate(merged))
        return self.now

    def replace(self, settings: Model) -> None:
        """Put other settings in force."""
        self.now = settings
        self._changed.send()

    def reset(self) -> None:
        """Put the initial settings in force again."""
        self.replace(self._initial)

    def recheck(self) -> None:
        """Evaluate the conditions of `until` again, for those that depend on more than the settings."""
        self._changed.send()

    async def changed(self) -> None:
        """Wait for the next change or `recheck`."""
        await self._changed.wait()

    async def pause(self, seconds: float) -> None:
        """Wait for the next change, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.changed()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is evaluated after every change and every `recheck`."""
        while not condition():
            await self.changed()


def merge_patch(target: object, patch: object) -> object:
    """The JSON value that results from a merge patch (RFC 7396, section 2); neither argument is mutated."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result
