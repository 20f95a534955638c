"""The only way to call AWS: rate-limited, counted, off the event loop, with translated errors."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from ephemeral_endpoints.aws.errors import translate
from ephemeral_endpoints.aws.limits import Limiter, Priority, Sleep
from ephemeral_endpoints.engine import errors

if TYPE_CHECKING:
    from botocore.client import BaseClient

P = ParamSpec("P")
R = TypeVar("R")

THROTTLE_ATTEMPTS: Final = 6
THROTTLE_BASE_SECONDS: Final = 0.25
THROTTLE_CAP_SECONDS: Final = 8.0


class CallObserver(Protocol):
    """Is notified of each call: ``outcome`` is ``ok`` or the name of the error."""

    def __call__(self, service: str, operation: str, outcome: str, seconds: float) -> None:
        """Record a call that took ``seconds``."""
        ...


@dataclass(frozen=True, slots=True)
class Calls:
    """Makes AWS calls for ``owner``.

    Our clients disable botocore's retries, because only the reconciler can decide whether a call may be repeated. The
    exception is a throttled call, which had no effect: it is repeated here after a growing, jittered pause.
    """

    limiter: Limiter
    pool: ThreadPoolExecutor
    observer: CallObserver
    owner: str = ""
    priority: Priority = Priority.NORMAL
    sleep: Sleep = asyncio.sleep

    def on_behalf_of(self, owner: str, priority: Priority) -> "Calls":
        """The same for another owner or priority."""
        return replace(self, owner=owner, priority=priority)

    async def __call__(self, method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the client's ``method`` and return its answer.

        Waits for the rate limit and for the answer without blocking the event loop. Raises an error of the
        ``AwsError`` tree.
        """
        return await self._limited(method, lambda: partial(method, *args, **kwargs))

    async def deferred(self, method: Callable[..., R], arguments: Callable[[], Mapping[str, Any]]) -> R:
        """Like ``__call__``, with arguments computed at every attempt, once the rate limit permits the call."""
        return await self._limited(method, lambda: partial(method, **arguments()))

    async def _limited(self, method: Callable[..., R], prepared: Callable[[], Callable[[], R]]) -> R:
        service, operation = _identity(method)
        for attempt in range(1, THROTTLE_ATTEMPTS + 1):
            await self.limiter.take(service, operation, self.owner, self.priority)
            try:
                return await self._once(service, operation, prepared())
            except errors.Throttled:
                self.limiter.throttled(service, operation)
                if attempt == THROTTLE_ATTEMPTS:
                    raise
                await self.sleep(_pause(attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(self, service: str, operation: str, call: Callable[[], R]) -> R:
        started = time.perf_counter()
        outcome = "ok"
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, call)
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            translated = translate(error, operation)
            outcome = type(translated).__name__
            raise translated from error
        finally:
            self.observer(service, operation, outcome, time.perf_counter() - started)


def _identity(method: Callable[P, R]) -> tuple[str, str]:
    # A client's operations are bound methods.
    client: BaseClient = method.__self__  # type: ignore[attr-defined]
    return client.meta.service_model.service_name, client.meta.method_to_api_mapping[method.__name__]


def _pause(attempt: int) -> float:
    ceiling = min(THROTTLE_CAP_SECONDS, THROTTLE_BASE_SECONDS * 2**attempt)
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads retries, guards nothing
