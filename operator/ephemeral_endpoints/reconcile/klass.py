"""Reconciles classes: what their objects share exists while any of them lives.

And a class does not go before its objects.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ephemeral_endpoints.api.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account, Accounts, Identity
from ephemeral_endpoints.core import conditions, status
from ephemeral_endpoints.core.backoff import delay
from ephemeral_endpoints.core.conditions import Verdict
from ephemeral_endpoints.core.desired import NOTHING, Subject, desired_of_class
from ephemeral_endpoints.core.errors import Problem
from ephemeral_endpoints.core.names import owner_hash
from ephemeral_endpoints.core.plan import Step
from ephemeral_endpoints.core.resources import Key
from ephemeral_endpoints.kube.client import Conflict, Gone, Kube
from ephemeral_endpoints.kube.store import FINALIZER, ObjectKey, Store
from ephemeral_endpoints.reconcile.act import View, converge

CONFLICT_SECONDS = 0.5


class ClassReconciler:
    """Reconciles EphemeralEndpointClasses.

    ``wake`` has an object reconciled when something that it shares has changed.
    """

    def __init__(  # noqa: PLR0913 - the two edges, what is known, and the time
        self,
        *,
        cluster_id: str,
        store: Store,
        accounts: Accounts,
        kube: Kube,
        wake: Callable[[ObjectKey], None],
        now: Callable[[], datetime],
    ) -> None:
        self._cluster_id = cluster_id
        self._store = store
        self._accounts = accounts
        self._kube = kube
        self._wake = wake
        self._now = now
        self._attempts: dict[ObjectKey, int] = {}

    async def __call__(self, key: ObjectKey) -> float | None:
        """Reconcile the class; returns in how many seconds it is due again, None if only a change can make it so."""
        klass = self._store.named_class(key.name)
        if klass is None:
            self._attempts.pop(key, None)
            return None
        try:
            problems = await self._reconcile(key, klass)
        except Conflict:
            return CONFLICT_SECONDS
        except Gone:
            return None
        except Problem as problem:
            problems = (problem,)
        await self._report(key, problems)
        self._attempts[key] = self._attempts.get(key, 0) + 1 if problems else 0
        return delay(problems[0], self._attempts[key]) if problems else None

    async def _reconcile(self, key: ObjectKey, klass: EphemeralEndpointClass) -> tuple[Problem, ...]:
        is_used = bool(self._store.of_class(key.name))
        is_deleted = klass.metadata.deletion_timestamp is not None
        if is_used and not is_deleted and FINALIZER not in klass.metadata.finalizers:
            self._store.put(await self._kube.adopt(self._store.raw(key), None))
        account = await self._accounts.of_region(klass.spec.region)
        identity = Identity(owner_hash(klass.metadata.uid), klass.metadata.uid)
        await account.settle(identity.owner)
        errors = await self._act(key, klass, account, identity)
        is_left = bool(account.inventory.of(identity.owner)) or is_used
        if is_deleted and not is_left and await self._kube.release(self._store.raw(key)) is None:
            self._store.remove(key, klass.metadata.uid)
        return tuple(errors.values())

    async def _act(
        self, key: ObjectKey, klass: EphemeralEndpointClass, account: Account, identity: Identity
    ) -> dict[Key, Problem]:
        def look() -> View:
            own = account.inventory.of(identity.owner)
            living = any(not self._is_leaving(endpoint, klass) for _, endpoint in self._store.of_class(key.name))
            return View(
                desired_of_class(self._cluster_id, klass) if living else NOTHING, own, account.inventory.users_of(own)
            )

        steps: list[Step] = []
        errors: dict[Key, Problem] = {}
        await converge(account, identity, look, errors, steps.append)
        if steps:
            for user, _ in self._store.of_class(key.name):
                self._wake(user)
        return errors

    def _is_leaving(self, endpoint: EphemeralEndpoint, klass: EphemeralEndpointClass) -> bool:
        lifetime = Subject(self._cluster_id, endpoint, klass).lifetime
        return endpoint.metadata.deletion_timestamp is not None or lifetime.is_over(self._now())

    async def _report(self, key: ObjectKey, problems: tuple[Problem, ...]) -> None:
        klass = self._store.named_class(key.name)
        if klass is None:
            return
        verdict = _verdict(problems)
        generation = klass.metadata.generation
        made = status.conditions((verdict,), klass.status.conditions, generation=generation, now=self._now())
        after = klass.status.model_copy(update={"observed_generation": generation, "conditions": made})
        raw = self._store.raw(key)
        before: dict[str, Any] = raw.get("status", {})
        if patch := status.merge_patch(before, after.to_wire()):
            self._store.put(await self._kube.write_status(raw, patch))


def _verdict(problems: tuple[Problem, ...]) -> Verdict:
    if problems:
        return Verdict(conditions.Type.READY, conditions.Truth.FALSE, problems[0].reason, str(problems[0]))
    return Verdict(conditions.Type.READY, conditions.Truth.TRUE, "Connected", "the account and region can be used")
