import re
from collections.abc import Mapping
from typing import Any

import pytest

from eep_platform.emulation.account import Account
from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.jobs import processing, training
from eep_platform.sagemaker.jobs.plans import Command

ACCOUNT = Account("000000000000", "us-east-1")
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/worker:1"


def trained(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - as typed as JSON is
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", **more.pop("algorithm", {})}
    return {
        "TrainingJobName": "j",
        "RoleArn": "arn:aws:iam::000000000000:role/r",
        "AlgorithmSpecification": algorithm,
        "OutputDataConfig": {"S3OutputPath": "s3://b/p"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        **more,
    }


def channel(name: str = "train", source: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as typed as JSON is
    s3 = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/d/"}
    return {"ChannelName": name, "DataSource": source if source is not None else {"S3DataSource": s3}, **more}


def processed(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - as typed as JSON is
    return {
        "ProcessingJobName": "j",
        "RoleArn": "arn:aws:iam::000000000000:role/r",
        "AppSpecification": {"ImageUri": IMAGE},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        },
        **more,
    }


def given(path: str, name: str = "a", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as typed as JSON is
    return {"InputName": name, "S3Input": {"S3Uri": "s3://b/d", "LocalPath": path, "S3DataType": "S3Prefix", **more}}


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        pytest.param(trained(algorithm={"TrainingImage": ""}), "TrainingImage is needed", id="a built-in algorithm"),
        pytest.param(trained(algorithm={"TrainingImage": "docker.io/a"}), "non-ECR image", id="another registry"),
        pytest.param(trained(algorithm={"TrainingInputMode": "Pipe"}), "Pipe is not served here", id="pipes"),
        pytest.param(trained(ResourceConfig={}), "must have InstanceType", id="no instances"),
        pytest.param(
            trained(ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}),
            "InstanceCount 2 is not served here",
            id="several instances",
        ),
        pytest.param(trained(InputDataConfig=[channel(), channel()]), "must be unique", id="two channels of a name"),
        pytest.param(trained(InputDataConfig=[channel("..")]), "no name of a channel", id="a channel outside"),
        pytest.param(trained(InputDataConfig=[channel(source={})]), "S3DataSource is needed", id="a file system"),
        pytest.param(
            trained(InputDataConfig=[channel(CompressionType="Gzip")]), "Gzip is not served here", id="packed data"
        ),
        pytest.param(
            trained(OutputDataConfig={"S3OutputPath": "https://b/p"}), "Write S3OutputPath as", id="another kind of URL"
        ),
        pytest.param(trained(EnableManagedSpotTraining=True), "Invalid MaxWaitTimeInSeconds", id="spot needs a wait"),
        pytest.param(
            trained(
                EnableManagedSpotTraining=True,
                StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59},
            ),
            "Invalid MaxWaitTimeInSeconds",
            id="a wait shorter than the run",
        ),
        pytest.param(
            trained(StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}),
            "needs EnableManagedSpotTraining",
            id="a wait without spot",
        ),
        pytest.param(
            trained(CheckpointConfig={"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/model"}),
            "LocalPath /opt/ml/model is not served here",
            id="checkpoints among the model",
        ),
        pytest.param(
            trained(CheckpointConfig={"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/../etc"}),
            "is not served here",
            id="checkpoints outside",
        ),
        pytest.param(
            trained(algorithm={"MetricDefinitions": [{"Name": "a", "Regex": "("}]}),
            "Invalid regular expression",
            id="a broken pattern",
        ),
        pytest.param(
            trained(algorithm={"MetricDefinitions": [{"Name": "a", "Regex": "loss"}]}),
            "has no group for the value",
            id="a pattern without a value",
        ),
    ],
)
def test_a_training_job_that_cannot_run_is_refused(request_: dict[str, Any], why: str) -> None:
    with pytest.raises(ServiceError, match=re.escape(why)):
        training.plan(request_, ACCOUNT, "arn")


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        pytest.param(
            processed(ProcessingInputs=[given("/opt/ml/input")]), "below /opt/ml/processing", id="another place"
        ),
        pytest.param(
            processed(ProcessingInputs=[given("/opt/ml/processing/../model")]), "below /opt/ml/processing", id="up"
        ),
        pytest.param(
            processed(ProcessingInputs=[given("/opt/ml/processing")]), "below /opt/ml/processing", id="itself"
        ),
        pytest.param(
            processed(ProcessingInputs=[given("/opt/ml/processing/a"), given("/opt/ml/processing/b")]),
            "Each InputName must be unique",
            id="two of a name",
        ),
        pytest.param(
            processed(ProcessingInputs=[given("/opt/ml/processing/a"), given("/opt/ml/processing/a", "b")]),
            "Each LocalPath must be unique",
            id="two of a place",
        ),
        pytest.param(
            processed(ProcessingInputs=[given("/opt/ml/processing/a", S3InputMode="Pipe")]),
            "S3InputMode Pipe is not served here",
            id="pipes",
        ),
        pytest.param(
            processed(ProcessingInputs=[{"InputName": "a", "DatasetDefinition": {}}]), "S3Input is needed", id="Athena"
        ),
        pytest.param(
            processed(ProcessingOutputConfig={"Outputs": [{"OutputName": "a", "FeatureStoreOutput": {}}]}),
            "S3Output is needed",
            id="a feature store",
        ),
    ],
)
def test_a_processing_job_that_cannot_run_is_refused(request_: dict[str, Any], why: str) -> None:
    with pytest.raises(ServiceError, match=re.escape(why)):
        processing.plan(request_, ACCOUNT, "arn")


@pytest.mark.parametrize(
    ("algorithm", "command"),
    [
        pytest.param({}, Command(None, ("train",)), id="docker run IMAGE train"),
        pytest.param({"ContainerArguments": ["a"]}, Command(None, ("a",)), id="other arguments"),
        pytest.param({"ContainerEntrypoint": ["e"]}, Command(("e",), ()), id="another program gets no train"),
        pytest.param({"ContainerEntrypoint": ["e"], "ContainerArguments": ["a"]}, Command(("e",), ("a",)), id="both"),
    ],
)
def test_what_of_the_image_trains(algorithm: dict[str, Any], command: Command) -> None:
    assert training.plan(trained(algorithm=algorithm), ACCOUNT, "arn").command == command


@pytest.mark.parametrize(
    ("app", "command"),
    [
        pytest.param({}, Command(None, None), id="the image as it is"),
        pytest.param({"ContainerArguments": ["a"]}, Command(None, ("a",)), id="arguments take the place of CMD"),
        pytest.param({"ContainerEntrypoint": ["e"]}, Command(("e",), ()), id="another ENTRYPOINT drops CMD"),
    ],
)
def test_what_of_the_image_processes(app: dict[str, Any], command: Command) -> None:
    request = processed(AppSpecification={"ImageUri": IMAGE, **app})
    assert processing.plan(request, ACCOUNT, "arn").command == command
