"""Parts of pipeline definitions for tests."""

import json
from typing import Any

ROLE = "arn:aws:iam::000000000000:role/execution"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/models/sentiment:1"
EVALUATION = {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"}


def get(path: str) -> dict[str, str]:
    """A reference."""
    return {"Get": path}


def json_get(path: str) -> dict[str, Any]:
    """A value of the evaluation."""
    return {"Std:JsonGet": {"PropertyFile": EVALUATION, "Path": path}}


def processing(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any member
    """A Processing step; `arguments` are added to those that it needs."""
    arguments = {
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        },
        "AppSpecification": {"ImageUri": IMAGE},
        "RoleArn": ROLE,
        **more.pop("arguments", {}),
    }
    return {"Name": name, "Type": "Processing", "Arguments": arguments, **more}


def output(name: str, uri: object) -> dict[str, Any]:
    """An output of a processing job."""
    local = f"/opt/ml/processing/{name}"
    return {"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": local, "S3UploadMode": "EndOfJob"}}


def channel(name: str, uri: object) -> dict[str, Any]:
    """A channel of a training job."""
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}


def training(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any member
    """A Training step; `arguments` are added to those that it needs."""
    arguments = {
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "RoleArn": ROLE,
        **more.pop("arguments", {}),
    }
    return {"Name": name, "Type": "Training", "Arguments": arguments, **more}


def at_least(left: object, right: object) -> dict[str, Any]:
    """A condition."""
    return {"Type": "GreaterThanOrEqualTo", "LeftValue": left, "RightValue": right}


def condition(name: str, *conditions: Any, yes: Any = (), no: Any = (), **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any form
    """A Condition step."""
    arguments = {"Conditions": list(conditions), "IfSteps": list(yes), "ElseSteps": list(no)}
    return {"Name": name, "Type": "Condition", "Arguments": arguments, **more}


def fail(name: str, message: object = "no", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any member
    """A Fail step."""
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}, **more}


def parameter(name: str, type_: str = "String", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any member
    """A parameter."""
    return {"Name": name, "Type": type_, **more}


def definition(*steps: Any, parameters: Any = (), **more: Any) -> str:  # noqa: ANN401 - any form
    """A definition."""
    return json.dumps({"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps), **more})
