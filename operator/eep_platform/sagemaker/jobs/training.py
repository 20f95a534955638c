"""What a CreateTrainingJob request means; pure.

Sources: "How Amazon SageMaker AI Provides Training Information" and "How Amazon SageMaker AI Processes Training Output"
in the SageMaker developer guide.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from eep_platform.emulation.account import Account
from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.images import image_name
from eep_platform.sagemaker.jobs.metrics import MetricDefinition
from eep_platform.sagemaker.jobs.plans import (
    HOST,
    Command,
    Delivery,
    Input,
    Output,
    Plan,
    joined,
    refuse_unserved,
    s3_uri,
)

LOG_GROUP: Final = "/aws/sagemaker/TrainingJobs"
_ARGUMENT: Final = "train"
_DAY: Final = 86_400
_DATA: Final = "input/data"
_ML: Final = PurePosixPath("/opt/ml")
_CHECKPOINTS: Final = "/opt/ml/checkpoints"
_FOLDERS: Final = ("input/config", _DATA, "model", "output/data")
_TAKEN: Final = frozenset({"input", "model", "output"})


def plan(request: Mapping[str, Any], account: Account, arn: str) -> Plan:
    """The plan of a request.

    Raises:
        ServiceError: `ValidationException` for a request that contradicts itself, and for what is not served here:
            built-in algorithms, several instances, pipes, file systems and other URLs than `s3://`.
    """
    algorithm, resources = request.get("AlgorithmSpecification", {}), request.get("ResourceConfig", {})
    if not algorithm.get("TrainingImage"):
        raise validation_exception("TrainingImage is needed: algorithms are not served here.")
    if not resources.get("InstanceType") or not resources.get("VolumeSizeInGB"):
        raise validation_exception("ResourceConfig must have InstanceType, InstanceCount and VolumeSizeInGB.")
    refuse_unserved("InstanceCount", resources.get("InstanceCount"), 1)
    refuse_unserved("TrainingInputMode", algorithm["TrainingInputMode"], "File", "FastFile")
    channels = list(_channels(request))
    checkpoints = _checkpoints(request)
    region = account.region
    given = {"TRAINING_JOB_NAME": request["TrainingJobName"], "TRAINING_JOB_ARN": arn}
    given |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "SAGEMAKER_REGION": region}
    return Plan(
        image=image_name(algorithm["TrainingImage"], region),
        command=_command(algorithm),
        environment=given | request.get("Environment", {}),
        role=request["RoleArn"],
        instance_type=resources["InstanceType"],
        files=_files(request),
        folders=(*_FOLDERS, *(channel.folder for channel in channels), *(each.folder for each, _ in checkpoints)),
        inputs=(*channels, *(each for each, _ in checkpoints)),
        outputs=(*_outputs(request), *(each for _, each in checkpoints)),
        max_runtime_seconds=_max_runtime(request),
        max_wait_seconds=request.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds"),
        log_group=LOG_GROUP,
        report="output/failure",
        cannot_start=(
            "ClientError: CannotStartContainerError. Please make sure the container can be run with 'docker run "
            f"<image> {_ARGUMENT}'. It is possible that the Dockerfile's entrypoint is not properly defined, or "
            "missing permissions"
        ),
        metrics=tuple(MetricDefinition.of(each) for each in algorithm.get("MetricDefinitions", ())),
    )


def model_artifacts(request: Mapping[str, Any]) -> str:
    """Where the model of a job is after its end."""
    output = request["OutputDataConfig"]
    place = joined(output["S3OutputPath"], request["TrainingJobName"], "output")
    return joined(place, "model" if output.get("CompressionType") == "NONE" else "model.tar.gz")


def is_spot(request: Mapping[str, Any]) -> bool:
    """Whether the job runs on spot instances, which AWS may take away."""
    return bool(request.get("EnableManagedSpotTraining"))


def _command(algorithm: Mapping[str, Any]) -> Command:
    entrypoint, arguments = algorithm.get("ContainerEntrypoint"), algorithm.get("ContainerArguments")
    if entrypoint is None:
        return Command(None, tuple(arguments or (_ARGUMENT,)))
    return Command(tuple(entrypoint), tuple(arguments or ()))


def _channels(request: Mapping[str, Any]) -> Iterator[Input]:
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", ())]
    if len(names) > len(set(names)):
        raise validation_exception("The ChannelNames of InputDataConfig must be unique.")
    for channel in request.get("InputDataConfig", ()):
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise validation_exception("S3DataSource is needed: other sources of data are not served here.")
        if channel["ChannelName"] in {".", ".."}:
            raise validation_exception(f"{channel['ChannelName']} is no name of a channel.")
        refuse_unserved("S3DataType", source["S3DataType"], "S3Prefix")
        refuse_unserved("InputMode", channel.get("InputMode"), "File", "FastFile")
        refuse_unserved("CompressionType", channel.get("CompressionType"), "None")
        refuse_unserved("RecordWrapperType", channel.get("RecordWrapperType"), "None")
        yield Input(s3_uri("S3Uri", source["S3Uri"]), f"{_DATA}/{channel['ChannelName']}")


def _outputs(request: Mapping[str, Any]) -> Iterator[Output]:
    config = request["OutputDataConfig"]
    place = joined(s3_uri("S3OutputPath", config["S3OutputPath"]), request["TrainingJobName"], "output")
    key = config.get("KmsKeyId") or None
    packed = config.get("CompressionType") != "NONE"
    delivery = Delivery.ARCHIVE if packed else Delivery.FILES
    yield Output("model", model_artifacts(request), delivery, key)
    data = joined(place, "output.tar.gz" if packed else "data")
    yield Output("output/data", data, delivery, key, of_failures=True)


def _checkpoints(request: Mapping[str, Any]) -> list[tuple[Input, Output]]:
    config = request.get("CheckpointConfig")
    if config is None:
        return []
    uri = s3_uri("S3Uri", config["S3Uri"])
    path = PurePosixPath(config.get("LocalPath", _CHECKPOINTS))
    folder = path.relative_to(_ML).parts if path.is_relative_to(_ML) else ()
    if not folder or folder[0] in _TAKEN or ".." in folder:
        raise validation_exception(f"LocalPath {path} is not served here: write a path below {_CHECKPOINTS}.")
    name = "/".join(folder)
    delivered = Output(name, uri, Delivery.CONTINUOUS, of_failures=True)
    return [(Input(f"{uri.rstrip('/')}/", name, may_be_empty=True), delivered)]


def _max_runtime(request: Mapping[str, Any]) -> int:
    condition = request.get("StoppingCondition", {})
    runtime = int(condition.get("MaxRuntimeInSeconds", _DAY))
    wait = condition.get("MaxWaitTimeInSeconds")
    if is_spot(request) and (wait is None or wait < runtime):
        raise validation_exception(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )
    if wait is not None and not is_spot(request):
        raise validation_exception("MaxWaitTimeInSeconds needs EnableManagedSpotTraining.")
    return runtime


def _files(request: Mapping[str, Any]) -> dict[str, str]:
    algorithm = request["AlgorithmSpecification"]
    channels = {
        channel["ChannelName"]: {
            "TrainingInputMode": channel.get("InputMode", algorithm["TrainingInputMode"]),
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
        }
        for channel in request.get("InputDataConfig", ())
    }
    host = {
        "current_host": HOST,
        "current_instance_type": request["ResourceConfig"]["InstanceType"],
        "hosts": [HOST],
        "network_interface_name": "eth0",
    }
    return {
        "input/config/hyperparameters.json": json.dumps(request.get("HyperParameters", {})),
        "input/config/inputdataconfig.json": json.dumps(channels),
        "input/config/resourceconfig.json": json.dumps(host),
    }
