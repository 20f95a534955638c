"""The reasons of the condition ``EndpointReady``, and of classes whose endpoints' events cannot be read."""

from collections.abc import Mapping
from typing import Final, Self

from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.reasons import CLASS_READY, CREATING, DELETING, UPDATING, Finality, Reason, ReasonGroup
from ephemeral_endpoints.features.serving.specs import ENDPOINT_READY

REASONS: Final = ReasonGroup(ENDPOINT_READY)

IN_SERVICE: Final = REASONS.normal("InService", meaning="The endpoint is serving this revision.")
WAITING_FOR_IMAGE: Final = REASONS.transient(
    "WaitingForImage",
    meaning="The operator creates the endpoint once the image is ready.",
    remedy="see `ImageReady`",
)
SYSTEM_UPDATING: Final = REASONS.transient(
    "SystemUpdating", meaning="AWS is maintaining the endpoint, which keeps serving."
)
ROLLING_BACK: Final = REASONS.transient(
    "RollingBack", meaning="SageMaker is rolling the endpoint back. The previous revision keeps serving."
)
RECREATING: Final = REASONS.transient(
    "Recreating",
    meaning="The operator deletes the endpoint and creates it again with the new configuration: by "
    "`spec.serving.rollout.strategy`, or because a quota has no room for a second one beside it. It is down meanwhile; "
    "URL and token stay.",
)
ENDPOINT_FAILED: Final = REASONS.for_author(
    "EndpointFailed",
    meaning="SageMaker could not start the model, or cannot serve its configuration. The operator tries it five times, "
    "with pauses (the class can say otherwise). The message has SageMaker's reason and the last lines of the log.",
    remedy="see [the model does not start](#the-model-does-not-start); then push another commit",
)
INSUFFICIENT_CAPACITY: Final = REASONS.for_author(
    "InsufficientCapacity",
    finality=Finality.TRANSIENT,
    meaning="AWS has no capacity for the instances at the moment. The operator retries for as long as the object "
    "exists, at intervals that grow to ten minutes. After a failed update, the previous revision keeps serving.",
    remedy="wait, or choose another instance type; shortages of GPUs can last hours",
)
ROLLED_BACK: Final = REASONS.for_author(
    "RolledBack",
    meaning="The new revision failed, or an alarm went off during its rollout. The previous revision keeps serving.",
    remedy="fix what the message names and push another commit; to try the same commit again, change the annotation "
    "`ephemeral-endpoints.io/reconcile-at`",
)
OUT_OF_SERVICE: Final = REASONS.for_author(
    "OutOfService",
    meaning="SageMaker has taken the endpoint out of service. The operator tries to update it five times, with pauses "
    "(the class can say otherwise).",
    remedy="fix what the message and the log of the endpoint name, and push another commit",
)
UPDATE_ROLLBACK_FAILED: Final = REASONS.for_platform(
    "UpdateRollbackFailed",
    finality=Finality.PERMANENT,
    meaning="A rollout failed, and so did its rollback. The endpoint is serving both revisions.",
    remedy="the author pushes another commit; if that fails too, delete the object and apply it again",
)
STUCK: Final = REASONS.for_platform(
    "Stuck",
    meaning="SageMaker has been creating or updating the endpoint for longer than the class's `creationTimeout`. It "
    "accepts no other change until it has finished.",
    remedy="wait for SageMaker to finish, or contact AWS Support with the name of the endpoint",
)

IN_FLIGHT_REASONS: Final[Mapping[str, Reason]] = {
    reason.name: reason for reason in (CREATING, UPDATING, SYSTEM_UPDATING, ROLLING_BACK, DELETING)
}
"""By SageMaker's word for an endpoint that is changing (EndpointStatus of DescribeEndpoint)."""

IMPAIRED_REASONS: Final[Mapping[str, Reason]] = {
    reason.name: reason for reason in (OUT_OF_SERVICE, UPDATE_ROLLBACK_FAILED)
}
"""By SageMaker's word for an endpoint that is at rest and impaired."""


class EnvironmentUnavailable(ReconcileError):
    """A variable whose value is in a ConfigMap has none, or one that no environment can have."""

    reason = REASONS.for_author(
        "EnvironmentUnavailable",
        finality=Finality.RECOVERABLE,
        meaning="A ConfigMap or a key of it that `spec.model.environmentFrom` names does not exist, or its value "
        "cannot be that of a variable. The operator waits for it; what serves goes on serving.",
        remedy="create or correct the ConfigMap that the message names",
    )


class EventsUnavailable(ReconcileError):
    """The queue of SageMaker's events cannot be read."""

    reason = REASONS.for_platform(
        "EventsUnavailable",
        CLASS_READY,
        meaning="The operator cannot read the SQS queue that `spec.events` names. Everything works, but the operator "
        "notices changes of endpoints a second or two later.",
        remedy="create the queue, or allow the operator's role to read it",
    )

    @classmethod
    def of(cls, queue: str, error: ReconcileError) -> Self:
        """The error that comes of another one when the queue is read."""
        return cls(f"the operator cannot read the SQS queue {queue} and polls instead: {error.described}")
