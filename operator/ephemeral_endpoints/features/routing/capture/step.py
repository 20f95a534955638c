"""Has the class of an object make what its records and results need, and reports whether requests are captured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.capture.desired import capture_of_class, captures
from ephemeral_endpoints.features.routing.capture.stage import captured
from ephemeral_endpoints.features.routing.results.desired import publishes, results_of_class
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

PAUSE_SECONDS: Final = 15.0
"""Until the stream is looked for again in what is known of AWS: its state changes by itself."""


@dataclass(slots=True)
class CaptureMemory:
    """What of its class the object was last seen to need."""

    needed: frozenset[Key] = frozenset()


class CaptureStep(FollowUp[CaptureMemory]):
    """Calls nothing. ``enqueue`` has the class reconciled where its stream or an alarm is to be made, or may go."""

    def __init__(self, enqueue: Callable[[ObjectKey], None]) -> None:
        super().__init__(CaptureMemory)
        self._enqueue = enqueue

    @override
    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        memory, subject = self.memory(reconciliation.uid), reconciliation.subject
        before, memory.needed = memory.needed, needed(subject)
        if before != memory.needed or not reconciliation.others.keys() >= memory.needed:
            self._enqueue(class_key(subject.endpoint_class.metadata.name))

    @override
    def condition(self, reconciliation: Reconciliation) -> ConditionUpdate | None:
        return captured(reconciliation.subject, reconciliation.others)

    @override
    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        return {}

    @override
    def due(self, reconciliation: Reconciliation) -> float | None:
        found = self.condition(reconciliation)
        is_waiting = found is not None and found.status is ConditionStatus.FALSE
        return PAUSE_SECONDS if is_waiting and reconciliation.subject.endpoint_class.spec.capture else None


def needed(subject: Subject) -> frozenset[Key]:
    """What the class has to make for the object."""
    made: list[DesiredResource] = []
    if captures(subject.endpoint):
        made += capture_of_class(subject.cluster_id, subject.endpoint_class)
    if publishes(subject.endpoint):
        made += results_of_class(subject.cluster_id, subject.endpoint_class)
    return frozenset(each.key for each in made)
