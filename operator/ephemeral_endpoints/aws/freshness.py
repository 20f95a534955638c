"""Keeps the inventories fresh: endpoints often while any of them is changing, everything once in a while."""

import asyncio
import logging
from collections.abc import Callable

from ephemeral_endpoints.aws.account import Account, Accounts
from ephemeral_endpoints.core.errors import AwsError, Unauthenticated
from ephemeral_endpoints.core.resources import Kind
from ephemeral_endpoints.settings import Settings

logger = logging.getLogger(__name__)


async def keep_fresh(accounts: Accounts, settings: Settings, clock: Callable[[], float]) -> None:
    """Run until cancelled. An account at rest costs one snapshot a period.

    While endpoints change, one list of them for all.
    """
    snapshots: dict[Account, float] = {}
    while True:
        await asyncio.sleep(settings.poll_seconds)
        for account in accounts.connected:
            now = clock()
            is_due = now - snapshots.setdefault(account, now) >= settings.snapshot_seconds
            if is_due:
                snapshots[account] = now
            if is_due or account.is_in_flight():
                await _refresh(accounts, account, everything=is_due, now=now)
        snapshots = {account: at for account, at in snapshots.items() if account in accounts.connected}


async def _refresh(accounts: Accounts, account: Account, *, everything: bool, now: float) -> None:
    try:
        await account.refresh(account.kinds if everything else (Kind.ENDPOINT,), since=now)
    except Unauthenticated as error:
        logger.warning("AWS credentials do not work", extra={"error": str(error)})
        accounts.forget(account)
    except AwsError as error:
        logger.warning("AWS could not be listed", extra={"error": str(error), "region": account.scope.region})
