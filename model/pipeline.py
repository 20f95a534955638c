"""The pipeline that trains this model, by the SageMaker SDK: `python -m model.pipeline` prints its definition.

This is the definition that an EphemeralEndpoint with `spec.model.training` has by itself. To have another one, change
this file, and give the object what it prints in a ConfigMap. It needs what sdk.lock lists, and calls no AWS.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    CheckpointConfig,
    OutputDataConfig,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
    S3DataSource,
)
from sagemaker.core.training.configs import Compute, InputData, StoppingCondition
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import Parameter, ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer

METRIC: Final = "multiclass_classification_metrics.accuracy.value"

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
_INTEGERS: Final = ("InstanceCount", "VolumeSizeInGB", "MaxRuntimeInSeconds")
_CACHE: Final = CacheConfig(enable_caching=True, expire_after="P30D")
_RETRIES: Final = [
    StepRetryPolicy(
        exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
        interval_seconds=5,
        backoff_rate=2.0,
        max_attempts=5,
    ),
    SageMakerJobStepRetryPolicy(
        exception_types=[
            SageMakerJobExceptionTypeEnum.INTERNAL_ERROR,
            SageMakerJobExceptionTypeEnum.CAPACITY_ERROR,
            SageMakerJobExceptionTypeEnum.RESOURCE_LIMIT,
        ],
        interval_seconds=60,
        backoff_rate=2.0,
        max_attempts=5,
    ),
]


_PLACEHOLDER: Final = "arn:aws:iam::000000000000:role/parameter"


class _TrainingStep(TrainingStep):  # type: ignore[misc]  # the SDK is installed elsewhere
    """A training step with parameters where ModelTrainer takes none: it has no place for them in numbers and roles."""

    def __init__(self, overrides: Mapping[str, Any], **arguments: Any) -> None:  # noqa: ANN401 - those of the SDK
        self._overrides = overrides
        super().__init__(**arguments)

    @property
    def arguments(self) -> dict[str, Any]:
        """The request of the job."""
        request: dict[str, Any] = super().arguments
        resources = {**request["ResourceConfig"], "VolumeSizeInGB": self._overrides["VolumeSizeInGB"]}
        stopping = {**request["StoppingCondition"], "MaxRuntimeInSeconds": self._overrides["MaxRuntimeInSeconds"]}
        role = self._overrides["RoleArn"]
        return {**request, "RoleArn": role, "ResourceConfig": resources, "StoppingCondition": stopping}


class _Session(PipelineSession):  # type: ignore[misc]  # the SDK is installed elsewhere
    """A session that asks AWS nothing: no step has a file that would have to be uploaded."""

    def default_bucket(self) -> str:
        """A bucket that is named and not used."""
        return "unused"


class Training:
    """The steps; what they have in common are the parameters of an execution."""

    def __init__(self, session: PipelineSession, hyperparameters: Sequence[str], *, pull_request: bool) -> None:
        names = (*_STRINGS, *(("PullRequest",) if pull_request else ()), *sorted(hyperparameters))
        self.parameters: dict[str, Parameter] = {
            **{name: ParameterString(name) for name in names},
            **{name: ParameterInteger(name) for name in _INTEGERS},
            "MinimumMetric": ParameterFloat("MinimumMetric"),
        }
        self._session = session
        self._hyperparameters = {name: self.parameters[name] for name in hyperparameters}
        # SageMaker compares no contents: without it, the cache would take new data under the same prefix for the old.
        self._environment = {"DATA_REVISION": self.parameters["DataRevision"]}

    def preprocess(self) -> ProcessingStep:
        """Parts the data for training, validation and test."""
        inputs = [_input("data", self.parameters["DataS3Uri"], "input")]
        outputs = [self._output(name, "preprocess") for name in ("train", "validation", "test")]
        return self._processing("Preprocess", inputs, outputs)

    def train(self, preprocess: ProcessingStep, max_wait: int | None) -> TrainingStep:
        """Trains; on spot instances if there is a time to wait for them, in seconds."""
        spot: dict[str, Any] = {}
        if max_wait:
            folder = Join(on="/", values=[self.parameters["ArtifactsS3Uri"], "checkpoints"])
            spot = {"checkpoint_config": CheckpointConfig(s3_uri=folder)}
        trainer = ModelTrainer(
            sagemaker_session=self._session,
            role=_PLACEHOLDER,
            base_job_name="training",
            training_image=self.parameters["ImageUri"],
            environment=self._environment,
            hyperparameters=self._hyperparameters,
            output_data_config=OutputDataConfig(s3_output_path=self._below("train")),
            stopping_condition=StoppingCondition(max_wait_time_in_seconds=max_wait),
            compute=Compute(
                instance_type=self.parameters["InstanceType"],
                instance_count=self.parameters["InstanceCount"],
                enable_managed_spot_training=True if max_wait else None,
            ),
            **spot,
        )
        channels = [_channel(name, preprocess) for name in ("train", "validation")]
        arguments = trainer.train(input_data_config=channels, wait=False, logs=False)
        return _TrainingStep(
            self.parameters, name="Train", step_args=arguments, cache_config=_CACHE, retry_policies=_RETRIES
        )

    def evaluate(self, preprocess: ProcessingStep, train: TrainingStep, report: PropertyFile) -> ProcessingStep:
        """Judges the model by the data for tests."""
        inputs = [
            _input("model", train.properties.ModelArtifacts.S3ModelArtifacts, "model"),
            _input("test", _split("test", preprocess), "test"),
        ]
        return self._processing("Evaluate", inputs, [self._output("evaluation", "evaluate")], [report])

    def register(self, train: TrainingStep, evaluate: ProcessingStep) -> ModelStep:
        """Registers the model with its report and what it was made from."""
        folder = evaluate.properties.ProcessingOutputConfig.Outputs["evaluation"].S3Output.S3Uri
        statistics = MetricsSource("application/json", Join(on="/", values=[folder, "evaluation.json"]))
        lineage = {
            "repository": "Repository",
            "revision": "Revision",
            "imageDigest": "ImageDigest",
            "dataRevision": "DataRevision",
            **({"pullRequest": "PullRequest"} if "PullRequest" in self.parameters else {}),
        }
        model = ModelBuilder(
            image_uri=self.parameters["ImageUri"],
            s3_model_data_url=train.properties.ModelArtifacts.S3ModelArtifacts,
            role_arn=_PLACEHOLDER,
            sagemaker_session=self._session,
        )
        arguments = model.register(
            model_package_group_name=self.parameters["ModelPackageGroupName"],
            approval_status=self.parameters["ModelApprovalStatus"],
            content_types=["application/json"],
            response_types=["application/json"],
            model_metrics=ModelMetrics(model_statistics=statistics),
            customer_metadata_properties={key: self.parameters[name] for key, name in lineage.items()},
        )
        return ModelStep("Register", step_args=arguments)

    def _processing(
        self,
        name: str,
        inputs: list[ProcessingInput],
        outputs: list[ProcessingOutput],
        reports: Sequence[PropertyFile] = (),
    ) -> ProcessingStep:
        processor = Processor(
            role=self.parameters["RoleArn"],
            image_uri=self.parameters["ImageUri"],
            instance_count=1,
            instance_type=self.parameters["InstanceType"],
            volume_size_in_gb=self.parameters["VolumeSizeInGB"],
            max_runtime_in_seconds=self.parameters["MaxRuntimeInSeconds"],
            env=self._environment,
            sagemaker_session=self._session,
        )
        arguments = processor.run(inputs=inputs, outputs=outputs, arguments=[name.lower()], wait=False, logs=False)
        return ProcessingStep(
            name, step_args=arguments, property_files=list(reports), cache_config=_CACHE, retry_policies=_RETRIES
        )

    def _output(self, name: str, step: str) -> ProcessingOutput:
        target = ProcessingS3Output(
            s3_uri=self._below(step, name), local_path=f"/opt/ml/processing/{name}", s3_upload_mode="EndOfJob"
        )
        return ProcessingOutput(output_name=name, s3_output=target)

    def _below(self, *folders: str) -> Join:
        values = [self.parameters["ArtifactsS3Uri"], ExecutionVariables.PIPELINE_EXECUTION_ID, *folders]
        return Join(on="/", values=values)


def _input(name: str, source: object, folder: str) -> ProcessingInput:
    s3 = ProcessingS3Input(
        s3_uri=source,
        local_path=f"/opt/ml/processing/{folder}",
        s3_data_type="S3Prefix",
        s3_input_mode="File",
        s3_data_distribution_type="FullyReplicated",
    )
    return ProcessingInput(input_name=name, s3_input=s3)


def _channel(name: str, preprocess: ProcessingStep) -> InputData:
    source = S3DataSource(
        s3_data_type="S3Prefix", s3_uri=_split(name, preprocess), s3_data_distribution_type="FullyReplicated"
    )
    return InputData(channel_name=name, data_source=source)


def _split(name: str, preprocess: ProcessingStep) -> Any:  # noqa: ANN401 - a reference, which stands for a string
    return preprocess.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def pipeline(
    session: PipelineSession,
    metric: str = METRIC,
    hyperparameters: Sequence[str] = (),
    *,
    max_wait: int | None = None,
    pull_request: bool = False,
) -> Pipeline:
    """The pipeline: preprocess, train, evaluate, and register what is good enough."""
    training = Training(session, hyperparameters, pull_request=pull_request)
    report = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")
    preprocess = training.preprocess()
    train = training.train(preprocess, max_wait)
    evaluate = training.evaluate(preprocess, train, report)
    minimum = training.parameters["MinimumMetric"]
    gate = ConditionStep(
        "Gate",
        conditions=[
            ConditionGreaterThanOrEqualTo(
                left=JsonGet(step_name=evaluate.name, property_file=report, json_path=metric), right=minimum
            )
        ],
        if_steps=[training.register(train, evaluate)],
        else_steps=[FailStep("Refuse", error_message=Join(on="", values=[f"{metric} is below ", minimum]))],
    )
    return Pipeline(
        name="training",
        parameters=list(training.parameters.values()),
        steps=[preprocess, train, evaluate, gate],
        pipeline_experiment_config=None,
        sagemaker_session=session,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the definition as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m model.pipeline", description=__doc__)
    parser.add_argument("--metric", default=METRIC, help="path in evaluation.json (default: %(default)s)")
    parser.add_argument("--hyperparameters", nargs="*", default=[], metavar="NAME", help="what an execution sets")
    parser.add_argument("--max-wait", type=int, metavar="SECONDS", help="train on spot instances")
    parser.add_argument("--pull-request", action="store_true", help="packages tell of their pull request")
    arguments = vars(parser.parse_args(argv))
    definition: Mapping[str, object] = json.loads(pipeline(_Session(), **arguments).definition())
    sys.stdout.write(json.dumps(definition, sort_keys=True, separators=(",", ":")) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
