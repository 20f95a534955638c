"""The way into AWS: the accounts of classes, with limits and threads of their own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ephemeral_endpoints.aws.accounts import Accounts, Connector
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Access
from ephemeral_endpoints.aws.limits import LIMITS, Limiter, share
from ephemeral_endpoints.engine.clocks import Source
from ephemeral_endpoints.features.registry import components
from ephemeral_endpoints.kube.triggers import ListErrorChanged
from ephemeral_endpoints.wiring.base import Base


class Cloud:
    """The accounts, and the threads in which they are called.

    ``sessions`` makes the clients of AWS, as ``Sessions`` does. ``check`` is called before each request that could
    change something; ``on_change`` gets the owners whose resources have changed.
    """

    def __init__(
        self,
        base: Base,
        sessions: Callable[..., Connector],
        *,
        check: Callable[[], None],
        on_change: Callable[[str], None],
    ) -> None:
        self._base = base
        self._pools: dict[Access, ThreadPoolExecutor] = {}
        self.accounts = Accounts(
            base.cluster_id,
            connector=sessions(
                connections=base.settings.aws_connections, check=check, note_date=partial(base.clocks.note, Source.AWS)
            ),
            calls=self._calls,
            components=components,
            clock=base.clock,
            on_change=on_change,
            on_list_error=lambda: base.trigger(ListErrorChanged()),
        )

    async def close(self) -> None:
        """Wait for the calls that outlasted the grace: they end before another replica may act."""
        for pool in self._pools.values():
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def _calls(self, access: Access) -> Calls:
        """The calls for an access, with threads of its own: an account that does not answer blocks no other."""
        settings = self._base.settings
        if access not in self._pools:
            self._pools[access] = ThreadPoolExecutor(settings.aws_connections, "aws")
        limiter = Limiter(self._base.clock, share(LIMITS, settings.shard.count), group=self._namespace_of)
        return Calls(limiter, self._pools[access], self._base.metrics.aws_call)

    def _namespace_of(self, owner: str) -> str:
        """The namespace for which a call is made; classes and orphans belong to none."""
        key = self._base.store.by_owner(owner)
        return (key.namespace if key else None) or ""
