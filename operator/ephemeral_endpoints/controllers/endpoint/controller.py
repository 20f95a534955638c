"""Reconciles EphemeralEndpoints: an active one towards its spec, one that is deleted or has ended towards nothing."""

import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any, Final
from weakref import WeakKeyDictionary

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.controllers.endpoint.active import Active
from ephemeral_endpoints.controllers.endpoint.finalize import Finalizer
from ephemeral_endpoints.controllers.endpoint.reasons import class_not_found, class_refused
from ephemeral_endpoints.controllers.endpoint.report import StatusInput
from ephemeral_endpoints.controllers.endpoint.retain import Retainer
from ephemeral_endpoints.engine import conditions
from ephemeral_endpoints.engine.errors import AwsError, ReconcileError, Unauthenticated
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.engine.retries import Failure, Retries
from ephemeral_endpoints.engine.tags import EXPIRES_AT, timestamp
from ephemeral_endpoints.features.expiry.observe import Activities
from ephemeral_endpoints.features.expiry.policy import is_abandoned
from ephemeral_endpoints.features.images.policy import target_of
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey
from ephemeral_endpoints.kube.errors import Conflict, Denied, Gone

logger = logging.getLogger(__name__)

CONFLICT_SECONDS: Final = 0.5
REFUSED_SECONDS: Final = 60.0
"""How soon a refused finalizer is tried again: a changed policy enqueues no object."""

REFRESH_SECONDS: Final = 5.0
"""At least between two complete lists of an account on request: an annotation may change hundreds of times a second."""

_CONNECTING: Final = "connecting"


@dataclass(slots=True)
class ObjectMemory:
    """The controller's own memory of an object."""

    state: tuple[int, str, bool] = (-1, "", False)
    """Generation, revision, and whether the object is being deleted; a change makes earlier failures stale."""

    asked_at: str | None = None
    """The value of the annotation that requests a refresh, as of the last one."""

    seen: set[Key] = field(default_factory=set)
    retries: Retries[str] = field(default_factory=Retries)


@dataclass(frozen=True, slots=True)
class Inspection:
    """The failures of an object that are retried, and the steps that are held; by resource or subject."""

    failures: Mapping[str, Failure]
    held: Mapping[str, ReconcileError]

    def to_json(self, now: float) -> dict[str, object]:
        """The same with reasons in place of messages; ``now`` is monotonic seconds."""
        failures = {
            subject: {
                "reason": str(failure.error.reason),
                "attempts": failure.attempts,
                "seconds": max(0.0, failure.retry_at - now),
            }
            for subject, failure in self.failures.items()
        }
        return {"failures": failures, "held": {held: str(error.reason) for held, error in self.held.items()}}


class EndpointController:
    """Reconciles EphemeralEndpoints.

    ``activities`` tell since when objects have their revision, by the time that ``counted_at`` returns; ``annotate``
    have an object depend on its pull request and on its budgets, and return it as it is then; ``triggers`` says why one
    was enqueued. ``now`` is the time of day in UTC, ``clock`` monotonic seconds.
    """

    def __init__(  # noqa: PLR0913 - the steps of a reconciliation, in order
        self,
        cluster_id: str,
        accounts: Accounts,
        active: Active,
        finalizer: Finalizer,
        retainer: Retainer,
        *,
        activities: Activities,
        counted_at: Callable[[], datetime],
        annotate: Sequence[Callable[[ObjectKey, Subject], Awaitable[EphemeralEndpoint]]],
        now: Callable[[], datetime],
        clock: Callable[[], float],
        triggers: Callable[[ObjectKey], tuple[str, ...]],
    ) -> None:
        self._triggers = triggers
        self._numbers = itertools.count(1)
        self._cluster_id = cluster_id
        self._accounts = accounts
        self._active = active
        self._finalizer = finalizer
        self._retainer = retainer
        self._activities = activities
        self._counted_at = counted_at
        self._annotate = annotate
        self._store, self._kube, self._reporter = active.store, finalizer.kube, active.reporter
        self._now = now
        self._clock = clock
        self._steps: tuple[Step[Any], ...] = (
            active.tags,
            active.packages,
            active.images,
            active.training,
            active.environment,
            active.schemas,
            active.token,
            active.placement,
            active.convergence,
            active.recovery,
            active.costs,
            active.probe,
            active.last_lines,
            *active.follow_ups,
        )
        self._memories: dict[ObjectKey, tuple[str, ObjectMemory]] = {}
        self._refreshed: WeakKeyDictionary[Account, float] = WeakKeyDictionary()

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Reconcile the object; returns in how many seconds it is due again, None if only a change can make it so."""
        try:
            return await self._dispatch(key)
        except Conflict:
            return CONFLICT_SECONDS
        except Gone:
            return None

    def inspect(self, key: ObjectKey) -> Inspection | None:
        """The failures and holds of an object; None for one that was not reconciled."""
        if key not in self._memories:
            return None
        uid, memory = self._memories[key]
        convergence, active = self._active.convergence.memory(uid), self._active
        retries: tuple[Retries[Any], ...] = (
            memory.retries,
            active.packages.memory(uid).retries,
            active.images.memory(uid).retries,
            active.training.memory(uid).retries,
            convergence.retries,
            active.tags.memory(uid).retries,
        )
        failures = {str(key): failure for each in retries for key, failure in each.failures.items()}
        return Inspection(failures, {str(held): error for held, error in convergence.held.items()})

    async def _dispatch(self, key: ObjectKey) -> float | None:
        endpoint = self._store.endpoint(key)
        if endpoint is None or _is_released(endpoint):
            self._forget(key, endpoint)
            return None
        class_name = self._store.class_name_of(endpoint)
        endpoint_class = self._store.named_class(class_name) if class_name else None
        if endpoint_class is None:
            await self._without_class(key, endpoint, class_name)
            return None
        memory = self._remember(key, endpoint)
        await self._read_ahead(key, self._subject(endpoint, endpoint_class))
        try:
            account = await self._accounts.of(endpoint_class)
        except AwsError as error:
            return await self._without_account(key, endpoint, memory, error)
        try:
            endpoint = await self._with_finalizer(key, endpoint, endpoint_class)
        except Denied as refusal:
            inputs = StatusInput(conditions.of_waiting(class_refused(endpoint_class.metadata.name, refusal.message)))
            await self._reporter.update_status(key, endpoint, inputs)
            return REFUSED_SECONDS
        for annotate in self._annotate:
            endpoint = await annotate(key, self._subject(endpoint, endpoint_class))
        return await self._reconcile(key, self._subject(endpoint, endpoint_class), account, memory)

    def _subject(self, endpoint: EphemeralEndpoint, endpoint_class: EphemeralEndpointClass) -> Subject:
        return Subject(self._cluster_id, endpoint, endpoint_class, self._activities.of(endpoint, self._counted_at()))

    async def _reconcile(
        self, key: ObjectKey, subject: Subject, account: Account, memory: ObjectMemory
    ) -> float | None:
        is_terminating = subject.is_terminating(self._now())
        owner = Owner(subject.names.owner, subject.endpoint.metadata.uid, is_terminating)
        reconciliation = Reconciliation(key, subject, account, owner, memory.seen)
        try:
            waits = await self._refresh_on_request(reconciliation, memory)
            await account.resolve_unknown(owner.owner)
            due = await (self._finalize(reconciliation) if is_terminating else self._active.reconcile(reconciliation))
        except ReconcileError as error:
            if isinstance(error, Unauthenticated):
                self._accounts.forget(account)
            return await self._without_account(key, subject.endpoint, memory, error)
        memory.retries.clear(_CONNECTING)
        due = min((each for each in (due, waits) if each is not None), default=None)
        self._log(reconciliation, due)
        return due

    async def _finalize(self, reconciliation: Reconciliation) -> float | None:
        """Reconcile an object that is deleted or has ended."""
        finalizer = self._finalizer
        if (due := await finalizer.hold_ended(reconciliation)) is not None:
            return due
        self._active.convergence.withdraw(reconciliation)
        self._active.builds.withdraw(reconciliation.key, reconciliation.subject.endpoint_class)
        await finalizer.delete_if_ended(reconciliation)
        if finalizer.is_revived(reconciliation):
            return 0.0
        await self._active.training.withdraw(reconciliation)
        endpoint = reconciliation.current(self._store).endpoint
        if is_abandoned(endpoint):
            await self._active.tags.add(reconciliation, ((EXPIRES_AT, timestamp(self._now())),))
            await finalizer.abandon(reconciliation.key, endpoint, map(str, reconciliation.own))
            finalizer.enqueue_neighbours(reconciliation)
            return None
        if reconciliation.current(self._store).is_retained:
            return await self._retainer.retain(reconciliation)
        return await finalizer.delete_resources(reconciliation)

    async def _read_ahead(self, key: ObjectKey, subject: Subject) -> None:
        """Read the token of an object that has our finalizer: after a start all objects wait for the same lists."""
        endpoint = subject.endpoint
        is_active = not subject.is_terminating(self._now()) and not endpoint.spec.suspend
        if FINALIZER in endpoint.metadata.finalizers and is_active:
            with suppress(ReconcileError):  # reported by the step that needs the token
                await self._active.token.read(key, subject)

    async def _refresh_on_request(self, reconciliation: Reconciliation, memory: ObjectMemory) -> float | None:
        """Serve a new request for a refresh; returns in how many seconds if it must wait, else None."""
        subject, account = reconciliation.subject, reconciliation.account
        asked_at = subject.endpoint.metadata.annotations.get(RECONCILE_AT_ANNOTATION)
        if asked_at == memory.asked_at:
            return None
        now = self._clock()
        if (waits := self._refreshed.get(account, -inf) + REFRESH_SECONDS - now) > 0:
            return waits
        self._refreshed[account] = now
        await account.refresh(account.kinds, since=now)
        memory.retries.keep_only(())
        for step in self._steps:
            step.refresh(reconciliation.uid)
        memory.asked_at = asked_at
        if target := target_of(subject):
            self._active.builds.again(subject.endpoint_class, target.image)
        return None

    async def _with_finalizer(
        self, key: ObjectKey, endpoint: EphemeralEndpoint, endpoint_class: EphemeralEndpointClass
    ) -> EphemeralEndpoint:
        if FINALIZER in endpoint.metadata.finalizers and endpoint.spec.class_name:
            return endpoint
        self._store.put(await self._kube.add_finalizer(self._store.raw(key), endpoint_class.metadata.name))
        return self._store.endpoint(key) or endpoint

    async def _without_class(self, key: ObjectKey, endpoint: EphemeralEndpoint, name: str | None) -> None:
        if await self._abandoned(key, endpoint):
            return
        inputs = StatusInput(conditions.of_waiting(class_not_found(name)))
        await self._reporter.update_status(key, endpoint, inputs)

    async def _without_account(
        self, key: ObjectKey, endpoint: EphemeralEndpoint, memory: ObjectMemory, error: ReconcileError
    ) -> float | None:
        if await self._abandoned(key, endpoint):
            return None
        memory.retries.note(_CONNECTING, error, self._clock())
        inputs = StatusInput(conditions.without_account(error), keep_conditions=True)
        await self._reporter.update_status(key, endpoint, inputs)
        return memory.retries.failures[_CONNECTING].retry_at - self._clock()

    async def _abandoned(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> bool:
        """Release an object on request although AWS cannot be reached; the status lists what remains."""
        current = self._store.endpoint(key) or endpoint
        if not is_abandoned(current):
            return False
        left = (f"{each.kind} {each.name}" for each in current.status.resources)
        await self._finalizer.abandon(key, current, left)
        return True

    def _remember(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> ObjectMemory:
        """The object's memory. A changed object is retried at once, regardless of earlier failures."""
        metadata = endpoint.metadata
        uid, memory = self._memories.get(key, ("", ObjectMemory()))
        if uid != metadata.uid:
            self._forget_steps(uid)
            memory = ObjectMemory(asked_at=metadata.annotations.get(RECONCILE_AT_ANNOTATION))
            self._memories[key] = (metadata.uid, memory)
        state = (metadata.generation, endpoint.revision, metadata.deletion_timestamp is not None)
        if memory.state != state:
            memory.state = state
            memory.retries.keep_only(())
            for step in self._steps:
                step.retry(metadata.uid)
        return memory

    def _forget(self, key: ObjectKey, endpoint: EphemeralEndpoint | None) -> None:
        uid, _ = self._memories.pop(key, ("", None))
        self._forget_steps(uid)
        self._active.turns.leave(key, uid)
        self._active.builds.forget(key)
        if endpoint is not None:
            self._store.remove(key, endpoint.metadata.uid)

    def _forget_steps(self, uid: str) -> None:
        self._finalizer.brake.forget(uid)
        self._activities.forget(uid)
        for step in self._steps:
            step.forget(uid)

    def _log(self, reconciliation: Reconciliation, due: float | None) -> None:
        if not logger.isEnabledFor(logging.DEBUG):
            return
        key, held = reconciliation.key, self._active.convergence.memory(reconciliation.uid).held
        extra = {
            **key.log_fields,
            "reconcile_id": next(self._numbers),
            "triggers": ", ".join(self._triggers(key)),
            "steps": ", ".join(reconciliation.steps) or "none",
            "held": "; ".join(f"{each}: {error}" for each, error in held.items()) or "none",
            "due_seconds": "not by itself" if due is None else round(due, 3),
        }
        logger.debug("reconciled", extra=extra)


def _is_released(endpoint: EphemeralEndpoint) -> bool:
    return endpoint.metadata.deletion_timestamp is not None and FINALIZER not in endpoint.metadata.finalizers
