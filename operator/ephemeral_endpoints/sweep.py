"""The sweep: deletes what is in AWS under our names although no object or class stands behind it any more.

Normally there is nothing of the kind: finalizers hold objects until everything is gone. But finalizers are torn off
by hand, clusters are restored from backups, and services make log groups again. What is found must have been there for
a while, is proven ours right before it is deleted, and goes in the planner's order. Too much of it at once is taken for
a sign that something else is wrong.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.core.desired import NOTHING
from ephemeral_endpoints.core.errors import AwsError, NotFound, Problem
from ephemeral_endpoints.core.names import owner_hash
from ephemeral_endpoints.core.orphans import (
    UNTAGGABLE,
    Holder,
    Sighting,
    Sightings,
    holder,
    is_kept_by,
    is_mature,
    is_ours,
    is_within,
    likely_users,
    orphans,
    sightings,
    standing,
)
from ephemeral_endpoints.core.plan import Step
from ephemeral_endpoints.core.resources import Have, Haves, IntegrationSpec, Key, Kind, RouteSpec
from ephemeral_endpoints.core.tags import is_retained
from ephemeral_endpoints.reconcile.act import View, converge
from ephemeral_endpoints.settings import Settings, SweepMode

logger = logging.getLogger(__name__)

_APIS: Final = (Kind.HTTP_API, Kind.INTEGRATION, Kind.ROUTE)
_ERROR_LENGTH: Final = 300

RETAINED_SECONDS: Final = 3600.0
"""For so long it is believed that what was retained still is: whoever takes its tag off can wait."""


class Observer(Protocol):
    """Is told of what the sweep finds and does."""

    def orphans(self, by_kind: Mapping[str, int], *, too_many: bool) -> None:
        """Take note of what a round found, and of whether it was too much to be deleted."""
        ...

    def swept(self, kind: str, outcome: str) -> None:
        """Count a deletion: ``deleted``, or ``failed``."""
        ...


@dataclass(frozen=True, slots=True)
class Orphan:
    """A resource that is proven ours and nobody's, where it is, and who had it."""

    account: Account
    have: Have
    holder: Holder | None
    is_mature: bool


class Sweep:
    """Finds orphans in all accounts in use and deletes them; a call is one round."""

    def __init__(  # noqa: PLR0913 - both edges, who is told of what, and a clock
        self,
        settings: Settings,
        accounts: Accounts,
        objects: Callable[[], AsyncIterator[Mapping[str, Any]]],
        *,
        observer: Observer,
        wake: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        """``objects`` lists all classes and all watched objects afresh; ``clock`` tells monotonic seconds.

        ``wake`` is called with the owner of what a swept resource used: a class may have waited to delete its API.
        """
        self._settings = settings
        self._accounts = accounts
        self._objects = objects
        self._observer = observer
        self._wake = wake
        self._clock = clock
        self._seen: dict[Scope, Sightings] = {}
        self._holders: dict[str, Holder] = {}
        self._our_apis: set[str] = set()
        self._retained: dict[tuple[Scope, Sighting], float] = {}

    async def __call__(self) -> None:
        """Make one round. Does nothing if the objects cannot be listed: a failed list is not an empty one."""
        # AWS before Kubernetes: whatever is known to be in AWS now was made for an object that exists already.
        there = {account: dict(account.inventory.all) for account in _one_a_scope(self._accounts.connected)}
        try:
            live = frozenset([owner_hash(each["metadata"]["uid"]) async for each in self._objects()])
        except (ApiException, aiohttp.ClientError, TimeoutError) as error:
            logger.warning("not swept: the objects cannot be listed", extra={"error": str(error)[:_ERROR_LENGTH]})
            return
        await self._act(await self._proven(self._candidates(there, live)))

    async def _act(self, proven: list[Orphan]) -> None:
        most = self._settings.sweep_most_deletions
        found = [each for each in proven if each.is_mature]
        # The young ones count too: else a flood would begin to be swept before all of it has come of age.
        is_too_much = len(proven) > most
        self._observer.orphans(Counter(each.have.key.kind.value for each in found), too_many=is_too_much)
        if is_too_much:
            logger.error(
                "nothing is swept: so many orphans at once may mean that objects are missing which should not be;"
                " if they are rightly gone, raise EEP_SWEEP_MOST_DELETIONS",
                extra={"at_least": len(proven), "most": most},
            )
        elif self._settings.sweep is SweepMode.DRY_RUN:
            for each in found:
                logger.info("would be swept", extra=_described(each.have, each.holder))
        else:
            for account in {each.account for each in found}:
                await self._delete(account, [each for each in found if each.account is account])

    def _candidates(self, there: Mapping[Account, Haves], live: frozenset[str]) -> list[Orphan]:
        """What may be an orphan, and whether it has been one for long enough."""
        now, before, self._seen = self._clock(), self._seen, {}
        self._retained = {each: at for each, at in self._retained.items() if now - at < RETAINED_SECONDS}
        candidates: list[Orphan] = []
        owners: set[str | None] = set()
        for account, haves in there.items():
            found = orphans(haves, live)
            owners |= {have.owner for have in found}
            seen = self._seen[account.scope] = sightings(before.get(account.scope, {}), found, now)
            listed_at, min_age = account.inventory.listed_at, self._settings.sweep_min_age_seconds
            candidates += [
                Orphan(account, have, None, is_mature=is_mature(have, seen, listed_at, min_age))
                for have in standing(found)
                if not self._stays(account, have)
            ]
        self._holders = {owner: each for owner, each in self._holders.items() if owner in owners}
        return candidates

    async def _proven(self, candidates: list[Orphan]) -> list[Orphan]:
        """Those that are ours and in our namespaces; ends early when there are too many."""
        usable = {
            account for account in {each.account for each in candidates} if await self._update(account, candidates)
        }
        self._our_apis.clear()
        found: list[Orphan] = []
        for each in candidates:
            if len(found) > self._settings.sweep_most_deletions:
                break
            account, have = each.account, each.have
            if account not in usable or self._is_elsewhere(have) or self._stays(account, have):
                continue
            if not await self._is_proven(account, have):
                continue
            owner = self._holders.get(have.owner or "")
            if is_within(owner, self._settings.namespaces):
                found.append(replace(each, holder=owner))
        return found

    async def _update(self, account: Account, candidates: list[Orphan]) -> bool:
        """Look again at what failed before, and at what cannot be described one by one at reasonable cost."""
        try:
            await account.settle(ORPHANS.owner)
            if any(each.account is account and each.have.key.kind in UNTAGGABLE for each in candidates):
                await account.refresh(_APIS, since=self._clock())
        except AwsError as error:
            extra = {"region": account.scope.region, "error": str(error)}
            logger.warning("not swept: AWS could not be listed again", extra=extra)
            return False
        return True

    def _stays(self, account: Account, have: Have) -> bool:
        """Whether it is known to be retained, which needs no call for a while."""
        if have.key.kind in UNTAGGABLE:
            return is_kept_by(have, None, self._retaining(account))
        return (account.scope, Sighting.of(have)) in self._retained

    def _retaining(self, account: Account) -> frozenset[str | None]:
        """The owners of which anything is retained there."""
        return frozenset(sighting.owner for scope, sighting in self._retained if scope == account.scope)

    def _is_elsewhere(self, have: Have) -> bool:
        """Whether its object is known to be another operator's, which needs no call then."""
        known = self._holders.get(have.owner or "")
        return known is not None and not is_within(known, self._settings.namespaces)

    async def _is_proven(self, account: Account, have: Have) -> bool:
        """Whether it is still there and ours, as AWS says now."""
        known = account.inventory.all.get(have.key)
        if known is None or Sighting.of(known) != Sighting.of(have):
            return False
        try:
            tags = await account.tags(known, ORPHANS)
            if tags is None and not await self._is_in_our_api(account, known):
                return False
        except NotFound:
            return False
        except AwsError as error:
            self._failed(have, error)
            return False
        return is_ours(known, tags, account.scope.cluster_id) and self._may_go(account, known, tags)

    def _may_go(self, account: Account, have: Have, tags: Mapping[str, str] | None) -> bool:
        """Take note of what the tags tell: that it stays, or who had it."""
        if is_retained(tags or {}) or is_kept_by(have, tags, self._retaining(account)):
            self._retained[account.scope, Sighting.of(have)] = self._clock()
            return False
        if told := holder(tags or {}):
            self._holders[have.owner or ""] = told
        return True

    async def _is_in_our_api(self, account: Account, have: Have) -> bool:
        api = account.inventory.all.get(have.spec.api) if isinstance(have.spec, RouteSpec | IntegrationSpec) else None
        if api and api.arn not in self._our_apis:
            if not is_ours(api, await account.tags(api, ORPHANS), account.scope.cluster_id):
                return False
            self._our_apis.add(api.arn)
        return api is not None

    async def _delete(self, account: Account, found: list[Orphan]) -> None:
        """Delete them in the planner's order, as far as that goes without waiting; the rest is for the next round."""
        wanted = {Sighting.of(each.have) for each in found}
        holders = {each.have.key: each.holder for each in found}
        failed: dict[Key, Problem] = {}

        def look() -> View:
            there = account.inventory.all
            own = {key: there[key] for key in holders if key in there and Sighting.of(there[key]) in wanted}
            return View(NOTHING, own, {**account.inventory.users_of(own), **likely_users(own, there)})

        def deleted(step: Step) -> None:
            have = next(each.have for each in found if each.have.key == step.key)
            self._observer.swept(have.key.kind, "deleted")
            logger.info("swept", extra=_described(have, holders[have.key]))
            used = (account.inventory.all.get(key) for key in have.uses)
            for owner in {each.owner for each in used if each and each.owner}:
                self._wake(owner)

        await converge(account, ORPHANS, look, failed, deleted)
        for each in found:
            if problem := failed.get(each.have.key):
                self._failed(each.have, problem)

    def _failed(self, have: Have, problem: Problem) -> None:
        self._observer.swept(have.key.kind, "failed")
        extra = _described(have, self._holders.get(have.owner or ""))
        logger.warning("could not be swept; tried again", extra={**extra, "error": str(problem)})


def _one_a_scope(accounts: Iterable[Account]) -> list[Account]:
    """One connection for each account and region, which several roles may lead to: the one that saw it whole last."""
    newest_last = sorted(accounts, key=lambda account: account.seen_at)
    return list({account.scope: account for account in newest_last}.values())


async def sweep_regularly(sweep: Sweep, seconds: float, sleep: Sleep = asyncio.sleep) -> None:
    """Make a round every so many seconds, until cancelled."""
    while True:
        await sleep(seconds)
        await sweep()


def _described(have: Have, holder: Holder | None) -> dict[str, str]:
    told = holder or Holder()
    return {
        "kind": have.key.kind.value,
        "resource": have.key.name,
        "owner": have.owner or "",
        "namespace": told.namespace,
        "object_name": told.name,
    }
