"""The condition ``Postprocessed``, and what the status tells of the second model."""

from collections.abc import Callable, Mapping
from datetime import datetime

from typing_extensions import override

from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.bases import Unfit, named_second
from ephemeral_endpoints.features.routing.postprocessing import policy
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import Store


class PostprocessStep(FollowUp[None]):
    """Tells of the object that ``spec.api.postprocess`` names. ``now`` is the time of day in UTC."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        super().__init__(lambda: None)
        self._store = store
        self._now = now

    @override
    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        """Nothing: the forwarder itself asks the other object's one what that serves."""

    @override
    def condition(self, reconciliation: Reconciliation) -> ConditionUpdate | None:
        return policy.condition(reconciliation.subject, self._second(reconciliation))

    @override
    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        return {"postprocess": policy.served_by(self._second(reconciliation))}

    def _second(self, reconciliation: Reconciliation) -> Subject | Unfit | None:
        return named_second(reconciliation.subject, self._store, self._now())
