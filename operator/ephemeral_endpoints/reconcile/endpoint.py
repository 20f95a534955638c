"""Reconciles objects: a living one towards what its spec says, one that is deleted or expired towards nothing."""

from contextlib import suppress
from typing import Final

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.api.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account, Identity
from ephemeral_endpoints.core import conditions
from ephemeral_endpoints.core.desired import Subject
from ephemeral_endpoints.core.errors import AwsError, Problem, Unauthenticated
from ephemeral_endpoints.kube.rest import Conflict, Gone
from ephemeral_endpoints.kube.store import FINALIZER, ObjectKey
from ephemeral_endpoints.reconcile.leaving import abandon, is_abandoned, leave
from ephemeral_endpoints.reconcile.living import live
from ephemeral_endpoints.reconcile.marking import follow_lifetime
from ephemeral_endpoints.reconcile.memory import Memory
from ephemeral_endpoints.reconcile.report import Facts
from ephemeral_endpoints.reconcile.run import ACCOUNT, Context, Run

CONFLICT_SECONDS: Final = 0.5


class EndpointReconciler:
    """Reconciles EphemeralEndpoints."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._memories: dict[ObjectKey, Memory] = {}

    async def __call__(self, key: ObjectKey) -> float | None:
        """Reconcile the object; returns in how many seconds it is due again, None if only a change can make it so."""
        try:
            return await self._dispatch(key)
        except Conflict:
            return CONFLICT_SECONDS
        except Gone:
            return None

    async def _dispatch(self, key: ObjectKey) -> float | None:
        store = self._context.store
        endpoint = store.endpoint(key)
        if endpoint is None or _is_released(endpoint):
            self._memories.pop(key, None)
            self._context.builds.forget(key)
            if endpoint is not None:
                store.remove(key, endpoint.metadata.uid)
            return None
        class_name = store.class_name_of(endpoint)
        klass = store.named_class(class_name) if class_name else None
        if klass is None:
            await self._without_class(key, endpoint, class_name)
            return None
        memory = self._remember(key, endpoint)
        await self._read_ahead(key, Subject(self._context.cluster_id, endpoint, klass), memory)
        try:
            account = await self._context.accounts.of(klass)
        except AwsError as error:
            return await self._without_account(key, endpoint, memory, error)
        adopted = await self._adopted(key, endpoint, klass)
        return await self._reconcile(key, Subject(self._context.cluster_id, adopted, klass), account, memory)

    async def _reconcile(self, key: ObjectKey, subject: Subject, account: Account, memory: Memory) -> float | None:
        leaving = self._context.is_leaving(subject)
        identity = Identity(subject.names.owner, subject.endpoint.metadata.uid, leaving)
        run = Run(key, subject, account, memory, identity)
        try:
            await self._look_anew_if_asked(run)
            await account.settle(identity.owner)
            if not leaving and not subject.endpoint.spec.suspend:
                await follow_lifetime(self._context, run)
            due = await (leave if leaving else live)(self._context, run)
        except Problem as problem:
            if isinstance(problem, Unauthenticated):
                self._context.accounts.forget(account)
            return await self._without_account(key, subject.endpoint, memory, problem)
        memory.retries.clear(ACCOUNT)
        return due

    async def _read_ahead(self, key: ObjectKey, subject: Subject, memory: Memory) -> None:
        """Read the token of an object that is in hand already: after a start all of them wait for the same lists."""
        context, endpoint = self._context, subject.endpoint
        if FINALIZER in endpoint.metadata.finalizers and not context.is_leaving(subject) and not endpoint.spec.suspend:
            with suppress(Problem):  # told by who needs the token
                await context.observer.token(subject, context.store.raw(key), memory)

    async def _look_anew_if_asked(self, run: Run) -> None:
        asked_at, memory = run.subject.endpoint.metadata.annotations.get(RECONCILE_AT_ANNOTATION), run.memory
        if asked_at == memory.asked_at:
            return
        await run.account.refresh(run.account.kinds, since=self._context.clock())
        memory.retries.keep_only(frozenset())
        memory.asked_at, memory.token, memory.answered_by = asked_at, None, ()
        if order := run.subject.order:
            self._context.builds.again(run.subject.klass, order.image)

    async def _adopted(
        self, key: ObjectKey, endpoint: EphemeralEndpoint, klass: EphemeralEndpointClass
    ) -> EphemeralEndpoint:
        if FINALIZER in endpoint.metadata.finalizers:
            return endpoint
        store = self._context.store
        store.put(await self._context.kube.adopt(store.raw(key), klass.metadata.name))
        return store.endpoint(key) or endpoint

    async def _without_class(self, key: ObjectKey, endpoint: EphemeralEndpoint, name: str | None) -> None:
        if await self._abandoned(key, endpoint):
            return
        message = (
            f"the EphemeralEndpointClass {name} does not exist: make it or choose another"
            if name
            else "spec.className is not set and no EphemeralEndpointClass is marked as default"
        )
        await self._context.reporter.tell(key, endpoint, Facts(conditions.without_class(message)))

    async def _without_account(
        self, key: ObjectKey, endpoint: EphemeralEndpoint, memory: Memory, problem: Problem
    ) -> float | None:
        if await self._abandoned(key, endpoint):
            return None
        memory.retries.note(ACCOUNT, problem, self._context.clock())
        facts = Facts(conditions.without_account(problem), keep_conditions=True)
        await self._context.reporter.tell(key, endpoint, facts)
        return memory.retries.failures[ACCOUNT].retry_at - self._context.clock()

    async def _abandoned(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> bool:
        """Let an object go as somebody asks although AWS cannot be reached; the status tells what was there."""
        current = self._context.store.endpoint(key) or endpoint
        if not is_abandoned(current):
            return False
        left = (f"{each.kind} {each.name}" for each in current.status.resources)
        await abandon(self._context, key, current, left)
        return True

    def _remember(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> Memory:
        """The object's memory.

        Failures are forgotten when the object changes, so that a corrected spec is tried at once.
        """
        memory = self._memories.get(key)
        if memory is None or memory.uid != endpoint.metadata.uid:
            asked_at = endpoint.metadata.annotations.get(RECONCILE_AT_ANNOTATION)
            memory = self._memories[key] = Memory(endpoint.metadata.uid, asked_at=asked_at)
        state = (endpoint.metadata.generation, endpoint.metadata.deletion_timestamp is not None)
        if memory.state != state:
            memory.state = state
            memory.retries.keep_only(frozenset())
        return memory


def _is_released(endpoint: EphemeralEndpoint) -> bool:
    return endpoint.metadata.deletion_timestamp is not None and FINALIZER not in endpoint.metadata.finalizers
