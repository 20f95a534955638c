"""Executions of pipelines and their steps: what is known of them, and what may come next; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from eep_platform.sagemaker.pipelines.definition import FAIL, Definition, Step
from eep_platform.sagemaker.pipelines.expressions import Scalar

_MOST_NAME: Final = 63
STEPS_FAILED: Final = "Step failure: One or multiple steps failed."


class ExecutionStatus(StrEnum):
    """The values of `PipelineExecutionStatus`."""

    EXECUTING = "Executing"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"


class StepStatus(StrEnum):
    """The values of `StepStatus`."""

    STARTING = "Starting"
    EXECUTING = "Executing"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"


RUNNING: Final = frozenset({ExecutionStatus.EXECUTING, ExecutionStatus.STOPPING})
"""The states of an execution that counts against the account's limit and keeps its pipeline from being deleted."""
RETRYABLE: Final = frozenset({ExecutionStatus.FAILED, ExecutionStatus.STOPPED})
_AGAIN: Final = frozenset({StepStatus.FAILED, StepStatus.STOPPED})


@dataclass(slots=True)
class StepRun:
    """A step that was started in an execution; `result` is what Describe answers of what it made."""

    step: Step
    started: datetime
    status: StepStatus = StepStatus.STARTING
    ended: datetime | None = None
    failure_reason: str | None = None
    attempts: int = 1
    metadata: Mapping[str, Any] = field(default_factory=dict)
    cached_from: str | None = None
    result: Any = None

    def shown(self) -> dict[str, Any]:
        """The step as ListPipelineExecutionSteps shows it."""
        return {
            "StepName": self.step.name,
            "StepDisplayName": self.step.display_name,
            "StepDescription": self.step.description,
            "StartTime": self.started,
            "EndTime": self.ended,
            "StepStatus": self.status,
            "CacheHitResult": {"SourcePipelineExecutionArn": self.cached_from} if self.cached_from else None,
            "FailureReason": self.failure_reason or None,
            "Metadata": self.metadata or None,
            "AttemptCount": self.attempts,
        }


@dataclass(slots=True)
class Execution:
    """One execution of a version of a pipeline."""

    id: str
    arn: str
    pipeline_name: str
    pipeline_arn: str
    version: int
    definition: Definition
    given: tuple[Mapping[str, str], ...]
    """The parameters that it was started with, as text."""
    parameters: Mapping[str, Scalar]
    display_name: str
    description: str | None
    parallelism: Mapping[str, Any] | None
    most_parallel: int
    created: datetime
    modified: datetime
    status: ExecutionStatus = ExecutionStatus.EXECUTING
    failure_reason: str | None = None
    steps: dict[str, StepRun] = field(default_factory=dict)
    retries: set[str] = field(default_factory=set)
    """The client tokens that tried it again."""

    def variables(self, now: datetime) -> dict[str, str]:
        """The values of `Execution.X` in expressions."""
        return {
            "PipelineName": self.pipeline_name,
            "PipelineArn": self.pipeline_arn,
            "PipelineExecutionId": self.id,
            "PipelineExecutionArn": self.arn,
            "StartDateTime": _time(self.created),
            "CurrentDateTime": _time(now),
        }

    def has(self, status: StepStatus) -> bool:
        """Whether any step is in a state."""
        return any(run.status is status for run in self.steps.values())

    def next_steps(self) -> Iterator[Step]:
        """The steps that can start now: none after a failure or a stop, and none on a branch that is not taken."""
        if self.status is not ExecutionStatus.EXECUTING or self.has(StepStatus.FAILED):
            return
        for step in self.definition.steps.values():
            if step.name not in self.steps and self._is_free(step):
                yield step

    def _is_free(self, step: Step) -> bool:
        runs = [self.steps.get(name) for name in step.needs]
        if any(run is None or run.status is not StepStatus.SUCCEEDED for run in runs):
            return False
        if step.branch is None:
            return True
        return bool(self.steps[step.branch.condition].result["Outcome"] is step.branch.outcome)

    def outcome(self) -> ExecutionStatus:
        """The state that it ends in when no step runs any more and none can start."""
        if self.has(StepStatus.FAILED):
            return ExecutionStatus.FAILED
        return ExecutionStatus.STOPPED if self.status is ExecutionStatus.STOPPING else ExecutionStatus.SUCCEEDED

    @property
    def was_ended_by_a_fail_step(self) -> bool:
        """Whether it was the definition's own decision to fail, which a retry would only repeat."""
        return any(run.step.type == FAIL for run in self.steps.values())

    def forget_failures(self) -> None:
        """Let the steps that failed or were stopped run again."""
        self.steps = {name: run for name, run in self.steps.items() if run.status not in _AGAIN}

    def results(self) -> dict[str, Any]:
        """The results of the steps that succeeded."""
        return {name: run.result for name, run in self.steps.items() if run.status is StepStatus.SUCCEEDED}


def job_name(execution_id: str, step: str, random: str) -> str:
    """The name of what a step makes; the step's own name is cut where the whole would be too long."""
    frame = f"pipelines-{execution_id}--{random}"
    label = step.replace("_", "-").strip("-")[: _MOST_NAME - len(frame)].rstrip("-")
    return f"pipelines-{execution_id}-{label}-{random}" if label else f"pipelines-{execution_id}-{random}"


def outcome_text(*, outcome: bool) -> str:
    """`ConditionOutcome` of a Condition step."""
    return "True" if outcome else "False"


def _time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
