"""Executions of pipelines: the operations to start, describe, list, stop and retry them."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from eep_platform.emulation.errors import validation_exception
from eep_platform.emulation.paging import page
from eep_platform.sagemaker.errors import conflict, invalid_token, limit_exceeded
from eep_platform.sagemaker.listing import Fields, listed
from eep_platform.sagemaker.pipelines.errors import execution_missing
from eep_platform.sagemaker.pipelines.execution import RETRYABLE, RUNNING, Execution, ExecutionStatus, StepRun
from eep_platform.sagemaker.pipelines.executor import Executor
from eep_platform.sagemaker.pipelines.expressions import Values, resolved
from eep_platform.sagemaker.pipelines.parameters import values_for
from eep_platform.sagemaker.pipelines.pipeline import Pipeline
from eep_platform.sagemaker.pipelines.pipeline_operations import version_of
from eep_platform.sagemaker.store import Store

_LIMIT: Final = "Maximum number of concurrent pipeline executions allowed per account"
_ID: Final = 12
_PARALLEL: Final = 50
_PAGE: Final = 10
_FIELDS: Final[Fields[Execution]] = Fields(
    name=lambda execution: execution.arn,
    times={"Created": lambda execution: execution.created},
    sort_keys={
        "CreationTime": lambda execution: execution.created.timestamp(),
        "PipelineExecutionArn": lambda execution: execution.arn,
    },
)
_STEP_FIELDS: Final[Fields[tuple[int, StepRun]]] = Fields(
    name=lambda numbered: numbered[1].step.name, times={}, sort_keys={"CreationTime": lambda numbered: numbered[0]}
)


class ExecutionOperations:
    """The operations on executions."""

    def __init__(self, store: Store, executor: Executor) -> None:
        self._store = store
        self._executor = executor

    async def start_pipeline_execution(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """StartPipelineExecution: a repeated client token starts nothing."""
        if request.get("SelectiveExecutionConfig") or request.get("MlflowExperimentName"):
            raise validation_exception("SelectiveExecutionConfig and MlflowExperimentName are not served here.")
        record = self._store.pipelines.named(request["PipelineName"])
        pipeline, token = record.value, request["ClientRequestToken"]
        if token in pipeline.tokens:
            return {"PipelineExecutionArn": pipeline.tokens[token]}
        version = version_of(record, request.get("PipelineVersionId"))
        given = request.get("PipelineParameters", [])
        parameters = values_for(version.definition.parameters, given)
        self._refuse_another()
        now, id_ = self._store.clock(), uuid4().hex[:_ID]
        parallelism = request.get("ParallelismConfiguration", pipeline.parallelism)
        execution = Execution(
            id=id_,
            arn=f"{record.arn}/execution/{id_}",
            pipeline_name=record.name,
            pipeline_arn=record.arn,
            version=version.number,
            definition=version.definition,
            given=tuple(given),
            parameters=parameters,
            display_name=request.get("PipelineExecutionDisplayName", f"execution-{round(now.timestamp() * 1000)}"),
            description=request.get("PipelineExecutionDescription"),
            parallelism=parallelism,
            most_parallel=parallelism["MaxParallelExecutionSteps"] if parallelism else _PARALLEL,
            created=now,
            modified=now,
        )
        pipeline.executions[id_] = execution
        pipeline.tokens[token] = version.last_execution = execution.arn
        self._executor.begin(pipeline, execution)
        return {"PipelineExecutionArn": execution.arn}

    async def describe_pipeline_execution(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribePipelineExecution."""
        _, execution = self._named(request)
        experiment = execution.definition.experiment
        values = Values(execution.parameters, execution.variables(execution.created))
        return {
            "PipelineArn": execution.pipeline_arn,
            "PipelineExecutionArn": execution.arn,
            "PipelineExecutionDisplayName": execution.display_name,
            "PipelineExecutionStatus": execution.status,
            "PipelineExecutionDescription": execution.description,
            "PipelineExperimentConfig": resolved(experiment, values) if experiment else None,
            "FailureReason": execution.failure_reason,
            "CreationTime": execution.created,
            "LastModifiedTime": execution.modified,
            "CreatedBy": {},
            "LastModifiedBy": {},
            "ParallelismConfiguration": execution.parallelism,
            "PipelineVersionId": execution.version,
        }

    async def describe_pipeline_definition_for_execution(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribePipelineDefinitionForExecution."""
        pipeline, execution = self._named(request)
        created = next(each.created for each in pipeline.versions if each.number == execution.version)
        return {"PipelineDefinition": execution.definition.text, "CreationTime": created}

    async def list_pipeline_executions(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListPipelineExecutions."""
        found = self._store.pipelines.named(request["PipelineName"]).value.executions.values()
        executions, token = listed(found, request, _FIELDS)
        shown = [
            {
                "PipelineExecutionArn": execution.arn,
                "StartTime": execution.created,
                "PipelineExecutionStatus": execution.status,
                "PipelineExecutionDescription": execution.description,
                "PipelineExecutionDisplayName": execution.display_name,
                "PipelineExecutionFailureReason": execution.failure_reason,
            }
            for execution in executions
        ]
        return {"PipelineExecutionSummaries": shown, "NextToken": token}

    async def list_pipeline_execution_steps(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListPipelineExecutionSteps: those that were started, the latest first."""
        _, execution = self._named(request)
        runs, token = listed(enumerate(execution.steps.values()), request, _STEP_FIELDS)
        return {"PipelineExecutionSteps": [run.shown() for _, run in runs], "NextToken": token}

    async def list_pipeline_parameters_for_execution(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListPipelineParametersForExecution: those that it was started with."""
        _, execution = self._named(request)
        given, token = page(
            sorted(execution.given, key=lambda each: str(each["Name"])),
            lambda each: (str(each["Name"]), ""),
            request.get("NextToken"),
            request.get("MaxResults", _PAGE),
            invalid_token=invalid_token,
        )
        return {"PipelineParameters": given, "NextToken": token}

    async def stop_pipeline_execution(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """StopPipelineExecution: to stop what is being stopped is no error."""
        _, execution = self._named(request)
        if execution.status not in RUNNING:
            raise conflict(
                f"Pipeline execution with ARN {execution.arn} status {execution.status}. Only pipelines with "
                "Executing status can be stopped."
            )
        if execution.status is ExecutionStatus.EXECUTING:
            self._executor.stop(execution)
        return {"PipelineExecutionArn": execution.arn}

    async def retry_pipeline_execution(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """RetryPipelineExecution: the steps that failed or were stopped run again."""
        pipeline, execution = self._named(request)
        token = request["ClientRequestToken"]
        if token in execution.retries:
            return {"PipelineExecutionArn": execution.arn}
        if execution.status not in RETRYABLE:
            raise conflict(
                f"Pipeline execution {execution.arn} is {execution.status}: only Failed and Stopped can be retried."
            )
        if execution.was_ended_by_a_fail_step:
            raise conflict(f"Pipeline execution {execution.arn} was ended by a Fail step and cannot be retried.")
        self._refuse_another()
        execution.retries.add(token)
        before = execution.status
        execution.forget_failures()
        execution.status, execution.failure_reason = ExecutionStatus.EXECUTING, None
        execution.modified = self._store.clock()
        if parallelism := request.get("ParallelismConfiguration"):
            execution.parallelism, execution.most_parallel = parallelism, parallelism["MaxParallelExecutionSteps"]
        self._executor.begin(pipeline, execution, before)
        return {"PipelineExecutionArn": execution.arn}

    def _named(self, request: Mapping[str, Any]) -> tuple[Pipeline, Execution]:
        arn = request.get("PipelineExecutionArn", "")
        pipeline, _, id_ = arn.rpartition("/execution/")
        record = self._store.pipelines.find(pipeline.partition(":pipeline/")[2])
        execution = record.value.executions.get(id_) if record else None
        if record is None or execution is None or execution.arn != arn.lower():
            raise execution_missing(arn)
        return record.value, execution

    def _refuse_another(self) -> None:
        allowed = self._store.settings.now.quotas.pipeline_executions
        every = (each for record in self._store.pipelines for each in record.value.executions.values())
        used = sum(each.status in RUNNING for each in every)
        if allowed != "unlimited" and used >= allowed:
            raise limit_exceeded(_LIMIT, unit="Executions", allowed=allowed, used=used, delta=1)
