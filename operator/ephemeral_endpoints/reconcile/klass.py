"""Reconciles classes: what their objects share exists while any of them lives, and a class goes after its objects."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account, Identity
from ephemeral_endpoints.core import conditions, status
from ephemeral_endpoints.core.apis import api_number
from ephemeral_endpoints.core.backoff import delay
from ephemeral_endpoints.core.conditions import Verdict
from ephemeral_endpoints.core.desired import Subject
from ephemeral_endpoints.core.errors import Problem, Unauthenticated
from ephemeral_endpoints.core.names import owner_hash
from ephemeral_endpoints.core.plan import Step
from ephemeral_endpoints.core.resources import Haves, Key, Kind
from ephemeral_endpoints.core.shared import desired_of_class
from ephemeral_endpoints.kube.rest import Conflict, Gone
from ephemeral_endpoints.kube.store import FINALIZER, ObjectKey
from ephemeral_endpoints.reconcile.act import View, converge
from ephemeral_endpoints.reconcile.run import Context

CONFLICT_SECONDS: Final = 0.5
_OF_APIS: Final = (Kind.HTTP_API, Kind.INTEGRATION, Kind.ROUTE)


class InUse(Problem):
    """Something still needs what a class that is deleted shares."""

    reason = "InUse"


class ClassReconciler:
    """Reconciles EphemeralEndpointClasses.

    ``trouble`` tells what else is wrong with a class that can be used. Each shard keeps up the APIs of its objects; all
    else, and what is written to Kubernetes, is the first one's.
    """

    def __init__(self, context: Context, trouble: Callable[[EphemeralEndpointClass], Problem | None]) -> None:
        self._context = context
        self._trouble = trouble
        self._attempts: dict[ObjectKey, int] = {}

    async def __call__(self, key: ObjectKey) -> float | None:
        """Reconcile the class; returns in how many seconds it is due again, None if only a change can make it so."""
        klass = self._context.store.named_class(key.name)
        if klass is None:
            self._attempts.pop(key, None)
            return None
        try:
            problem = await self._reconcile(key, klass)
            if self._context.shard.is_first:
                problem = problem or self._trouble(klass)
                await self._report(key, problem)
        except Conflict:
            return CONFLICT_SECONDS
        except Gone:
            return None
        self._attempts[key] = self._attempts.get(key, 0) + 1 if problem else 0
        return delay(problem, self._attempts[key]) if problem else None

    async def _reconcile(self, key: ObjectKey, klass: EphemeralEndpointClass) -> Problem | None:
        try:
            account = await self._context.accounts.of(klass)
        except Problem as problem:
            return problem
        await self._adopt(key, klass)
        identity = Identity(owner_hash(klass.metadata.uid), klass.metadata.uid)
        try:
            await self._look_after_shards(klass, account)
            await account.settle(identity.owner)
            errors = await self._act(key, klass, account, identity)
        except Problem as problem:
            errors = [problem]
        if any(isinstance(error, Unauthenticated) for error in errors):
            self._context.accounts.forget(account)
        if not account.inventory.of(identity.owner):
            await self._release(key, klass)
        return next(iter(errors), None) or self._hindrance(key, klass, account, identity) or account.trouble

    async def _look_after_shards(self, klass: EphemeralEndpointClass, account: Account) -> None:
        """Nobody tells when another shard has deleted what a class that is deleted waits for."""
        shard = self._context.shard
        if klass.metadata.deletion_timestamp is not None and shard.is_first and not shard.is_whole:
            await account.refresh(_OF_APIS, since=self._context.clock())

    def _hindrance(
        self, key: ObjectKey, klass: EphemeralEndpointClass, account: Account, identity: Identity
    ) -> Problem | None:
        """What a class that is deleted waits for; nothing of it goes by itself where an object was retained."""
        if klass.metadata.deletion_timestamp is None:
            return None
        if self._context.store.of_class(key.name):
            return InUse("the class goes after its objects: delete them")
        own = account.inventory.of(identity.owner)
        users = account.inventory.users_of(own)
        if not users:
            return None
        names, used = (", ".join(sorted(map(str, keys))) for keys in (users.keys() - own.keys(), own))
        return InUse(
            f"the class goes after what its objects left: {used} is still used by {names}; what was retained, as its "
            "tags say, is yours to delete, the rest is swept"
        )

    async def _act(
        self, key: ObjectKey, klass: EphemeralEndpointClass, account: Account, identity: Identity
    ) -> list[Problem]:
        def look() -> View:
            own = self._kept_up(account.inventory.of(identity.owner))
            users = account.inventory.users_of(own)
            used, is_complete = self._context.placements.of(self._living(key, klass))
            wanted = desired_of_class(
                self._context.cluster_id,
                klass,
                used,
                is_complete=is_complete,
                makes_images=any(user.spec.model.image is None for _, user in self._context.store.of_class(key.name)),
                is_used=bool(users.keys() - own.keys()),
            )
            wants = tuple(want for want in wanted.wants if self._keeps_up(want.key))
            return View(replace(wanted, wants=wants), own, users)

        steps: list[Step] = []
        errors: dict[Key, Problem] = {}
        await converge(account, identity, look, errors, steps.append)
        if steps:
            for user, _ in self._context.store.of_class(key.name):
                self._context.wake(user)
        return list(errors.values())

    def _kept_up(self, haves: Haves) -> Haves:
        return {key: have for key, have in haves.items() if self._keeps_up(key)}

    def _keeps_up(self, key: Key) -> bool:
        shard = self._context.shard
        return shard.has(api_number(key)) if key.kind is Kind.HTTP_API else shard.is_first

    async def _adopt(self, key: ObjectKey, klass: EphemeralEndpointClass) -> None:
        store, metadata = self._context.store, klass.metadata
        if not self._context.shard.is_first:
            return
        if store.of_class(key.name) and metadata.deletion_timestamp is None and FINALIZER not in metadata.finalizers:
            store.put(await self._context.kube.adopt(store.raw(key), None))

    async def _release(self, key: ObjectKey, klass: EphemeralEndpointClass) -> None:
        store = self._context.store
        is_going = klass.metadata.deletion_timestamp is not None and not store.of_class(key.name)
        if not is_going or not self._context.shard.is_first:
            return
        if await self._context.kube.release(store.raw(key)) is None:
            store.remove(key, klass.metadata.uid)

    def _living(self, key: ObjectKey, klass: EphemeralEndpointClass) -> frozenset[str]:
        """The owners of the class's living objects that this shard places."""
        users = (
            Subject(self._context.cluster_id, endpoint, klass)
            for user, endpoint in self._context.store.of_class(key.name)
            if self._context.shard.takes(user.namespace)
        )
        return frozenset(user.names.owner for user in users if not self._context.is_leaving(user))

    async def _report(self, key: ObjectKey, problem: Problem | None) -> None:
        store = self._context.store
        klass = store.named_class(key.name)
        if klass is None:
            return
        generation, now = klass.metadata.generation, self._context.now()
        made = status.conditions((_verdict(problem),), klass.status.conditions, generation=generation, now=now)
        after = klass.status.model_copy(update={"observed_generation": generation, "conditions": made})
        raw = store.raw(key)
        before: dict[str, Any] = raw.get("status", {})
        if patch := status.merge_patch(before, after.to_wire()):
            store.put(await self._context.kube.write_status(raw, patch))


def _verdict(problem: Problem | None) -> Verdict:
    if problem:
        return Verdict(conditions.Type.READY, conditions.Truth.FALSE, problem.reason, str(problem))
    return Verdict(conditions.Type.READY, conditions.Truth.TRUE, "Connected", "the account and region can be used")
