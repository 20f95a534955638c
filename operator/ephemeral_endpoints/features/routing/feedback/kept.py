"""Creates the table of votes that outlives its object."""

from collections.abc import Callable
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.aws.account import Owner
from ephemeral_endpoints.aws.converge import converge
from ephemeral_endpoints.engine.errors import ReconcileError, Unauthenticated
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.plan import DesiredState, View
from ephemeral_endpoints.engine.plan import Step as PlannedStep
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResources, Phase
from ephemeral_endpoints.engine.retries import Retries
from ephemeral_endpoints.engine.tags import UID
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.feedback.desired import kept_table
from ephemeral_endpoints.features.routing.feedback.specs import FeedbackTableSpec
from ephemeral_endpoints.features.step import Step

POLL_SECONDS: Final = 5.0
"""The pause between two looks at a table that is being created: nothing wakes the object, whose table it is not."""


class KeptVotesStep(Step[Retries[Key]]):
    """Creates the table where it does not exist, and touches it never again. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(Retries)
        self._clock = clock

    async def run(self, reconciliation: Reconciliation) -> None:
        """Create the table, and add what failed to the errors of the reconciliation. Raises Unauthenticated."""
        resource, retries = kept_table(reconciliation.subject), self.memory(reconciliation.uid)
        if resource is None or resource.key in reconciliation.account.inventory.all:
            retries.keep_only(())
            return
        blocked = retries.blocked(self._clock())
        errors: dict[Key, ReconcileError] = dict(blocked)
        await self._create(reconciliation, resource, errors)
        for key, error in errors.items():
            if isinstance(error, Unauthenticated):
                raise error
            if key not in blocked:
                retries.note(key, error, self._clock())
        retries.keep_only(errors)
        reconciliation.errors = {**reconciliation.errors, **errors}

    @override
    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        if any(each.phase is not Phase.READY for each in self.observed(reconciliation).values()):
            return POLL_SECONDS
        return self.memory(reconciliation.uid).due(self._clock())

    @override
    def retry(self, uid: str) -> None:
        """See ``Step``."""
        self.memory(uid).keep_only(())

    def observed(self, reconciliation: Reconciliation) -> ObservedResources:
        """The table, if the object has one that outlives it and it exists."""
        resource, known = kept_table(reconciliation.subject), reconciliation.account.inventory.all
        return {resource.key: known[resource.key]} if resource and resource.key in known else {}

    async def _create(
        self, reconciliation: Reconciliation, resource: DesiredResource, errors: dict[Key, ReconcileError]
    ) -> None:
        account, owner = reconciliation.account, _owner(resource)

        def observe() -> View:
            return View(DesiredState((resource,)), account.inventory.of(owner.owner), {})

        def created(step: PlannedStep) -> None:
            reconciliation.steps.append(f"created {step.key}")

        await account.resolve_unknown(owner.owner)
        await converge(account, owner, observe, errors, created)


def _owner(resource: DesiredResource) -> Owner:
    spec = resource.spec
    uid = dict(spec.tags)[UID] if isinstance(spec, FeedbackTableSpec) else ""
    return Owner(owner_hash(uid), uid)
