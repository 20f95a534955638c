"""The states of a job and the transitions between them; pure, the time is a parameter.

Source: DescribeTrainingJob in the SageMaker API reference, members `TrainingJobStatus` and `SecondaryStatus`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

_MOST_REASON = 1024


class JobStatus(StrEnum):
    """The values of `TrainingJobStatus` and `ProcessingJobStatus`."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"


ENDED = frozenset({JobStatus.STOPPED, JobStatus.COMPLETED, JobStatus.FAILED})


class Phase(StrEnum):
    """The values of `SecondaryStatus`. Processing jobs have the same, and do not show them."""

    STARTING = "Starting"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    UPLOADING = "Uploading"
    INTERRUPTED = "Interrupted"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    MAX_WAIT_TIME_EXCEEDED = "MaxWaitTimeExceeded"
    COMPLETED = "Completed"
    FAILED = "Failed"


_MESSAGES: Mapping[Phase, str] = {
    Phase.STARTING: "Starting the training job",
    Phase.DOWNLOADING: "Downloading input data",
    Phase.TRAINING: "Training image download completed. Training in progress.",
    Phase.UPLOADING: "Uploading generated training model",
    Phase.INTERRUPTED: "The managed spot training job was interrupted",
    Phase.STOPPING: "Stopping the training job",
    Phase.STOPPED: "Training job stopped",
    Phase.MAX_RUNTIME_EXCEEDED: "Resource released due to keep alive period expiry or max runtime exceeded",
    Phase.MAX_WAIT_TIME_EXCEEDED: "The training job waited longer than the specified maximum wait time",
    Phase.COMPLETED: "Training job completed",
    Phase.FAILED: "Training job failed",
}
_STATUSES: Mapping[Phase, JobStatus] = {
    Phase.COMPLETED: JobStatus.COMPLETED,
    Phase.FAILED: JobStatus.FAILED,
    Phase.STOPPED: JobStatus.STOPPED,
    Phase.MAX_RUNTIME_EXCEEDED: JobStatus.STOPPED,
    Phase.MAX_WAIT_TIME_EXCEEDED: JobStatus.STOPPED,
}


@dataclass(frozen=True, slots=True)
class Transition:
    """A phase that the job was or is in."""

    phase: Phase
    start: datetime
    end: datetime | None = None

    @property
    def message(self) -> str:
        """What the service says of the phase."""
        return _MESSAGES[self.phase]


@dataclass(frozen=True, slots=True)
class MetricValue:
    """The last value of a metric that the job printed."""

    value: float
    time: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A job in one state; each transition returns the next state. `request` is what it was created with."""

    name: str
    arn: str
    request: Mapping[str, Any]
    created: datetime
    modified: datetime
    status: JobStatus
    transitions: tuple[Transition, ...]
    started: datetime | None = None
    ended: datetime | None = None
    failure_reason: str = ""
    exit_message: str = ""
    metrics: Mapping[str, MetricValue] = field(default_factory=dict)

    @property
    def phase(self) -> Phase:
        """The phase that it is in."""
        return self.transitions[-1].phase

    @property
    def is_ended(self) -> bool:
        """Whether nothing changes it any more."""
        return self.status in ENDED

    @property
    def is_stoppable(self) -> bool:
        """Whether it can still be stopped."""
        return self.status is JobStatus.IN_PROGRESS

    def enter(self, phase: Phase, now: datetime) -> "Job":
        """InProgress or Stopping, in another phase. A job that is being stopped keeps its phase until its end."""
        if self.status is JobStatus.STOPPING:
            return self
        started = self.started or (now if phase is Phase.DOWNLOADING else None)
        return replace(self, started=started, modified=now, transitions=self._upto(phase, now))

    def stop(self, now: datetime) -> "Job":
        """InProgress -> Stopping."""
        transitions = self._upto(Phase.STOPPING, now)
        return replace(self, status=JobStatus.STOPPING, modified=now, transitions=transitions)

    def end(self, phase: Phase, now: datetime, *, failure_reason: str = "", exit_message: str = "") -> "Job":
        """InProgress or Stopping -> Completed, Failed or Stopped, as the phase says."""
        return replace(
            self,
            status=_STATUSES[phase],
            modified=now,
            ended=now,
            failure_reason=failure_reason[:_MOST_REASON],
            exit_message=exit_message[:_MOST_REASON],
            transitions=self._upto(phase, now),
        )

    def _upto(self, phase: Phase, now: datetime) -> tuple[Transition, ...]:
        *before, last = self.transitions
        final = now if phase in _STATUSES else None
        return (*before, replace(last, end=now), Transition(phase, now, final))


def starting(name: str, arn: str, request: Mapping[str, Any], now: datetime) -> Job:
    """A new job."""
    return Job(name, arn, request, now, now, JobStatus.IN_PROGRESS, (Transition(Phase.STARTING, now),))
