"""Keeps the inventories fresh: endpoints often while any of them is changing, everything once in a while."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection, Iterator
from typing import Final

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.core.errors import AwsError, Unauthenticated
from ephemeral_endpoints.core.resources import Kind, Phase

logger = logging.getLogger(__name__)


REFRESH: Final = "refresh"
"""The name of the tasks that list."""

WOKEN_POLLS: Final = 5
"""Where events wake us, only every so many polls are made: they are the safety net then."""


async def poll(
    accounts: Accounts,
    seconds: float,
    clock: Callable[[], float],
    sleep: Sleep = asyncio.sleep,
    *,
    is_woken: Callable[[Account], bool] = lambda _: False,
) -> None:
    """List the endpoints where any is changing, one list for all of them, until cancelled. Costs nothing at rest."""
    async with asyncio.TaskGroup() as group:
        rounds = _Rounds(accounts, clock, group)
        for turn in itertools.count(1):
            await sleep(seconds)
            for account in rounds.idle():
                is_due = turn % WOKEN_POLLS == 0 or not is_woken(account) or _is_deleting(account)
                if account.is_in_flight() and is_due:
                    rounds.refresh(account, (Kind.ENDPOINT,))


async def take_snapshots(
    accounts: Accounts, seconds: float, clock: Callable[[], float], sleep: Sleep = asyncio.sleep
) -> None:
    """List everything in every account once in ``seconds``, until cancelled: what nobody told us is seen then."""
    async with asyncio.TaskGroup() as group:
        rounds = _Rounds(accounts, clock, group)
        while True:
            await sleep(seconds)
            for account in rounds.idle():
                rounds.refresh(account, account.kinds)


class _Rounds:
    """Lists each account in a task of its own: one that does not answer must not keep us from the others."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float], group: asyncio.TaskGroup) -> None:
        self._accounts = accounts
        self._clock = clock
        self._group = group
        self._running: dict[Account, asyncio.Task[None]] = {}

    def idle(self) -> Iterator[Account]:
        """The accounts whose last round is over."""
        self._running = {account: task for account, task in self._running.items() if not task.done()}
        return (account for account in self._accounts.connected if account not in self._running)

    def refresh(self, account: Account, kinds: Collection[Kind]) -> None:
        """Begin a round; returns at once."""
        self._running[account] = self._group.create_task(
            _refresh(self._accounts, account, kinds, self._clock()), name=REFRESH
        )


def _is_deleting(account: Account) -> bool:
    """No event tells of the end of a deletion."""
    return any(have.phase is Phase.DELETING for have in account.inventory.all.values())


async def _refresh(accounts: Accounts, account: Account, kinds: Collection[Kind], since: float) -> None:
    try:
        await account.refresh(kinds, since=since)
    except Unauthenticated as error:
        logger.warning("AWS credentials do not work", extra={"error": str(error)})
        accounts.forget(account)
    except AwsError as error:
        logger.warning("AWS could not be listed", extra={"error": str(error), "region": account.scope.region})
