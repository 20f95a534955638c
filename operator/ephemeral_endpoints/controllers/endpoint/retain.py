"""A terminating object whose resources stay in AWS: they are tagged first, or the sweep would delete them."""

from collections.abc import Callable
from dataclasses import dataclass

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.controllers.endpoint.finalize import Finalizer
from ephemeral_endpoints.controllers.endpoint.report import StatusInput
from ephemeral_endpoints.controllers.endpoint.tags import TagsStep
from ephemeral_endpoints.engine.conditions import ConditionType
from ephemeral_endpoints.engine.tags import RETAINED_TAGS
from ephemeral_endpoints.features.expiry.stage import RETAINED, of_retained, retained_event
from ephemeral_endpoints.features.reconciliation import Reconciliation


@dataclass(frozen=True, slots=True)
class Retainer:
    """Ends objects and keeps their resources. ``clock`` is monotonic seconds."""

    finalizer: Finalizer
    tags: TagsStep
    clock: Callable[[], float]

    async def retain(self, reconciliation: Reconciliation) -> float | None:
        """Tag everything, then remove the finalizer of a deleted object; returns in how many seconds it is due."""
        account, finalizer = reconciliation.account, self.finalizer
        if not _is_reported(reconciliation.subject.endpoint):
            # Resources that an interrupted reconciliation began to create must not be missed.
            await account.refresh(account.kinds, since=self.clock())
            if not await self.tags.add(reconciliation, RETAINED_TAGS):
                await self._report(reconciliation, is_tagged=False)
                return self.tags.due(reconciliation)
        if not finalizer.is_deleted(reconciliation):
            await self._report(reconciliation, is_tagged=True)
            return None
        raw, message = finalizer.store.raw(reconciliation.key), retained_event(reconciliation.own)
        await finalizer.kube.event(raw, type_="Normal", reason=RETAINED, message=message)
        finalizer.placement.withdraw(reconciliation)
        await finalizer.release(reconciliation)
        return None

    async def _report(self, reconciliation: Reconciliation, *, is_tagged: bool) -> None:
        finalizer = self.finalizer
        own = reconciliation.own
        updates = of_retained(
            own.values(),
            None if finalizer.is_deleted(reconciliation) else reconciliation.current(finalizer.store).end.cause,
            is_tagged=is_tagged,
            problem=self.tags.memory(reconciliation.uid).error,
        )
        endpoint = reconciliation.current(finalizer.store).endpoint
        inputs = StatusInput(updates, own=own, subject=reconciliation.subject)
        await finalizer.reporter.update_status(reconciliation.key, endpoint, inputs)


def _is_reported(endpoint: EphemeralEndpoint) -> bool:
    """Whether the status already reports for this very spec that everything is tagged."""
    expected = (ConditionType.READY, RETAINED.name, endpoint.metadata.generation)
    return any((each.type, each.reason, each.observed_generation) == expected for each in endpoint.status.conditions)
