"""Keeps the inventories fresh: endpoints often while any of them is changing, everything once in a while."""

import asyncio
import logging
from collections.abc import Callable, Collection

from ephemeral_endpoints.aws.account import Account, Accounts
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.core.errors import AwsError, Unauthenticated
from ephemeral_endpoints.core.resources import Kind

logger = logging.getLogger(__name__)


async def poll(accounts: Accounts, seconds: float, clock: Callable[[], float], sleep: Sleep = asyncio.sleep) -> None:
    """List the endpoints where any is changing, one list for all of them, until cancelled. Costs nothing at rest."""
    while True:
        await sleep(seconds)
        for account in accounts.connected:
            if account.is_in_flight():
                await _refresh(accounts, account, (Kind.ENDPOINT,), clock())


async def take_snapshots(
    accounts: Accounts, seconds: float, clock: Callable[[], float], sleep: Sleep = asyncio.sleep
) -> None:
    """List everything in every account once in ``seconds``, until cancelled: what nobody told us is seen then."""
    while True:
        await sleep(seconds)
        for account in accounts.connected:
            await _refresh(accounts, account, account.kinds, clock())


async def _refresh(accounts: Accounts, account: Account, kinds: Collection[Kind], since: float) -> None:
    try:
        await account.refresh(kinds, since=since)
    except Unauthenticated as error:
        logger.warning("AWS credentials do not work", extra={"error": str(error)})
        accounts.forget(account)
    except AwsError as error:
        logger.warning("AWS could not be listed", extra={"error": str(error), "region": account.scope.region})
