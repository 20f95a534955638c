"""The sweep: deletes resources in AWS under our names that no object or class owns any more.

Normally there are none: finalizers hold objects until everything is deleted. But finalizers are removed
by hand, clusters are restored from backups, and services recreate log groups. An orphan must have been there for
a while, is proven ours right before its deletion, and is deleted in the planner's order. Too many lost objects at once
are taken for a sign that something else is wrong, and held until their end of life. What is past it goes at once.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.converge import converge
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.controllers.orphans.policy import (
    Breaker,
    Holder,
    Sighting,
    Sightings,
    holder,
    is_kept_by,
    is_mature,
    is_within,
    latest,
    likely_users,
    orphans,
    remaining,
    sightings,
)
from ephemeral_endpoints.engine.errors import AwsError, NotFound, ReconcileError
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.ownership import is_ours
from ephemeral_endpoints.engine.plan import DesiredState, Step, View
from ephemeral_endpoints.engine.resources import Key, ObservedResource, ObservedResources
from ephemeral_endpoints.engine.tags import is_retained
from ephemeral_endpoints.kube.errors import KubernetesError
from ephemeral_endpoints.settings import Settings, SweepMode

logger = logging.getLogger(__name__)

RETAINED_SECONDS: Final = 3600.0
"""How long a resource is assumed to be still retained: the removal of its tag may take effect later."""


class SweepObserver(Protocol):
    """Receives the sweep's findings and deletions."""

    def orphans(self, by_kind: Mapping[str, int], *, held: int) -> None:
        """Record a round's findings, and in how many namespaces they were too many to be deleted."""
        ...

    def swept(self, kind: str, outcome: str) -> None:
        """Count a deletion: ``deleted``, or ``failed``."""
        ...


@dataclass(frozen=True, slots=True)
class Orphan:
    """A resource that is proven ours and without an owner, where it is, and the object that owned it."""

    account: Account
    observed: ObservedResource
    holder: Holder | None
    is_due: bool
    """Whether it has been an orphan for long enough, or would be gone by now anyway."""


class Sweep:
    """Finds orphans in all accounts in use and deletes them."""

    def __init__(  # noqa: PLR0913 - both edges, callbacks, and a clock
        self,
        settings: Settings,
        accounts: Accounts,
        objects: Callable[[], AsyncIterator[Mapping[str, Any]]],
        *,
        observer: SweepObserver,
        enqueue: Callable[[str], None],
        disagreement: Callable[[], str | None],
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        """``objects`` lists all classes and all watched objects afresh.

        ``clock`` is monotonic seconds, ``now`` the time of day in UTC.

        ``disagreement`` says which clocks differ, if any: what else may be wrong then is not known, and nothing is
        swept.
        ``enqueue`` is called with the owner of resources that a swept one used: a class may wait to delete its API.
        """
        self._settings = settings
        self._accounts = accounts
        self._objects = objects
        self._observer = observer
        self._enqueue = enqueue
        self._disagreement = disagreement
        self._clock = clock
        self._now = now
        self._seen: dict[Scope, Sightings] = {}
        self._holders: dict[str, Holder] = {}
        self._our_wholes: set[str] = set()
        self._unread: set[str | None] = set()
        self._retained: dict[tuple[Scope, Sighting], float] = {}

    async def run(self) -> None:
        """Make one round. Does nothing if the objects cannot be listed: a failed list is not an empty one."""
        # AWS before Kubernetes: every resource known to be in AWS now was created for an object that exists already.
        there = {account: dict(account.inventory.all) for account in _one_a_scope(self._accounts.connected)}
        try:
            owners = frozenset([owner_hash(each["metadata"]["uid"]) async for each in self._objects()])
        except KubernetesError as error:
            logger.warning(
                "no sweep: the operator cannot list the objects; it tries again", extra={"error": str(error)}
            )
            return
        if differs := self._disagreement():
            logger.error("no sweep: set the clock of the operator's node", extra={"error": differs})
            return
        breaker = Breaker(self._settings.sweep_most_owners)
        proven = await self._verified(self._candidates(there, owners), breaker)
        await self._act([each for each in proven if each.is_due], breaker)

    async def _act(self, found: list[Orphan], breaker: Breaker) -> None:
        self._observer.orphans(Counter(each.observed.key.kind.name for each in found), held=len(breaker.held))
        if breaker.held:
            logger.error(
                "the sweep holds the orphans of these namespaces until they expire: so many lost objects at once may "
                "mean that they were lost by mistake; if they were deleted on purpose, raise EEP_SWEEP_MOST_OWNERS",
                extra={"namespaces": breaker.held, "most": self._settings.sweep_most_owners},
            )
        free = [each for each in found if not self._is_held(each.holder, breaker)]
        if self._settings.sweep is SweepMode.DRY_RUN:
            for each in free:
                logger.info("would be swept", extra=_described(each.observed, each.holder))
        else:
            for account in {each.account for each in free}:
                await self._delete(account, [each for each in free if each.account is account])

    def _is_held(self, holder: Holder | None, breaker: Breaker) -> bool:
        """What no tag names an object of is never held: log groups that a service made again, and routes to nothing."""
        return holder is not None and not holder.is_expired(self._now()) and breaker.is_held(holder)

    def _candidates(self, there: Mapping[Account, ObservedResources], owners: frozenset[str]) -> list[Orphan]:
        """Resources that may be orphans, and whether they have been for long enough."""
        now, before, self._seen = self._clock(), self._seen, {}
        self._retained = {each: at for each, at in self._retained.items() if now - at < RETAINED_SECONDS}
        candidates: list[Orphan] = []
        holders: set[str | None] = set()
        for account, observed_resources in there.items():
            found = orphans(observed_resources, owners)
            holders |= {observed.owner for observed in found}
            seen = self._seen[account.scope] = sightings(before.get(account.scope, {}), found, now)
            listed_at, min_age = account.inventory.listed_at, self._settings.sweep_min_age_seconds
            candidates += [
                Orphan(account, observed, None, is_due=is_mature(observed, seen, listed_at, min_age))
                for observed in remaining(found)
                if not self._stays(account, observed)
            ]
        self._holders = {owner: each for owner, each in self._holders.items() if owner in holders}
        return candidates

    async def _verified(self, candidates: list[Orphan], breaker: Breaker) -> list[Orphan]:
        """Those that are ours and in our namespaces, without calls for those that are known to be held."""
        usable = {
            account for account in {each.account for each in candidates} if await self._update(account, candidates)
        }
        self._our_wholes.clear()
        self._unread.clear()
        found: list[Orphan] = []
        for each in candidates:
            account, observed = each.account, each.observed
            if account not in usable or self._is_elsewhere(observed) or self._stays(account, observed):
                continue
            # Young ones count too, or the sweep of too many would start before all of them are old enough.
            known = self._holders.get(observed.owner or "")
            if known and self._is_held(known, breaker):
                breaker.count(observed.owner, known)
                continue
            if not await self._is_proven(account, observed):
                continue
            owner = self._holders.get(observed.owner or "")
            if (owner is None and observed.owner in self._unread) or not is_within(owner, self._settings.namespaces):
                continue
            if owner and not owner.is_expired(self._now()):
                breaker.count(observed.owner, owner)
            found.append(each)
        return [self._identified(each) for each in found]

    def _identified(self, orphan: Orphan) -> Orphan:
        """The same with its object, after all tags have been read: a later one may name a later end of life."""
        owner = self._holders.get(orphan.observed.owner or "")
        is_expired = owner is not None and owner.is_expired(self._now())
        return replace(orphan, holder=owner, is_due=orphan.is_due or is_expired)

    async def _update(self, account: Account, candidates: list[Orphan]) -> bool:
        """List again where something failed, and the kinds that cannot be described one by one at reasonable cost."""
        try:
            await account.resolve_unknown(ORPHANS.owner)
            kinds = {each.observed.key.kind for each in candidates if each.account is account}
            wholes = {kind.lineage[0] for kind in kinds if not kind.taggable}
            await account.refresh([kind for kind in account.kinds if kind.lineage[0] in wholes], since=self._clock())
        except AwsError as error:
            extra = {"region": account.scope.region, "error": str(error)}
            logger.warning("no sweep: the operator could not list AWS again; it tries again", extra=extra)
            return False
        return True

    def _stays(self, account: Account, observed: ObservedResource) -> bool:
        """Whether it is known to be retained, which is cached for a while."""
        if not observed.key.kind.taggable:
            return is_kept_by(observed, None, self._retaining(account))
        return (account.scope, Sighting.of(observed)) in self._retained

    def _retaining(self, account: Account) -> frozenset[str | None]:
        """The owners of which anything is retained there."""
        return frozenset(sighting.owner for scope, sighting in self._retained if scope == account.scope)

    def _is_elsewhere(self, observed: ObservedResource) -> bool:
        """Whether its object is known to be another operator's, which needs no call then."""
        known = self._holders.get(observed.owner or "")
        return known is not None and not is_within(known, self._settings.namespaces)

    async def _is_proven(self, account: Account, observed: ObservedResource) -> bool:
        """Whether it still exists in AWS and is ours."""
        known = account.inventory.all.get(observed.key)
        if known is None or Sighting.of(known) != Sighting.of(observed):
            return False
        try:
            tags = await account.tags(known, ORPHANS)
            if tags is None and not await self._is_in_ours(account, known):
                return False
        except NotFound:
            return False
        except AwsError as error:
            self._failed(observed, error)
            self._unread.add(observed.owner)
            return False
        return is_ours(known, tags, account.scope.cluster_id) and self._may_be_deleted(account, known, tags)

    def _may_be_deleted(self, account: Account, observed: ObservedResource, tags: Mapping[str, str] | None) -> bool:
        """Record what the tags say: that it is retained, or which object owned it."""
        if is_retained(tags or {}) or is_kept_by(observed, tags, self._retaining(account)):
            self._retained[account.scope, Sighting.of(observed)] = self._clock()
            return False
        if named := holder(tags or {}):
            owner = observed.owner or ""
            self._holders[owner] = latest(self._holders.get(owner), named)
        return True

    async def _is_in_ours(self, account: Account, observed: ObservedResource) -> bool:
        """Whether a resource without tags is part of one that is ours."""
        whole = account.inventory.all.get(observed.part_of) if observed.part_of else None
        if whole and whole.arn not in self._our_wholes:
            if not is_ours(whole, await account.tags(whole, ORPHANS), account.scope.cluster_id):
                return False
            self._our_wholes.add(whole.arn)
        return whole is not None

    async def _delete(self, account: Account, found: list[Orphan]) -> None:
        """Delete them in the planner's order, as far as possible without waiting; the rest is for the next round."""
        wanted = {Sighting.of(each.observed) for each in found}
        holders = {each.observed.key: each.holder for each in found}
        failed: dict[Key, ReconcileError] = {}

        def observe() -> View:
            there = account.inventory.all
            own = {key: there[key] for key in holders if key in there and Sighting.of(there[key]) in wanted}
            return View(DesiredState.absent(), own, {**account.inventory.users_of(own), **likely_users(own, there)})

        def deleted(step: Step) -> None:
            observed = next(each.observed for each in found if each.observed.key == step.key)
            self._observer.swept(observed.key.kind.name, "deleted")
            logger.info("swept", extra=_described(observed, holders[observed.key]))
            used = (account.inventory.all.get(key) for key in observed.uses)
            for owner in {each.owner for each in used if each and each.owner}:
                self._enqueue(owner)

        await converge(account, ORPHANS, observe, failed, deleted)
        for each in found:
            if problem := failed.get(each.observed.key):
                self._failed(each.observed, problem)

    def _failed(self, observed: ObservedResource, problem: ReconcileError) -> None:
        self._observer.swept(observed.key.kind.name, "failed")
        extra = _described(observed, self._holders.get(observed.owner or ""))
        logger.warning(
            "the sweep could not delete a resource; the operator tries again", extra={**extra, "error": str(problem)}
        )


def _one_a_scope(accounts: Iterable[Account]) -> list[Account]:
    """One connection for each account and region, which several roles may lead to: the one that saw it whole last."""
    newest_last = sorted(accounts, key=lambda account: account.seen_at)
    return list({account.scope: account for account in newest_last}.values())


async def sweep_regularly(sweep: Sweep, seconds: float, sleep: Sleep = asyncio.sleep) -> None:
    """Make a round every so many seconds, until cancelled."""
    while True:
        await sleep(seconds)
        await sweep.run()


def _described(observed: ObservedResource, holder: Holder | None) -> dict[str, str]:
    holder = holder or Holder()
    return {
        "kind": observed.key.kind.name,
        "resource": observed.key.name,
        "owner": observed.owner or "",
        "namespace": holder.namespace,
        "object_name": holder.name,
    }
