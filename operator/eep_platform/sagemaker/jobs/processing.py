"""What a CreateProcessingJob request means; pure.

Source: "Build Your Own Processing Container" in the SageMaker developer guide.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from eep_platform.emulation.account import Account
from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.images import image_name
from eep_platform.sagemaker.jobs.plans import HOST, Command, Delivery, Input, Output, Plan, refuse_unserved, s3_uri

LOG_GROUP: Final = "/aws/sagemaker/ProcessingJobs"
_DAY: Final = 86_400
_PLACE: Final = PurePosixPath("/opt/ml/processing")
_FOLDERS: Final = ("config", "output", "processing")
_DELIVERIES: Final = {"EndOfJob": Delivery.FILES, "Continuous": Delivery.CONTINUOUS}


def plan(request: Mapping[str, Any], account: Account, arn: str) -> Plan:
    """The plan of a request.

    Raises:
        ServiceError: `ValidationException` for a request that contradicts itself, and for what is not served here:
            several instances, pipes, Athena, Redshift, feature stores and other URLs than `s3://`.
    """
    cluster, app = request["ProcessingResources"]["ClusterConfig"], request["AppSpecification"]
    if not cluster.get("InstanceType"):
        raise validation_exception("ClusterConfig must have InstanceType and InstanceCount.")
    refuse_unserved("InstanceCount", cluster.get("InstanceCount"), 1)
    inputs, outputs = list(_inputs(request)), list(_outputs(request))
    _refuse_twins("InputName", [each["InputName"] for each in request.get("ProcessingInputs", ())])
    places = [each.folder for each in inputs] + [each.folder for each in outputs]
    _refuse_twins("LocalPath", places)
    region = account.region
    config = {**request, "ProcessingJobArn": arn}
    entrypoint, arguments = app.get("ContainerEntrypoint"), app.get("ContainerArguments")
    return Plan(
        image=image_name(app["ImageUri"], region),
        command=Command(
            tuple(entrypoint) if entrypoint else None,
            # As in Docker, another ENTRYPOINT drops the image's CMD.
            tuple(arguments or ()) if entrypoint or arguments else None,
        ),
        environment={"AWS_REGION": region, "AWS_DEFAULT_REGION": region, **request.get("Environment", {})},
        role=request["RoleArn"],
        instance_type=cluster["InstanceType"],
        files={
            "config/processingjobconfig.json": json.dumps(config),
            "config/resourceconfig.json": json.dumps({"current_host": HOST, "hosts": [HOST]}),
        },
        folders=(*_FOLDERS, *places),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        max_runtime_seconds=request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DAY),
        max_wait_seconds=None,
        log_group=LOG_GROUP,
        report="output/message",
        cannot_start="ClientError: CannotStartContainerError. Please make sure the container can be run with 'docker "
        "run <image>'",
    )


def _inputs(request: Mapping[str, Any]) -> Iterator[Input]:
    for each in request.get("ProcessingInputs", ()):
        source = each.get("S3Input")
        if source is None or each.get("AppManaged"):
            raise validation_exception("S3Input is needed: other inputs, and AppManaged ones, are not served here.")
        refuse_unserved("S3DataType", source["S3DataType"], "S3Prefix")
        refuse_unserved("S3InputMode", source.get("S3InputMode"), "File")
        refuse_unserved("S3CompressionType", source.get("S3CompressionType"), "None")
        yield Input(s3_uri("S3Uri", source["S3Uri"]), _folder(source))


def _outputs(request: Mapping[str, Any]) -> Iterator[Output]:
    config = request.get("ProcessingOutputConfig", {})
    for each in config.get("Outputs", ()):
        target = each.get("S3Output")
        if target is None or each.get("AppManaged"):
            raise validation_exception("S3Output is needed: other outputs, and AppManaged ones, are not served here.")
        delivery = _DELIVERIES[target["S3UploadMode"]]
        yield Output(_folder(target), s3_uri("S3Uri", target["S3Uri"]), delivery, config.get("KmsKeyId") or None)


def _folder(place: Mapping[str, Any]) -> str:
    path = PurePosixPath(place.get("LocalPath", ""))
    if not path.is_relative_to(_PLACE) or path == _PLACE or ".." in path.parts:
        raise validation_exception(f'LocalPath "{path}" must be an absolute path below {_PLACE}.')
    return str(path.relative_to("/opt/ml"))


def _refuse_twins(member: str, found: list[str]) -> None:
    if len(found) > len(set(found)):
        raise validation_exception(f"Each {member} must be unique.")
