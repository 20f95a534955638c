"""Keeps the inventories fresh: endpoints often while any of them is changing, everything once in a while."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection
from typing import Final

from ephemeral_endpoints.aws.account import Account, Accounts
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.core.errors import AwsError, Unauthenticated
from ephemeral_endpoints.core.resources import Kind, Phase

logger = logging.getLogger(__name__)


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
    for turn in itertools.count(1):
        await sleep(seconds)
        for account in accounts.connected:
            if account.is_in_flight() and (turn % WOKEN_POLLS == 0 or not is_woken(account) or _is_deleting(account)):
                await _refresh(accounts, account, (Kind.ENDPOINT,), clock())


async def take_snapshots(
    accounts: Accounts, seconds: float, clock: Callable[[], float], sleep: Sleep = asyncio.sleep
) -> None:
    """List everything in every account once in ``seconds``, until cancelled: what nobody told us is seen then."""
    while True:
        await sleep(seconds)
        for account in accounts.connected:
            await _refresh(accounts, account, account.kinds, clock())


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
