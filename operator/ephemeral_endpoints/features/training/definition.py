"""The pipeline that an object gets that brings none of its own: preprocess, train, evaluate, gate, register. Pure.

The format is that of SageMaker Pipelines of 2020-12-01
(https://aws-sagemaker-mlops.github.io/sagemaker-model-building-pipeline-definition-JSON-schema/); the arguments of a
step are those of the request that it makes.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from ephemeral_endpoints.features.packages.lineage import KEYS
from ephemeral_endpoints.features.training.specs import Definition

VERSION: Final = "2020-12-01"
CACHED_FOR: Final = "P30D"
EVALUATE: Final = "Evaluate"
GATE: Final = "Gate"
EVALUATION: Final = "evaluation"
"""The output of the step with the figures of the model, ``evaluation.json``."""

DATA_REVISION: Final = "DATA_REVISION"
"""The variable that tells the data of one revision from those of another: SageMaker compares no contents."""

_LOCAL: Final = "/opt/ml/processing"
_SPLITS: Final = ("train", "validation", "test")
_CHANNELS: Final = ("train", "validation")
_INTEGERS: Final = ("InstanceCount", "VolumeSizeInGB", "MaxRuntimeInSeconds")
_FLOATS: Final = ("MinimumMetric",)
_STRINGS: Final = (
    "ImageUri",
    "ImageDigest",
    "DataS3Uri",
    "ArtifactsS3Uri",
    "RoleArn",
    "InstanceType",
    "ModelPackageGroupName",
    "ModelApprovalStatus",
    "Repository",
    "Revision",
    "DataRevision",
)

# https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html
_RETRIES: Final = [
    {
        "ExceptionType": ["Step.SERVICE_FAULT", "Step.THROTTLING"],
        "IntervalSeconds": 5,
        "BackoffRate": 2.0,
        "MaxAttempts": 5,
    },
    {
        "ExceptionType": [
            "SageMaker.JOB_INTERNAL_ERROR",
            "SageMaker.CAPACITY_ERROR",
            "SageMaker.RESOURCE_LIMIT",
        ],
        "IntervalSeconds": 60,
        "BackoffRate": 2.0,
        "MaxAttempts": 5,
    },
]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a training is part of the definition; all else is a parameter of each execution."""

    metric: str
    hyperparameters: frozenset[str] = frozenset()
    max_wait: timedelta | None = None
    """Of spot instances; None: on demand."""

    has_pull_request: bool = False


def canonical(document: object) -> str:
    """The one text of a JSON document."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=256)
def rendered(shape: Shape) -> Definition:
    """The definition; equal shapes have equal ones."""
    declared = _parameters(shape)
    document = {
        "Version": VERSION,
        "Metadata": {},
        "Parameters": declared,
        "Steps": [_preprocess(), _train(shape), _evaluate(), _gate(shape)],
    }
    return Definition(canonical(document), frozenset(each["Name"] for each in declared))


def _parameters(shape: Shape) -> list[Json]:
    strings = (*_STRINGS, *(("PullRequest",) if shape.has_pull_request else ()), *sorted(shape.hyperparameters))
    types = {"String": strings, "Integer": _INTEGERS, "Float": _FLOATS}
    return [{"Name": name, "Type": type_} for type_, names in types.items() for name in names]


def _preprocess() -> Json:
    inputs = [_input("data", _parameter("DataS3Uri"), "input")]
    outputs = [_output(name, "preprocess") for name in _SPLITS]
    return _cached("Preprocess", "Processing", _processing("preprocess", inputs, outputs))


def _train(shape: Shape) -> Json:
    stopping: Json = {"MaxRuntimeInSeconds": _parameter("MaxRuntimeInSeconds")}
    arguments: Json = {
        "AlgorithmSpecification": {"TrainingImage": _parameter("ImageUri"), "TrainingInputMode": "File"},
        "Environment": {DATA_REVISION: _parameter("DataRevision")},
        "HyperParameters": {name: _parameter(name) for name in sorted(shape.hyperparameters)},
        "InputDataConfig": [_channel(name) for name in _CHANNELS],
        "OutputDataConfig": {"S3OutputPath": _below("train")},
        "ResourceConfig": {
            "InstanceCount": _parameter("InstanceCount"),
            "InstanceType": _parameter("InstanceType"),
            "VolumeSizeInGB": _parameter("VolumeSizeInGB"),
        },
        "RoleArn": _parameter("RoleArn"),
        "StoppingCondition": stopping,
    }
    if shape.max_wait:
        stopping["MaxWaitTimeInSeconds"] = int(shape.max_wait.total_seconds())
        # Where checkpoints are is part of the cache's key: the same for all executions that train the same.
        checkpoints = {"S3Uri": _joined("/", _parameter("ArtifactsS3Uri"), "checkpoints")}
        arguments |= {"EnableManagedSpotTraining": True, "CheckpointConfig": checkpoints}
    return _cached("Train", "Training", arguments)


def _evaluate() -> Json:
    inputs = [
        _input("model", {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}, "model"),
        _input("test", _split("test"), "test"),
    ]
    step = _cached(EVALUATE, "Processing", _processing("evaluate", inputs, [_output(EVALUATION, "evaluate")]))
    file = {"PropertyFileName": "Evaluation", "OutputName": EVALUATION, "FilePath": "evaluation.json"}
    return {**step, "PropertyFiles": [file]}


def _gate(shape: Shape) -> Json:
    file = {"Get": f"Steps.{EVALUATE}.PropertyFiles.Evaluation"}
    condition = {
        "Type": "GreaterThanOrEqualTo",
        "LeftValue": {"Std:JsonGet": {"PropertyFile": file, "Path": shape.metric}},
        "RightValue": _parameter("MinimumMetric"),
    }
    arguments = {"Conditions": [condition], "IfSteps": [_register(shape)], "ElseSteps": [_refuse(shape)]}
    return {"Name": GATE, "Type": "Condition", "Arguments": arguments}


def _register(shape: Shape) -> Json:
    lineage = {
        KEYS["repository"]: _parameter("Repository"),
        KEYS["revision"]: _parameter("Revision"),
        KEYS["image_digest"]: _parameter("ImageDigest"),
        KEYS["data_revision"]: _parameter("DataRevision"),
        # A property must not be empty.
        **({KEYS["pull_request"]: _parameter("PullRequest")} if shape.has_pull_request else {}),
    }
    folder = {"Get": f"Steps.{EVALUATE}.ProcessingOutputConfig.Outputs['{EVALUATION}'].S3Output.S3Uri"}
    statistics = {"ContentType": "application/json", "S3Uri": _joined("/", folder, "evaluation.json")}
    container = {
        "Image": _parameter("ImageUri"),
        "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
    }
    arguments = {
        "ModelPackageGroupName": _parameter("ModelPackageGroupName"),
        "ModelApprovalStatus": _parameter("ModelApprovalStatus"),
        "ModelMetrics": {"ModelQuality": {"Statistics": statistics}},
        "CustomerMetadataProperties": lineage,
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    }
    return {"Name": "Register", "Type": "RegisterModel", "Arguments": arguments}


def _refuse(shape: Shape) -> Json:
    message = _joined("", f"{shape.metric} is below ", _parameter("MinimumMetric"))
    return {"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def _cached(name: str, type_: str, arguments: Json) -> Json:
    cache = {"Enabled": True, "ExpireAfter": CACHED_FOR}
    return {"Name": name, "Type": type_, "Arguments": arguments, "CacheConfig": cache, "RetryPolicies": _RETRIES}


def _processing(command: str, inputs: list[Json], outputs: list[Json]) -> Json:
    return {
        "AppSpecification": {"ImageUri": _parameter("ImageUri"), "ContainerArguments": [command]},
        "Environment": {DATA_REVISION: _parameter("DataRevision")},
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": outputs},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": _parameter("InstanceType"),
                "VolumeSizeInGB": _parameter("VolumeSizeInGB"),
            }
        },
        "RoleArn": _parameter("RoleArn"),
        "StoppingCondition": {"MaxRuntimeInSeconds": _parameter("MaxRuntimeInSeconds")},
    }


def _input(name: str, source: Json, folder: str) -> Json:
    s3 = {
        "S3Uri": source,
        "LocalPath": f"{_LOCAL}/{folder}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"InputName": name, "S3Input": s3}


def _output(name: str, step: str) -> Json:
    s3 = {"S3Uri": _below(step, name), "LocalPath": f"{_LOCAL}/{name}", "S3UploadMode": "EndOfJob"}
    return {"OutputName": name, "S3Output": s3}


def _channel(name: str) -> Json:
    source = {"S3DataType": "S3Prefix", "S3Uri": _split(name), "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _split(name: str) -> Json:
    return {"Get": f"Steps.Preprocess.ProcessingOutputConfig.Outputs['{name}'].S3Output.S3Uri"}


def _below(*folders: str) -> Json:
    """A folder of this execution alone; what a cached step made stays where it is."""
    return _joined("/", _parameter("ArtifactsS3Uri"), {"Get": "Execution.PipelineExecutionId"}, *folders)


def _parameter(name: str) -> Json:
    return {"Get": f"Parameters.{name}"}


def _joined(separator: str, *values: object) -> Json:
    return {"Std:Join": {"On": separator, "Values": list(values)}}


def references(value: object) -> Iterable[str]:
    """All that a part of a definition gets: ``Parameters.X``, ``Steps.X.…``, ``Execution.X``."""
    if isinstance(value, Mapping):
        if isinstance(got := value.get("Get"), str):
            yield got
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)
