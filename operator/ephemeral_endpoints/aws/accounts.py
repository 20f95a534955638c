"""The accounts and regions that classes refer to, with the access that they specify; connected on first use."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from botocore.exceptions import BotoCoreError

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Access, Clients, Role
from ephemeral_endpoints.aws.component import Component, Scope
from ephemeral_endpoints.aws.errors import translate, wrong_account
from ephemeral_endpoints.aws.limits import Limiter
from ephemeral_endpoints.engine.backoff import delay
from ephemeral_endpoints.engine.errors import AwsError, Unauthenticated

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS: Final = 15.0
"""Between two attempts to connect, however many objects want the account."""


@dataclass(frozen=True, slots=True)
class _Failing:
    """An access that cannot be connected: since when, and until when nobody tries again; monotonic seconds."""

    since: float
    error: AwsError
    attempts: int
    retry_at: float


class Connector(Protocol):
    """Makes clients, see ``aws.clients.Sessions``."""

    def connect(self, region: str, role: Role | None) -> Clients:
        """Clients for a region with the credentials of a role."""
        ...

    def forget(self, clients: Clients) -> None:
        """Have other credentials next time."""
        ...


class Accounts:
    """Connections, by the access that classes describe.

    What one of them waits for holds up no other. Two roles of one account share its rate limits.
    """

    def __init__(  # noqa: PLR0913 - the ways into AWS, and callbacks
        self,
        cluster_id: str,
        *,
        connector: Connector,
        calls: Callable[[Access], Calls],
        components: Callable[[Clients, Scope], Iterable[Component]],
        clock: Callable[[], float],
        on_change: Callable[[str], None],
        on_list_error: Callable[[], None] = lambda: None,
    ) -> None:
        """``calls`` returns the ``Calls`` for an access, ``components`` a component for every kind.

        ``on_change`` and ``on_list_error`` are the accounts', see there.
        """
        self._cluster_id = cluster_id
        self._connector = connector
        self._calls = calls
        self._components = components
        self._clock = clock
        self._on_change = on_change
        self._on_list_error = on_list_error
        self._connected: dict[Access, Account] = {}
        self._opening: dict[Access, asyncio.Task[Account]] = {}
        self._failing: dict[Access, _Failing] = {}
        self._limiters: dict[tuple[str, str], Limiter] = {}

    @property
    def connected(self) -> tuple[Account, ...]:
        """The accounts in use; one and the same account and region may be there by several roles."""
        return tuple(self._connected.values())

    def sharing(self, scope: Scope) -> tuple[Account, ...]:
        """The connections that lead to one account and region."""
        return tuple(account for account in self.connected if account.scope == scope)

    def begin(self, endpoint_class: EphemeralEndpointClass) -> None:
        """Begin to connect to the account of a class; later requests for it share the attempt."""
        if Access.of(endpoint_class) not in self._connected:
            self._begun(Access.of(endpoint_class))

    async def of(self, endpoint_class: EphemeralEndpointClass) -> Account:
        """The account of a class, see ``by``."""
        return await self.by(Access.of(endpoint_class))

    async def by(self, access: Access) -> Account:
        """The account that an access leads to, with a complete inventory; waits for the first lists.

        Concurrent requests share the attempt, and those within the pause after it its failure: else a thousand objects
        would call STS a thousand times as often while credentials have expired. Raises an error of the ``AwsError``
        tree: WrongAccount if the credentials are not of the account that the class names.
        """
        if account := self._connected.get(access):
            return account
        failing = self._failing.get(access)
        if failing and access not in self._opening and self._clock() < failing.retry_at:
            raise failing.error.with_traceback(None)
        return await asyncio.shield(self._begun(access))

    def forget(self, account: Account) -> None:
        """Reconnect next time: botocore keeps the absence of credentials for as long as a session exists."""
        self._connector.forget(account.clients)
        self._connected = {access: each for access, each in self._connected.items() if each is not account}

    def keep_only(self, accesses: Collection[Access]) -> None:
        """Give up the connections that no class uses any more, once another leads to the same account and region.

        The last one stays: orphans in the account are still to be found.
        """
        self._failing = {access: failing for access, failing in self._failing.items() if access in accesses}
        used = {account.scope for access, account in self._connected.items() if access in accesses}
        self._connected = {
            access: account
            for access, account in self._connected.items()
            if access in accesses or account.scope not in used
        }

    def ages(self) -> dict[Access, float]:
        """For each access, how old the oldest of its lists is, in seconds; without any, since when it fails."""
        now = self._clock()
        since = {access: failing.since for access, failing in self._failing.items()}
        since |= {access: account.seen_at for access, account in self._connected.items()}
        return {access: now - at for access, at in since.items()}

    def _begun(self, access: Access) -> asyncio.Task[Account]:
        if access not in self._opening:
            self._opening[access] = opening = asyncio.create_task(self._open(access), name=f"connect {access.region}")
            opening.add_done_callback(partial(self._opened, access))
        return self._opening[access]

    async def _open(self, access: Access) -> Account:
        calls = self._calls(access)
        clients = await self._clients(access, calls)
        try:
            account = await self._identified(access, clients, calls)
            await account.refresh(account.kinds, since=0.0)
        except Unauthenticated:
            self._connector.forget(clients)
            raise
        role = access.role.arn if access.role else ""
        logger.info("connected to AWS", extra={"account": access.account, "region": access.region, "role": role})
        return account

    async def _clients(self, access: Access, calls: Calls) -> Clients:
        """Look for credentials, which may take long: in a thread of this account, which takes none from another."""
        connect = partial(self._connector.connect, access.region, access.role)
        try:
            return await asyncio.get_running_loop().run_in_executor(calls.pool, connect)
        except BotoCoreError as error:
            # For example of EKS Pod Identity, whose agent does not answer.
            raise translate(error, "") from error

    async def _identified(self, access: Access, clients: Clients, calls: Calls) -> Account:
        caller = await calls(clients.sts.get_caller_identity)
        if caller["Account"] != access.account:
            raise wrong_account(caller["Account"], access.account)
        scope = Scope(self._cluster_id, access.account, access.region)
        limiter = self._limiters.setdefault((scope.account_id, scope.region), calls.limiter)
        return Account(
            clients,
            scope,
            replace(calls, limiter=limiter),
            self._components(clients, scope),
            clock=self._clock,
            on_change=self._on_change,
            on_list_error=self._on_list_error,
        )

    def _opened(self, access: Access, opening: asyncio.Task[Account]) -> None:
        del self._opening[access]
        if opening.cancelled():
            return
        if error := opening.exception():
            if isinstance(error, AwsError):
                self._failed(access, error)
            return
        account = self._connected[access] = opening.result()
        if self._failing.pop(access, None) is not None:
            # Their next attempts may be minutes away.
            for owner in account.inventory.owners():
                self._on_change(owner)

    def _failed(self, access: Access, error: AwsError) -> None:
        now, before = self._clock(), self._failing.get(access)
        attempts = before.attempts + 1 if before else 1
        pause = min(delay(error, attempts), LONGEST_PAUSE_SECONDS)
        self._failing[access] = _Failing(before.since if before else now, error, attempts, now + pause)
