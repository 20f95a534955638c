"""Parses the events of SageMaker and CodeBuild. Pure; the text may come from any client."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

LONGEST_BODY: Final = 64 * 1024
"""In characters. An event that AWS sends is a few thousand long."""

SAGEMAKER: Final = "aws.sagemaker"
CODEBUILD: Final = "aws.codebuild"
"""The sources of events."""

ENDPOINT_CHANGED: Final = "SageMaker Endpoint State Change"
EXECUTION_CHANGED: Final = "SageMaker Model Building Pipeline Execution Status Change"
STEP_CHANGED: Final = "SageMaker Model Building Pipeline Execution Step Status Change"
PIPELINE_CHANGED: Final = (EXECUTION_CHANGED, STEP_CHANGED)
PACKAGE_CHANGED: Final = "SageMaker Model Package State Change"
BUILD_CHANGED: Final = "CodeBuild Build State Change"
BUILD_RUNS: Final = "IN_PROGRESS"
"""The status of a build that has begun, of which nobody needs to be told."""

_LASTING: Final = frozenset({"Processing", "Training"})
"""The types of steps that take long enough for people to be told of them."""

_EXECUTING: Final = "Executing"
_LONGEST_NAME: Final = 63
_LONGEST_ARN: Final = 2048


class Kind(StrEnum):
    """What an event can be about."""

    ENDPOINT = auto()
    PIPELINE = auto()
    """An execution of it, or a step of one."""
    PACKAGE_GROUP = auto()
    """A version in it. The group says where to look; what has become of the version, the registry says itself."""
    BUILD = auto()
    """A build, by its id."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What has changed, by its name.

    ``execution`` is the ARN of a pipeline's execution if it goes on, and only a step of it has begun.
    """

    kind: Kind
    name: str
    execution: str = ""


class _EndpointDetail(BaseModel):
    endpoint_name: str = Field(alias="EndpointName", max_length=_LONGEST_NAME)


class _PipelineDetail(BaseModel):
    pipeline_arn: str = Field(alias="pipelineArn", max_length=_LONGEST_ARN)
    execution_arn: str = Field(alias="pipelineExecutionArn", max_length=_LONGEST_ARN)
    status: str = Field(alias="currentPipelineExecutionStatus", default="")
    step_status: str = Field(alias="currentStepStatus", default="")
    step_type: str = Field(alias="stepType", default="")

    @property
    def pipeline(self) -> str:
        """The name of the pipeline."""
        return self.pipeline_arn.rpartition(":pipeline/")[2]

    @property
    def is_execution_told(self) -> bool:
        """Whether the execution has become something else than what its start has made it."""
        return self.status != _EXECUTING

    @property
    def is_step_told(self) -> bool:
        """Whether a step has begun; after one that has ended the next begins, or the execution ends."""
        return self.step_status == _EXECUTING and self.step_type in _LASTING


class _PackageDetail(BaseModel):
    group: str | None = Field(default=None, alias="ModelPackageGroupName", max_length=_LONGEST_NAME)


class _BuildDetail(BaseModel):
    arn: str = Field(alias="build-id", max_length=_LONGEST_ARN)
    status: str = Field(alias="build-status")


class _Event(BaseModel):
    source: str
    detail_type: str = Field(alias="detail-type")
    detail: dict[str, Any]


def changed_in(body: str) -> Changed | None:
    """What a message says has changed; None if it is about something else, or of no consequence.

    Raises ValueError for other messages; its text repeats nothing of the body, which any client may have written.
    Sources: "Events that Amazon SageMaker AI sends to Amazon EventBridge" in the SageMaker developer guide, and "Build
    notifications input format reference" in the CodeBuild user guide.
    """
    if len(body) > LONGEST_BODY:
        raise ValueError(f"longer than {LONGEST_BODY} characters")
    try:
        event = _Event.model_validate_json(body)
        changed = _CHANGED.get((event.source, event.detail_type))
        return changed(event.detail) if changed else None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise ValueError(": ".join([*map(str, first["loc"]), first["msg"]])) from None


def _endpoint(detail: Mapping[str, Any]) -> Changed:
    return Changed(Kind.ENDPOINT, _EndpointDetail.model_validate(detail).endpoint_name)


def _execution(detail: Mapping[str, Any]) -> Changed | None:
    """What an event of an execution says; None if nobody needs to look because of it."""
    read = _PipelineDetail.model_validate(detail)
    return Changed(Kind.PIPELINE, read.pipeline) if read.is_execution_told else None


def _step(detail: Mapping[str, Any]) -> Changed | None:
    """What an event of an execution's step says; None if nobody needs to look because of it."""
    read = _PipelineDetail.model_validate(detail)
    return Changed(Kind.PIPELINE, read.pipeline, execution=read.execution_arn) if read.is_step_told else None


def _package(detail: Mapping[str, Any]) -> Changed | None:
    group = _PackageDetail.model_validate(detail).group
    return Changed(Kind.PACKAGE_GROUP, group) if group else None


def _build(detail: Mapping[str, Any]) -> Changed | None:
    read = _BuildDetail.model_validate(detail)
    return Changed(Kind.BUILD, read.arn.rpartition(":build/")[2]) if read.status != BUILD_RUNS else None


_CHANGED: Final[Mapping[tuple[str, str], Callable[[Mapping[str, Any]], Changed | None]]] = {
    (SAGEMAKER, ENDPOINT_CHANGED): _endpoint,
    (SAGEMAKER, EXECUTION_CHANGED): _execution,
    (SAGEMAKER, STEP_CHANGED): _step,
    (SAGEMAKER, PACKAGE_CHANGED): _package,
    (CODEBUILD, BUILD_CHANGED): _build,
}
"""What the detail of an event says has changed, by its source and type."""
