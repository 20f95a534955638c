"""Keeps the inventories current: lists endpoints often while one is changing, and everything at long intervals."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from typing import Any, Final

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.engine.errors import AwsError, Unauthenticated
from ephemeral_endpoints.engine.resources import Phase, ResourceKind

logger = logging.getLogger(__name__)


REFRESH: Final = "refresh"
"""The name of the listing tasks."""

NOTIFIED_POLLS: Final = 5
"""With events, only one of so many polls is made, as a safety net."""

COMPLETE_POLLS: Final = 10
"""One of so many polls is a complete list, which shows what a list of changes may overlook."""


async def poll(
    accounts: Accounts,
    seconds: float,
    clock: Callable[[], float],
    sleep: Sleep = asyncio.sleep,
    *,
    is_notified: Callable[[Account], bool] = lambda _: False,
) -> None:
    """Until cancelled, see what changes by itself in accounts where anything does. Makes no calls otherwise."""
    async with asyncio.TaskGroup() as group:
        rounds = _Rounds(accounts, clock, group)
        for turn in itertools.count(1):
            await sleep(seconds)
            for account in rounds.idle():
                is_due = turn % NOTIFIED_POLLS == 0 or not is_notified(account) or _is_deleting(account)
                if account.is_in_flight() and is_due:
                    rounds.poll(account, is_complete=turn % COMPLETE_POLLS == 0)


async def take_snapshots(
    accounts: Accounts, seconds: float, clock: Callable[[], float], sleep: Sleep = asyncio.sleep
) -> None:
    """Until cancelled, list all kinds in every account once in ``seconds``, to see changes that no event reported."""
    async with asyncio.TaskGroup() as group:
        rounds = _Rounds(accounts, clock, group)
        while True:
            await sleep(seconds)
            for account in rounds.idle():
                rounds.refresh(account, account.kinds)


class _Rounds:
    """Lists each account in a task of its own, so that one that does not answer does not delay the others."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float], group: asyncio.TaskGroup) -> None:
        self._accounts = accounts
        self._clock = clock
        self._group = group
        self._running: dict[Account, asyncio.Task[None]] = {}

    def idle(self) -> Iterator[Account]:
        """The accounts whose last round has finished."""
        self._running = {account: task for account, task in self._running.items() if not task.done()}
        return (account for account in self._accounts.connected if account not in self._running)

    def poll(self, account: Account, *, is_complete: bool) -> None:
        """Start a round over what changes by itself, if not ``is_complete`` of its changes; returns at once."""
        if is_complete:
            known = {key.kind for key in account.inventory.all}
            self.refresh(account, [kind for kind in account.kinds if kind.changes_by_itself and kind in known])
        else:
            self._start(account, account.poll(since=self._clock()))

    def refresh(self, account: Account, kinds: Collection[ResourceKind]) -> None:
        """Start a round of complete lists; returns at once."""
        self._start(account, account.refresh(kinds, since=self._clock()))

    def _start(self, account: Account, work: Coroutine[Any, Any, None]) -> None:
        self._running[account] = self._group.create_task(_listed(self._accounts, account, work), name=REFRESH)


def _is_deleting(account: Account) -> bool:
    """Whether an endpoint is being deleted; no event reports the end of a deletion."""
    return any(observed.phase is Phase.DELETING for observed in account.inventory.all.values())


async def _listed(accounts: Accounts, account: Account, work: Awaitable[None]) -> None:
    try:
        await work
    except Unauthenticated as error:
        logger.warning("AWS rejects the operator's credentials", extra={"error": str(error)})
        accounts.forget(account)
    except AwsError as error:
        logger.warning(
            "the operator could not list AWS; it tries again",
            extra={"error": str(error), "region": account.scope.region},
        )
