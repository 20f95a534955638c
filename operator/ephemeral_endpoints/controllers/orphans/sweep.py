"""The sweep: deletes resources in AWS under our names that no object or class owns any more.

Normally there are none: finalizers hold objects until everything is deleted. But finalizers are removed
by hand, clusters are restored from backups, and services recreate log groups. An orphan must have been there for
a while, is proven ours right before its deletion, and is deleted in the planner's order. Too many lost objects at once
are taken for a sign that something else is wrong, and held until their end of life. What is past it goes at once.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.converge import converge
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.controllers.orphans.policy import (
    Breaker,
    Sighting,
    Sightings,
    are_users_listed,
    is_kept_by,
    is_mature,
    is_within,
    likely_users,
    orphans,
    remaining,
    sightings,
)
from ephemeral_endpoints.controllers.orphans.rounds import SweepDeps, regularly
from ephemeral_endpoints.engine.errors import AwsError, NotFound, ReconcileError, Transient
from ephemeral_endpoints.engine.holders import Holder, holder, latest
from ephemeral_endpoints.engine.names import lasting_uid, owner_hash
from ephemeral_endpoints.engine.ownership import is_ours
from ephemeral_endpoints.engine.plan import DesiredState, Step, View
from ephemeral_endpoints.engine.resources import Key, ObservedResource, ObservedResources, ResourceKind
from ephemeral_endpoints.engine.tags import is_retained
from ephemeral_endpoints.kube.errors import KubernetesError

logger = logging.getLogger(__name__)

RETAINED_SECONDS: Final = 3600.0
"""How long a resource is assumed to be still retained: the removal of its tag may take effect later."""


KIND_SECONDS: Final = 60.0
"""What one kind may take to be listed, and to have its tags read, in a round: a service that hangs stops no other."""

_NO_ANSWER: Final = f"no answer within {KIND_SECONDS:g} s"


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

    def __init__(self, deps: SweepDeps, enqueue: Callable[[str], None]) -> None:
        """``enqueue`` is called with the owner of what a swept resource used: a class may wait to delete its API."""
        self._deps = deps
        self._enqueue = enqueue
        self._seen: dict[Scope, Sightings] = {}
        self._holders: dict[str, Holder] = {}
        self._our_wholes: set[str] = set()
        self._unread: set[tuple[Scope, str | None]] = set()
        self._retained: dict[tuple[Scope, Sighting], float] = {}
        self._found: dict[Scope, list[Orphan]] = {}
        self._under_way: dict[Scope, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Make one round, and wait until it has ended in all accounts."""
        await self.begin()
        await asyncio.gather(*self._under_way.values())

    async def stop(self) -> None:
        """End what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def begin(self) -> None:
        """Begin a round in every account in which the last one has ended: none waits for another that hangs.

        Does nothing if the objects cannot be listed: a failed list is not an empty one.
        """
        # AWS before Kubernetes: every resource known to be in AWS now was created for an object that exists already.
        there = {account: dict(account.inventory.all) for account in _one_a_scope(self._deps.accounts.connected)}
        try:
            objects = [each["metadata"] async for each in self._deps.objects()]
        except KubernetesError as error:
            logger.warning(
                "no sweep: the operator cannot list the objects; it tries again", extra={"error": str(error)}
            )
            return
        owners = frozenset(owner_hash(uid) for each in objects for uid in _uids(each))
        if not self._deps.may_begin("sweep"):
            return
        candidates = self._candidates(there, owners)
        breaker = self._breaker(candidates, alive=sum("namespace" in each for each in objects))
        self._found = {account.scope: self._found.get(account.scope, []) for account in there}
        for account in there:
            if account.scope in self._under_way:
                logger.warning("no sweep: the last one has not ended", extra={"region": account.scope.region})
                continue
            own = [each for each in candidates if each.account is account]
            task = asyncio.create_task(self._sweep(account, own, breaker), name=f"sweep {account.scope}")
            self._under_way[account.scope] = task
            task.add_done_callback(partial(self._ended, account.scope))

    def _ended(self, scope: Scope, task: asyncio.Task[None]) -> None:
        self._under_way.pop(scope, None)
        if not task.cancelled() and (error := task.exception()):
            logger.error("the sweep failed; the operator tries again", exc_info=error, extra={"region": scope.region})

    def _breaker(self, candidates: Iterable[Orphan], *, alive: int) -> Breaker:
        """What is known to be lost counts in all accounts, before anything is deleted in one of them.

        Young ones count too, or the sweep of too many would start before all of them are old enough.
        """
        breaker = Breaker(
            self._deps.settings.sweep_most_owners, share=self._deps.settings.sweep_most_share, alive=alive
        )
        for owner in {each.observed.owner for each in candidates if not self._is_elsewhere(each.observed)}:
            if (known := self._holders.get(owner or "")) and not known.is_expired(self._deps.now()):
                breaker.count(owner, known)
        return breaker

    async def _sweep(self, account: Account, candidates: list[Orphan], breaker: Breaker) -> None:
        proven = await self._verified(account, candidates, breaker)
        self._found[account.scope] = [each for each in proven if each.is_due]
        kinds = Counter(each.observed.key.kind.name for found in self._found.values() for each in found)
        self._deps.observer.orphans(kinds, held=len(breaker.held))
        await self._act(account, self._found[account.scope], breaker)

    async def _act(self, account: Account, found: list[Orphan], breaker: Breaker) -> None:
        if breaker.held:
            logger.error(
                "the sweep holds the orphans of these namespaces until they expire: so many lost objects at once may "
                "mean that they were lost by mistake; if they were deleted on purpose, raise EEP_SWEEP_MOST_OWNERS, "
                "and EEP_SWEEP_MOST_SHARE if they are a large share of all",
                extra={
                    "namespaces": breaker.held,
                    "most": self._deps.settings.sweep_most_owners,
                    "share": self._deps.settings.sweep_most_share,
                },
            )
        free = [each for each in found if not self._is_held(each.holder, breaker)]
        if self._deps.is_dry_run:
            for each in free:
                logger.info("would be swept", extra=_described(each.observed, each.holder))
        elif free:
            await self._delete(account, free)

    def _is_held(self, holder: Holder | None, breaker: Breaker) -> bool:
        """What no tag names an object of is never held: log groups that a service made again, and routes to nothing."""
        return holder is not None and not holder.is_expired(self._deps.now()) and breaker.is_held(holder)

    def _candidates(self, there: Mapping[Account, ObservedResources], owners: frozenset[str]) -> list[Orphan]:
        """Resources that may be orphans, and whether they have been for long enough."""
        now, before, self._seen = self._deps.clock(), self._seen, {}
        self._retained = {each: at for each, at in self._retained.items() if now - at < RETAINED_SECONDS}
        candidates: list[Orphan] = []
        holders: set[str | None] = set()
        for account, observed_resources in there.items():
            found = orphans(observed_resources, owners)
            holders |= {observed.owner for observed in found}
            seen = self._seen[account.scope] = sightings(before.get(account.scope, {}), found, now)
            listed_at, min_age = account.inventory.listed_at, self._deps.settings.sweep_min_age_seconds
            candidates += [
                Orphan(account, observed, None, is_due=is_mature(observed, seen, listed_at, min_age))
                for observed in remaining(found)
                if are_users_listed(observed.key.kind, account.kinds, listed_at) and not self._stays(account, observed)
            ]
        self._holders = {owner: each for owner, each in self._holders.items() if owner in holders}
        return candidates

    async def _verified(self, account: Account, candidates: list[Orphan], breaker: Breaker) -> list[Orphan]:
        """Those that are ours and in our namespaces, without calls for those that are known to be held."""
        unlisted = await self._update(account, candidates) if candidates else None
        if unlisted is None:
            return []
        spent: defaultdict[ResourceKind, float] = defaultdict(float)
        self._our_wholes.clear()
        self._unread = {(scope, owner) for scope, owner in self._unread if scope != account.scope}
        found: list[Orphan] = []
        for each in candidates:
            observed = each.observed
            if self._is_elsewhere(observed) or self._stays(account, observed) or observed.key.kind in unlisted:
                continue
            known = self._holders.get(observed.owner or "")
            if known and self._is_held(known, breaker):
                breaker.count(observed.owner, known)
                continue
            if not await self._is_proven_in_time(account, observed, spent):
                continue
            owner = self._holders.get(observed.owner or "")
            is_unread = (account.scope, observed.owner) in self._unread
            if (owner is None and is_unread) or not is_within(owner, self._deps.settings.namespaces):
                continue
            if owner and not owner.is_expired(self._deps.now()):
                breaker.count(observed.owner, owner)
            found.append(each)
        return [self._identified(each) for each in found]

    def _identified(self, orphan: Orphan) -> Orphan:
        """The same with its object, after all tags have been read: a later one may name a later end of life."""
        owner = self._holders.get(orphan.observed.owner or "")
        is_expired = owner is not None and owner.is_expired(self._deps.now())
        return replace(orphan, holder=owner, is_due=orphan.is_due or is_expired)

    async def _update(self, account: Account, candidates: list[Orphan]) -> frozenset[ResourceKind] | None:
        """List again where something failed, and the kinds that cannot be described one by one at reasonable cost.

        Returns the kinds that could not be listed; None if nothing can be decided.
        """
        try:
            await account.resolve_unknown(ORPHANS.owner)
        except AwsError as error:
            self._unlisted(account, error)
            return None
        failed: set[ResourceKind] = set()
        for whole in {each.observed.key.kind.lineage[0] for each in candidates if not each.observed.key.kind.taggable}:
            kinds = [kind for kind in account.kinds if kind.lineage[0] is whole]
            try:
                async with asyncio.timeout(KIND_SECONDS):
                    await account.refresh(kinds, since=self._deps.clock())
            except (AwsError, TimeoutError) as error:
                self._unlisted(account, error)
                failed.update(kind for kind in kinds if not kind.taggable)
        return frozenset(failed)

    def _unlisted(self, account: Account, error: Exception) -> None:
        extra = {"region": account.scope.region, "error": str(error) or _NO_ANSWER}
        logger.warning("no sweep of what the operator could not list in AWS again; it tries again", extra=extra)

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
        return known is not None and not is_within(known, self._deps.settings.namespaces)

    async def _is_proven_in_time(
        self, account: Account, observed: ObservedResource, spent: defaultdict[ResourceKind, float]
    ) -> bool:
        """The same as ``_is_proven``, as far as the time for the kind lasts."""
        kind, began = observed.key.kind, self._deps.clock()
        try:
            async with asyncio.timeout(max(0.0, KIND_SECONDS - spent[kind])):
                return await self._is_proven(account, observed)
        except TimeoutError:
            self._failed(observed, Transient(_NO_ANSWER, operation=str(observed.key)))
            self._unread.add((account.scope, observed.owner))
            return False
        finally:
            spent[kind] += self._deps.clock() - began

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
            self._unread.add((account.scope, observed.owner))
            return False
        return is_ours(known, tags, account.scope.cluster_id) and self._may_be_deleted(account, known, tags)

    def _may_be_deleted(self, account: Account, observed: ObservedResource, tags: Mapping[str, str] | None) -> bool:
        """Record what the tags say: that it is retained, or which object owned it."""
        if is_retained(tags or {}) or is_kept_by(observed, tags, self._retaining(account)):
            self._retained[account.scope, Sighting.of(observed)] = self._deps.clock()
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
            self._deps.observer.swept(observed.key.kind.name, "deleted")
            logger.info("swept", extra=_described(observed, holders[observed.key]))
            used = (account.inventory.all.get(key) for key in observed.uses)
            for owner in {each.owner for each in used if each and each.owner}:
                self._enqueue(owner)

        await converge(account, ORPHANS, observe, failed, deleted)
        for each in found:
            if problem := failed.get(each.observed.key):
                self._failed(each.observed, problem)

    def _failed(self, observed: ObservedResource, problem: ReconcileError) -> None:
        self._deps.observer.swept(observed.key.kind.name, "failed")
        extra = _described(observed, self._holders.get(observed.owner or ""))
        logger.warning(
            "the sweep could not delete a resource; the operator tries again", extra={**extra, "error": str(problem)}
        )


def _uids(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """What an object owns things by in AWS: its UID, and what stands for it on those that outlive it."""
    return metadata["uid"], lasting_uid(metadata.get("namespace", ""), metadata["name"])


def _one_a_scope(accounts: Iterable[Account]) -> list[Account]:
    """One connection for each account and region, which several roles may lead to: the one that saw it whole last."""
    newest_last = sorted(accounts, key=lambda account: account.seen_at)
    return list({account.scope: account for account in newest_last}.values())


async def sweep_regularly(sweep: Sweep, seconds: float, sleep: Sleep = asyncio.sleep) -> None:
    """Begin a round every so many seconds, until cancelled."""
    try:
        await regularly(sweep.begin, seconds, sleep)
    finally:
        await sweep.stop()


def _described(observed: ObservedResource, holder: Holder | None) -> dict[str, str]:
    holder = holder or Holder()
    return {
        "kind": observed.key.kind.name,
        "resource": observed.key.name,
        "owner": observed.owner or "",
        "namespace": holder.namespace,
        "object_name": holder.name,
    }
