"""Has the class of an object that captures make its stream, and reports whether it has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionUpdate
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.capture.desired import capture_of_class, captures
from ephemeral_endpoints.features.routing.capture.stage import captured
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

PAUSE_SECONDS: Final = 15.0
"""Until the stream is looked for again in what is known of AWS: its state changes by itself."""


@dataclass(slots=True)
class CaptureMemory:
    """Whether the object was seen to capture."""

    captures: bool = False


class CaptureStep(FollowUp[CaptureMemory]):
    """Calls nothing. ``enqueue`` has the class reconciled where its stream is to be made, or may go."""

    def __init__(self, enqueue: Callable[[ObjectKey], None]) -> None:
        super().__init__(CaptureMemory)
        self._enqueue = enqueue

    @override
    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        memory, subject = self.memory(reconciliation.uid), reconciliation.subject
        before, memory.captures = memory.captures, captures(subject.endpoint)
        wanted = capture_of_class(subject.cluster_id, subject.endpoint_class) if memory.captures else []
        if before != memory.captures or any(each.key not in reconciliation.others for each in wanted):
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
