"""A terminating object: everything in AWS is deleted, verified to be gone, and only then the finalizer is removed."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.controllers.endpoint.convergence import Convergence
from ephemeral_endpoints.controllers.endpoint.reasons import ABANDONED, abandoned_event
from ephemeral_endpoints.controllers.endpoint.report import Reporter, StatusInput
from ephemeral_endpoints.engine import conditions
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import ObservedResources
from ephemeral_endpoints.engine.status import transitions
from ephemeral_endpoints.features.capacity.ledger import Ledger
from ephemeral_endpoints.features.capacity.turns import Turns
from ephemeral_endpoints.features.expiry.brake import RETRY_SECONDS, ExpiryBrake
from ephemeral_endpoints.features.expiry.policy import EndCause, why_retired
from ephemeral_endpoints.features.expiry.stage import (
    DELETED,
    EXPIRY_HELD,
    OVER_BUDGET,
    ended,
    ended_event,
    of_held,
)
from ephemeral_endpoints.features.images.collection import ImageCollector
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.placements import PlacementStep
from ephemeral_endpoints.features.training.step import TrainingStep
from ephemeral_endpoints.kube.cache import ObjectKey, Store, class_key
from ephemeral_endpoints.kube.client import Kube

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
"""How soon a resource is deleted again that AWS still shows after its deletion: nothing else enqueues the object."""


@dataclass(frozen=True, slots=True)
class Finalizer:
    """Ends objects. ``enqueue`` has an object reconciled; ``now`` is the time of day in UTC.

    ``show_end`` shows people the end of an object of which nothing is left in AWS, before anything of it is forgotten.
    It returns in how many seconds the object may go at the latest, None: now.
    """

    turns: Turns
    ledger: Ledger
    convergence: Convergence
    placement: PlacementStep
    training: TrainingStep
    collector: ImageCollector
    reporter: Reporter
    kube: Kube
    store: Store
    brake: ExpiryBrake
    enqueue: Callable[[ObjectKey], None]
    show_end: Callable[[ObjectKey, EphemeralEndpoint], float | None]
    now: Callable[[], datetime]

    async def hold_ended(self, reconciliation: Reconciliation) -> float | None:
        """Leave an object that has ended as it is, and say why, while it is held.

        Returns in how many seconds it is due; None if it is not held: it may be deleted.
        """
        endpoint, uid = reconciliation.subject.endpoint, reconciliation.uid
        if endpoint.metadata.deletion_timestamp is not None or self._loses_nothing(reconciliation):
            self.brake.forget(uid)
            return None
        cause = self.brake.hold(uid, reconciliation.subject.end.cause)
        if cause is None:
            return None
        updates = of_held(cause)
        if transitions(updates, endpoint.status.conditions):
            raw = self.store.raw(reconciliation.key)
            await self.kube.event(raw, type_="Warning", reason=EXPIRY_HELD, message=cause.message)
        inputs = StatusInput(updates, own=reconciliation.own, subject=reconciliation.subject, keep_conditions=True)
        await self.reporter.update_status(reconciliation.key, endpoint, inputs)
        return RETRY_SECONDS

    def _loses_nothing(self, reconciliation: Reconciliation) -> bool:
        """Whether its end would delete neither the object nor anything in AWS: it has ended before."""
        endpoint = reconciliation.subject.endpoint
        return bool(_why_retired(endpoint)) and (not reconciliation.own or reconciliation.subject.is_retained)

    async def delete_if_ended(self, reconciliation: Reconciliation) -> None:
        """Delete an object that has ended from the API server, unless a tool would create it again: that is reported.

        Both are refused with a Conflict if the object was changed meanwhile, as its time to live may be while the
        machine sleeps or the watch stalls.
        """
        endpoint = reconciliation.subject.endpoint
        if endpoint.metadata.deletion_timestamp is not None or self.is_revived(reconciliation):
            return
        if _why_retired(endpoint):
            if not self._loses_nothing(reconciliation):
                await self._report(reconciliation, reconciliation.own)
        else:
            raw, cause = self.store.raw(reconciliation.key), reconciliation.subject.end.cause
            if cause is not EndCause.OVER_BUDGET:  # see ``_report``
                event = ended_event(cause)
                await self.kube.event(raw, type_="Normal", reason=event.reason, message=event.message)
            self.store.put(await self.kube.delete(raw))

    async def delete_resources(self, reconciliation: Reconciliation) -> float | None:
        """Delete everything, and once that is verified remove the finalizer; returns in how many seconds it is due."""
        await self.convergence.run(reconciliation, lambda: self._desired(reconciliation))
        if reconciliation.is_gone(self.store):
            # Another client removed the finalizer. No sweep finds resources deleted since: the class is enqueued here.
            self.placement.withdraw(reconciliation)
            self.enqueue_neighbours(reconciliation)
            return None
        if self.is_revived(reconciliation) or reconciliation.current(self.store).is_retained:
            return 0.0
        is_believed_gone = not reconciliation.own
        if is_believed_gone and reconciliation.seen:
            await reconciliation.account.describe(reconciliation.seen, reconciliation.owner)
        left = reconciliation.own
        if left:
            await self._report(reconciliation, left)
            return AGAIN_SECONDS if is_believed_gone else self.convergence.due(reconciliation)
        self.placement.withdraw(reconciliation)
        is_made = self.collector.is_being_made(reconciliation)
        is_trained = not self.training.is_withdrawn(reconciliation)
        if not is_made and not is_trained and self.is_deleted(reconciliation):
            await self.collector.collect_last(reconciliation)
            wait = self.show_end(reconciliation.key, self._endpoint(reconciliation))
            if wait is None:
                await self.release(reconciliation)
            return wait
        await self._report(reconciliation, left, is_made=is_made, is_trained=is_trained)
        self.enqueue_neighbours(reconciliation)
        waits = (self.convergence.due(reconciliation), self.training.withdraws_in(reconciliation))
        return min((each for each in waits if each is not None), default=None)

    async def abandon(self, key: ObjectKey, endpoint: EphemeralEndpoint, left: Iterable[str]) -> None:
        """Let an object go although resources are left, which the sweep finds by their tags.

        It takes those at once that carry an end of life that is over; the others when that is, at the latest.
        """
        message = abandoned_event(left)
        await self.kube.event(self.store.raw(key), type_="Warning", reason=ABANDONED, message=message)
        logger.warning(message, extra={"namespace": key.namespace, "object_name": key.name})
        await self._remove_finalizer(key, endpoint.metadata.uid)

    async def release(self, reconciliation: Reconciliation) -> None:
        """Remove the finalizer, and enqueue the keys that waited for the object."""
        if not reconciliation.is_gone(self.store):
            await self._remove_finalizer(reconciliation.key, reconciliation.uid)
        self.enqueue_neighbours(reconciliation)

    def enqueue_neighbours(self, reconciliation: Reconciliation) -> None:
        """Enqueue the keys that waited for the object: its class, and objects that need its path or capacity."""
        self.turns.leave(reconciliation.key, reconciliation.uid)
        self.convergence.release_capacity(reconciliation)
        subject = reconciliation.subject
        class_name = subject.endpoint_class.metadata.name
        self.enqueue(class_key(class_name))
        for key, _ in self.store.claiming(subject.path, class_name):
            if key != reconciliation.key:
                self.enqueue(key)

    def is_revived(self, reconciliation: Reconciliation) -> bool:
        """Whether the object's life was prolonged meanwhile."""
        return not reconciliation.current(self.store).is_terminating(self.now())

    def is_deleted(self, reconciliation: Reconciliation) -> bool:
        """Whether somebody deleted the object, or the operator because it had ended."""
        return self._endpoint(reconciliation).metadata.deletion_timestamp is not None

    def _endpoint(self, reconciliation: Reconciliation) -> EphemeralEndpoint:
        return reconciliation.current(self.store).endpoint

    def _desired(self, reconciliation: Reconciliation) -> DesiredState:
        """An object whose lifetime was extended meanwhile, or that is to be retained, loses nothing."""
        stays = self.is_revived(reconciliation) or reconciliation.current(self.store).is_retained
        return DesiredState.unchanged() if stays else DesiredState.absent()

    async def _remove_finalizer(self, key: ObjectKey, uid: str) -> None:
        raw, last = self.store.raw(key), self.store.endpoint(key)
        if last:
            await self.ledger.count(last)
        left = await self.kube.remove_finalizer(raw)
        if last:
            self.reporter.gone(key, last)
        if left is None:
            self.store.remove(key, uid)
        else:
            self.store.put(left)
        self.enqueue(key)
        extra = {"namespace": key.namespace, "object_name": key.name, "uid": uid}
        logger.info("the finalizer is removed", extra=extra)

    async def _report(
        self,
        reconciliation: Reconciliation,
        left: ObservedResources,
        *,
        is_made: bool = False,
        is_trained: bool = False,
    ) -> None:
        why = _why_retired(self._endpoint(reconciliation))
        end = reconciliation.current(self.store).end.cause
        cause = DELETED if self.is_deleted(reconciliation) else ended(end, why)
        if is_made:
            cause = replace(cause, message=f"{cause.message}; the operator is stopping the build of its image")
        if is_trained:
            cause = replace(cause, message=f"{cause.message}; the operator is stopping its training")
        errors, stays = self.convergence.lasting_errors(reconciliation), cause.reason is not DELETED.reason
        updates = conditions.of_terminating(cause, left.values(), errors, stays=stays and not (is_made or is_trained))
        # The budget told people, and by which amount, when it asked for the end.
        inputs = StatusInput(updates, own=left, subject=reconciliation.subject, told=frozenset({OVER_BUDGET}))
        await self.reporter.update_status(reconciliation.key, self._endpoint(reconciliation), inputs)


def _why_retired(endpoint: EphemeralEndpoint) -> str | None:
    return why_retired(endpoint.spec.lifecycle.on_expiry, endpoint.metadata)
