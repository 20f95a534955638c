"""What a data scientist does with the SageMaker SDK: a program in the SDK's environment, whose last line tells it."""

import json
import sys
from typing import Any

from botocore.exceptions import ClientError, WaiterError
from model.pipeline import pipeline
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.processing import Processor
from sagemaker.core.resources import ModelPackage, ModelPackageGroup, TrainingJob
from sagemaker.core.shapes import (
    OutputDataConfig,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.core.training.configs import Compute, InputData
from sagemaker.core.utils.exceptions import FailedStatusError
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.train import ModelTrainer

GIVEN = json.loads(sys.argv[1])
BUCKET, ROLE, WORKER = GIVEN["bucket"], GIVEN["role"], GIVEN["worker"]
Json = dict[str, Any]


def trainer(name: str, **hyperparameters: str) -> ModelTrainer:
    """A training with the worker's image."""
    return ModelTrainer(
        sagemaker_session=Session(default_bucket=BUCKET),
        role=ROLE,
        training_image=WORKER,
        base_job_name=name,
        hyperparameters=hyperparameters,
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{BUCKET}/sdk/models"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=10),
    )


def started(name: str, **hyperparameters: str) -> TrainingJob:
    """A training job that runs."""
    training = trainer(name, **hyperparameters)
    training.train(input_data_config=[InputData(channel_name="train", data_source=GIVEN["rows"])], wait=False)
    return training._latest_training_job  # noqa: SLF001 - the SDK has no other name for it


def trained(succeeding: TrainingJob, failing: TrainingJob, stopped: TrainingJob) -> Json:
    """Three jobs until they have ended."""
    stopped.stop()
    succeeding.wait(poll=1)
    stopped.wait(poll=1)
    try:
        failing.wait(poll=1)
    except FailedStatusError as error:
        failure = str(error)
    listed = TrainingJob.get_all(name_contains="sdk-", sort_by="CreationTime", sort_order="Ascending")
    return {
        "status": succeeding.training_job_status,
        "artifact": succeeding.model_artifacts.s3_model_artifacts,
        "failure": failure,
        "stopped": stopped.training_job_status,
        "listed": [each.training_job_name for each in listed],
        "started": [each.training_job_name for each in (succeeding, failing, stopped)],
    }


def processed() -> Json:
    """A processing job."""
    processor = Processor(
        role=ROLE,
        image_uri=WORKER,
        instance_count=1,
        instance_type="ml.m5.large",
        base_job_name="sdk-parts",
        sagemaker_session=Session(default_bucket=BUCKET),
    )
    source = ProcessingS3Input(
        s3_uri=GIVEN["rows"], local_path="/opt/ml/processing/input", s3_data_type="S3Prefix", s3_input_mode="File"
    )
    parts = [
        ProcessingS3Output(
            s3_uri=f"s3://{BUCKET}/sdk/{name}", local_path=f"/opt/ml/processing/{name}", s3_upload_mode="EndOfJob"
        )
        for name in ("train", "test")
    ]
    processor.run(
        inputs=[ProcessingInput(input_name="input", s3_input=source)],
        outputs=[ProcessingOutput(output_name=part.s3_uri.rpartition("/")[2], s3_output=part) for part in parts],
        arguments=["preprocess"],
        wait=False,
        logs=False,
    )
    job = processor.latest_job
    job.wait(poll=1)
    return {"status": job.processing_job_status, "outputs": [part.s3_uri for part in parts]}


def executed() -> Json:
    """The pipeline of the example model: once for real, once cached, and once with too high a standard."""
    ModelPackageGroup.create(model_package_group_name=GIVEN["group"], model_package_group_description="Of the SDK")
    defined = pipeline(PipelineSession(default_bucket=BUCKET), hyperparameters=["seed"])
    defined.name = GIVEN["group"]
    created = defined.upsert(role_arn=ROLE)
    updated = defined.upsert(role_arn=ROLE)
    parameters = {**GIVEN["parameters"], "ModelPackageGroupName": GIVEN["group"], "RoleArn": ROLE}
    runs = []
    for minimum in (0.8, 0.8, 1.1):
        execution = defined.start(parameters={**parameters, "MinimumMetric": minimum})
        try:
            execution.wait(delay=1, max_attempts=300)
        except WaiterError as error:
            runs.append({"error": str(error), **run_of(execution)})
        else:
            runs.append(run_of(execution))
    try:
        defined.start(parameters={**parameters, "MinimumMetric": 0.8, "Unknown": "1"})
    except ClientError as error:
        refusal = error.response["Error"]
    return {
        "arns": [created["PipelineArn"], updated["PipelineArn"]],
        "definition": json.loads(defined.describe()["PipelineDefinition"]) == json.loads(defined.definition()),
        "runs": runs,
        "listed": len(defined.list_executions()["PipelineExecutionSummaries"]),
        "refusal": refusal,
    }


def run_of(execution: Any) -> Json:  # noqa: ANN401 - the SDK has no types
    """What is told of an execution."""
    steps = {each["StepName"]: each for each in execution.list_steps()}
    return {
        "arn": execution.arn,
        "status": execution.describe()["PipelineExecutionStatus"],
        "steps": {name: step["StepStatus"] for name, step in steps.items()},
        "cached": [name for name, step in steps.items() if "CacheHitResult" in step],
        "package": steps.get("Register", {}).get("Metadata", {}).get("RegisterModel", {}).get("Arn"),
        "reason": steps.get("Refuse", {}).get("FailureReason"),
    }


def registered(arn: str) -> Json:
    """A package, and its approval."""
    package = ModelPackage.get(model_package_name=arn)
    before = package.model_approval_status
    package.update(model_approval_status="Approved", approval_description="Good enough")
    package.refresh()
    return {
        "group": package.model_package_group_name,
        "version": package.model_package_version,
        "lineage": package.customer_metadata_properties,
        "metrics": package.model_metrics.model_quality.statistics.s3_uri,
        "artifact": package.inference_specification.containers[0].model_data_url,
        "approvals": [before, package.model_approval_status],
        "groups": [each.model_package_group_name for each in ModelPackageGroup.get_all(name_contains=GIVEN["group"])],
    }


def main() -> None:
    """Does it all; jobs that do not need each other run at once."""
    training = (
        started("sdk-good"),
        started("sdk-bad", then="fail", reason="the loss is not finite"),
        started("sdk-long", then="hang"),
    )
    told: Json = {"processing": processed(), "pipeline": executed()}
    told["training"] = trained(*training)
    told["package"] = registered(told["pipeline"]["runs"][0]["package"])
    sys.stdout.write(f"\n{json.dumps(told, default=str)}\n")


if __name__ == "__main__":
    main()
