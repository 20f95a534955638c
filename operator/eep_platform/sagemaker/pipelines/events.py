"""The EventBridge events of executions and their steps.

Source: "Events that Amazon SageMaker AI sends to Amazon EventBridge" in the SageMaker developer guide. Their members
begin in lower case, and their times are in ISO 8601.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from eep_platform.sagemaker.events import SOURCE
from eep_platform.sagemaker.pipelines.execution import Execution, StepRun

_SECONDS = "%Y-%m-%dT%H:%M:%SZ"


def execution_change(execution: Execution, before: str | None, now: datetime) -> dict[str, Any]:
    """The entry for PutEvents that announces the execution's present state."""
    ended = execution.modified if execution.status not in {"Executing", "Stopping"} else None
    detail = {
        "pipelineExecutionDisplayName": execution.display_name,
        "currentPipelineExecutionStatus": execution.status,
        "previousPipelineExecutionStatus": before,
        "executionStartTime": execution.created.strftime(_SECONDS),
        "executionEndTime": ended.strftime(_SECONDS) if ended else None,
        "pipelineExecutionDescription": execution.description,
    }
    return _entry("SageMaker Model Building Pipeline Execution Status Change", execution, detail, now)


def step_change(execution: Execution, run: StepRun, before: str | None, now: datetime) -> dict[str, Any]:
    """The entry for PutEvents that announces the present state of a step."""
    cached = {"sourcePipelineExecutionArn": run.cached_from} if run.cached_from else None
    detail = {
        "metadata": _lower(run.metadata) or None,
        "stepStartTime": run.started.strftime(_SECONDS),
        "stepEndTime": run.ended.strftime(_SECONDS) if run.ended else None,
        "stepName": run.step.name,
        "stepType": run.step.type,
        "previousStepStatus": before,
        "currentStepStatus": run.status,
        "failureReason": run.failure_reason or None,
        "cacheHitResult": cached,
    }
    return _entry("SageMaker Model Building Pipeline Execution Step Status Change", execution, detail, now)


def _entry(detail_type: str, execution: Execution, detail: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    arns = {"pipelineArn": execution.pipeline_arn, "pipelineExecutionArn": execution.arn}
    told = {name: value for name, value in detail.items() if value is not None} | arns
    return {
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps(told),
        "Resources": [*arns.values()],
        "Time": now,
    }


def _lower(value: Any) -> Any:  # noqa: ANN401 - as many types as JSON
    if isinstance(value, Mapping):
        return {name[:1].lower() + name[1:]: _lower(member) for name, member in value.items()}
    return value
