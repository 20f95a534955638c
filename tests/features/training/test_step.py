"""Trainings on the embedded SageMaker: pipelines, jobs and the registry are real, but jobs run no containers."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.controllers.environment import Environment
from tests.engine.objects import merged
from tests.features.training.examples import METRIC, POLICY, TRAINING, spec_of, trained
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.engine.backoff import LONGEST_SECONDS
from ephemeral_endpoints.features.serving.event_messages import Changed, Kind
from ephemeral_endpoints.features.training import job_log, step
from ephemeral_endpoints.features.training.pipelines import JOB_LOGS
from ephemeral_endpoints.kube.cache import ObjectKey, class_key, endpoint_key
from ephemeral_endpoints.kube.configmaps import ConfigMaps

REGISTRY = f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com"
ROLE = f"arn:aws:iam::{ministack.ACCOUNT}:role/any"
JOBS = ("Preprocess", "Train", "Evaluate")


@dataclass
class Lab:
    """A class that trains, images of commits, and what becomes of their trainings."""

    env: Environment
    aws: Aws
    digests: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        policy = merged(POLICY, {"training": {"executionRoleArn": ROLE, "artifacts": "s3://artifacts/models"}})
        self.env.make_class("training", **policy)
        for bucket in ("artifacts", "acme-data"):
            self.aws.client("s3").create_bucket(Bucket=bucket)
        self.put("s3://acme-data/wine/wine.csv", b"1,2,3")
        self.aws.client("ecr").create_repository(repositoryName="models")
        self.sagemaker = self.aws.client("sagemaker")
        self.hold()

    def hold(self, *steps: str) -> None:
        """Let no jobs of these steps begin, or of any."""
        held = [f"pipelines-*-{each}-*" for each in steps or JOBS]
        self.aws.control.patch_sagemaker_settings({"held_jobs": held})

    def image(self, tag: str) -> str:
        """The digest of the image with that tag, which is pushed if need be."""
        if tag not in self.digests:
            manifest = json.dumps({"schemaVersion": 2, "config": {"size": len(self.digests) + 1}, "layers": []})
            made = self.aws.client("ecr").put_image(repositoryName="models", imageManifest=manifest, imageTag=tag)
            self.digests[tag] = made["image"]["imageId"]["imageDigest"]
        return self.digests[tag]

    def make(self, tag: str = "1", name: str = "pr", **training: Any) -> ObjectKey:  # noqa: ANN401 - members of a training
        uri, revision = f"{REGISTRY}/models:{tag}", tag * 40
        spec = {
            "className": "training",
            "source": {"repository": "acme/wine", "pullRequest": 42, "revision": revision},
            "model": {"training": merged(TRAINING, {"image": {"uri": uri}, **training})},
        }
        status = {"image": {"uri": uri, "digest": self.image(tag)}, "revision": revision}
        self.env.api.put("EphemeralEndpoint", "nlp", name, spec, **status)
        return endpoint_key("nlp", name)

    def push(self, key: ObjectKey, tag: str, *, image: str | None = None) -> None:
        """Another commit, whose image is known."""
        uri, revision = f"{REGISTRY}/models:{image or tag}", tag * 40
        self.image(image or tag)
        spec = {"source": {"revision": revision}, "model": {"training": {"image": {"uri": uri}}}}
        self.env.api.change(key, {"spec": spec})

    def runs(self) -> list[dict[str, Any]]:
        """All executions, the oldest first."""
        found: list[dict[str, Any]] = []
        for each in self.sagemaker.list_pipelines()["PipelineSummaries"]:
            listed = self.sagemaker.list_pipeline_executions(PipelineName=each["PipelineName"])
            found += reversed(listed["PipelineExecutionSummaries"])
        return sorted(found, key=lambda each: each["StartTime"])

    def steps(self, run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        arn = run["PipelineExecutionArn"]
        found = self.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
        return {each["StepName"]: each for each in found["PipelineExecutionSteps"]}

    def has_begun(self, run: Mapping[str, Any], step: str) -> bool:
        """Whether the job of a step exists."""
        return "Metadata" in self.steps(run).get(step, {})

    async def evaluating(self, number: int = 1) -> dict[str, Any]:
        """Wait until the evaluation of an execution is held."""
        await self.env.until(lambda: len(self.runs()) == number, f"{number} executions")
        run = self.runs()[-1]
        for position, name in enumerate(JOBS):
            await self.env.until(partial(self.has_begun, run, name), name)
            if name != "Evaluate":
                self.leave(self.steps(run)[name]["Metadata"])
                self.hold(*JOBS[position + 1 :])
        return run

    def leave(self, metadata: Mapping[str, Any]) -> None:
        """What the container of a job would leave in S3."""
        if job := metadata.get("ProcessingJob"):
            outputs = self.processing_job(job["Arn"])["ProcessingOutputConfig"]["Outputs"]
            urls = [f"{each['S3Output']['S3Uri'].rstrip('/')}/rows.csv" for each in outputs]
        else:
            arn = metadata["TrainingJob"]["Arn"]
            jobs = self.sagemaker.list_training_jobs()["TrainingJobSummaries"]
            [name] = [each["TrainingJobName"] for each in jobs if each["TrainingJobArn"] == arn]
            told = self.sagemaker.describe_training_job(TrainingJobName=name)
            urls = [f"{told['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output/model.tar.gz"]
        for url in urls:
            self.put(url, b"1,2,3")

    def processing_job(self, arn: str) -> Any:  # noqa: ANN401 - an answer
        """The job of an ARN, which has its name in lower case."""
        jobs = self.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
        [name] = [each["ProcessingJobName"] for each in jobs if each["ProcessingJobArn"] == arn]
        return self.sagemaker.describe_processing_job(ProcessingJobName=name)

    def put(self, url: str, content: bytes) -> None:
        place = urlsplit(url)
        self.aws.client("s3").put_object(Bucket=place.netloc, Key=place.path[1:], Body=content)

    def log(self, stream: str, *lines: str) -> None:
        """What the container of a processing job writes."""
        logs, group = self.aws.client("logs"), JOB_LOGS["processing-job"]
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": int(time.time() * 1000), "message": each} for each in lines]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    async def finish(self, accuracy: object, number: int = 1, *, faults: Sequence[Fault] = ()) -> dict[str, Any]:
        """Let the evaluation find this, in place of a container; from then on there are faults."""
        run = await self.evaluating(number)
        job = self.processing_job(self.steps(run)["Evaluate"]["Metadata"]["ProcessingJob"]["Arn"])
        outputs = job["ProcessingOutputConfig"]["Outputs"]
        content: Any = accuracy
        for name in reversed(METRIC.split(".")):
            content = {name: content}
        self.put(f"{outputs[0]['S3Output']['S3Uri'].rstrip('/')}/evaluation.json", json.dumps(content).encode())
        self.aws.control.add_faults(*faults)
        self.aws.control.patch_sagemaker_settings({"held_jobs": []})
        return run

    def training(self, key: ObjectKey) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.env.api.kept[key]["status"].get("training", {})
        return found

    async def trained(self, key: ObjectKey, reason: str) -> str:
        return await self.env.reason(key, reason, "Trained")


@pytest.fixture
async def lab(env: Environment, fresh_aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(step, "POLL_SECONDS", (0.1, 0.1))
    return Lab(env, fresh_aws)


async def test_a_commit_is_trained_registered_and_served(lab: Lab) -> None:
    key = lab.make()
    await lab.evaluating()
    await lab.env.until(lambda: "Evaluate" in lab.env.condition(key, "Trained").get("message", ""), "the step shown")
    assert "Preprocess Succeeded, Train Succeeded, Evaluate" in await lab.trained(key, "TrainingRunning")
    await lab.finish(0.98)
    await lab.env.ready(key)
    await lab.env.reason(key, "TrainingSucceeded", "Trained", saying="accuracy.value = 0.98; at least 0.8")
    training = lab.training(key)
    package = lab.sagemaker.describe_model_package(ModelPackageName=training["package"])
    assert package["ModelPackageGroupName"] == "wine-previews"
    assert package["CustomerMetadataProperties"] == {
        "repository": "acme/wine",
        "pullRequest": "42",
        "revision": "1" * 40,
        "imageDigest": lab.image("1"),
        "dataRevision": "2026-11-28",
    }
    [model] = lab.sagemaker.list_models()["Models"]
    served = lab.sagemaker.describe_model(ModelName=model["ModelName"])["PrimaryContainer"]
    [container] = package["InferenceSpecification"]["Containers"]
    assert (served["Image"], served["ModelDataUrl"]) == (container["Image"], container["ModelDataUrl"])
    assert (training["metric"], training["revision"]) == (0.98, "1" * 40)
    assert [each["name"] for each in training["steps"]] == ["Preprocess", "Train", "Evaluate", "Gate", "Register"]


async def test_an_event_has_an_execution_looked_at_however_seldom_that_is_otherwise(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "POLL_SECONDS", (3600.0, 3600.0))
    key = lab.make()
    run = await lab.finish(0.98)
    await lab.env.until(lambda: lab.runs()[-1]["PipelineExecutionStatus"] == "Succeeded", "the execution over")
    assert "no step has started" in await lab.trained(key, "TrainingRunning")
    arn = run["PipelineExecutionArn"]
    name = arn.split("/")[1]
    lab.env.operator.progressed(Changed(Kind.PIPELINE, name, execution=arn))
    await lab.env.until(lambda: "Train Succeeded" in lab.env.condition(key, "Trained").get("message", ""), "the steps")
    assert "Register Succeeded" in await lab.trained(key, "TrainingRunning"), "nobody asked whether it is over"
    lab.env.operator.progressed(Changed(Kind.PIPELINE, name))
    await lab.env.ready(key)


async def test_at_rest_it_costs_no_calls_and_after_a_restart_no_training(lab: Lab) -> None:
    key = lab.make()
    await lab.finish(0.98)
    await lab.env.ready(key)
    lab.aws.control.reset_meter()
    lab.env.clock.advance(3600)
    await lab.env.refresh(key)
    assert not _pipeline_calls(lab)
    await lab.env.restart()
    await lab.env.ready(key)
    assert _pipeline_calls(lab) == {"DescribeModelPackage": 1}
    assert len(lab.runs()) == 1


def _pipeline_calls(lab: Lab) -> dict[str, int]:
    names = ("Pipeline", "ModelPackage", "ProcessingJob")
    counts = lab.aws.control.calls().get("sagemaker", {})
    return {each: number for each, number in counts.items() if any(name in each for name in names)}


async def test_a_commit_that_trains_the_same_keeps_the_package(lab: Lab) -> None:
    key = lab.make()
    await lab.finish(0.98)
    await lab.env.ready(key)
    before = lab.training(key)
    lab.push(key, "2", image="1")
    await lab.env.ready(key)
    assert lab.training(key) == before
    assert len(lab.runs()) == 1


async def test_a_newer_commit_stops_the_older_training(lab: Lab) -> None:
    key = lab.make()
    first = await lab.evaluating()
    lab.hold()
    lab.push(key, "2")
    await lab.env.until(lambda: len(lab.runs()) == 2, "another execution")
    await lab.env.until(lambda: lab.runs()[0]["PipelineExecutionStatus"] == "Stopped", "the first one stopped")
    assert lab.runs()[0]["PipelineExecutionArn"] == first["PipelineExecutionArn"]
    await lab.finish(0.9, number=2)
    await lab.env.ready(key)
    assert lab.training(key)["revision"] == "2" * 40


async def test_what_serves_goes_on_while_the_gate_refuses_a_commit(lab: Lab) -> None:
    key = lab.make()
    await lab.finish(0.98)
    await lab.env.ready(key)
    lab.hold()
    lab.push(key, "2")
    await lab.finish(0.61, number=2)
    message = await lab.trained(key, "GateFailed")
    assert f"{METRIC} is 0.61, but at least 0.8 is required" in message
    assert lab.env.condition(key, "Stalled")["status"] == "True"
    assert [each["EndpointStatus"] for each in lab.sagemaker.list_endpoints()["Endpoints"]] == ["InService"]
    assert len(lab.sagemaker.list_model_packages(ModelPackageGroupName="wine-previews")["ModelPackageSummaryList"]) == 1


async def test_nothing_serves_once_the_gate_refuses_if_that_is_asked_for(lab: Lab) -> None:
    key = lab.make(onGateFailure="Fail")
    await lab.finish(0.98)
    await lab.env.ready(key)
    lab.hold()
    lab.push(key, "2")
    await lab.finish(0.61, number=2)
    await lab.env.reason(key, "GateFailed", "EndpointReady")
    await lab.env.until(lambda: not lab.sagemaker.list_endpoints()["Endpoints"], "the endpoint gone")


@pytest.mark.parametrize("accuracy", ["0.98", float("nan"), None], ids=["text", "NaN", "nothing"])
async def test_a_metric_that_is_no_number_decides_nothing(lab: Lab, accuracy: object) -> None:
    key = lab.make()
    await lab.finish(accuracy)
    await lab.trained(key, "MetricMissing")


async def test_pull_requests_of_one_model_train_at_once_and_only_their_own_training_ends_with_them(lab: Lab) -> None:
    keys = [lab.make("1", "first"), lab.make("2", "second")]
    await lab.env.until(lambda: all(lab.training(key) for key in keys), "both train")
    executions = {key: lab.training(key)["executionArn"] for key in keys}
    assert len(set(executions.values())) == 2
    [pipeline] = lab.sagemaker.list_pipelines()["PipelineSummaries"]
    versions = lab.sagemaker.list_pipeline_versions(PipelineName=pipeline["PipelineName"])
    assert len(versions["PipelineVersionSummaries"]) == 1, "they share what is defined"
    lab.env.api.remove(keys[0])
    await lab.env.gone(keys[0])

    def statuses() -> dict[str, str]:
        return {each["PipelineExecutionArn"]: each["PipelineExecutionStatus"] for each in lab.runs()}

    await lab.env.until(lambda: statuses()[executions[keys[0]]] == "Stopped", "stopped")
    assert statuses()[executions[keys[1]]] == "Executing"


async def test_a_lost_answer_starts_no_twin(lab: Lab) -> None:
    lost = [
        Fault(service="sagemaker", operation=each, answer_lost=True, times=1)
        for each in ("CreateModelPackageGroup", "CreatePipeline", "StartPipelineExecution")
    ]
    lab.aws.control.add_faults(*lost)
    key = lab.make()
    await lab.finish(0.98)
    await lab.env.ready(key)
    assert len(lab.runs()) == 1
    [pipeline] = lab.sagemaker.list_pipelines()["PipelineSummaries"]
    versions = lab.sagemaker.list_pipeline_versions(PipelineName=pipeline["PipelineName"])
    assert len(versions["PipelineVersionSummaries"]) == 1


async def test_another_operator_follows_what_runs(lab: Lab) -> None:
    key = lab.make()
    await lab.evaluating()
    await lab.env.restart()
    await lab.finish(0.98)
    await lab.env.ready(key)
    assert len(lab.runs()) == 1


async def test_the_training_of_a_deleted_object_is_stopped(lab: Lab) -> None:
    key = lab.make()
    await lab.evaluating()
    lab.env.api.remove(key)
    await lab.env.gone(key)
    await lab.env.until(lambda: lab.runs()[0]["PipelineExecutionStatus"] == "Stopped", "stopped")


async def test_a_training_that_somebody_stopped_is_repeated_on_request(lab: Lab) -> None:
    key = lab.make()
    await lab.env.until(lambda: bool(lab.training(key)), "the execution in the status")
    [run] = lab.runs()
    await lab.env.until(partial(lab.has_begun, run, "Preprocess"), "the first job")
    lab.sagemaker.stop_pipeline_execution(
        PipelineExecutionArn=run["PipelineExecutionArn"], ClientRequestToken="stopped-by-somebody-else-than-us"
    )
    await lab.env.until(lambda: lab.runs()[0]["PipelineExecutionStatus"] == "Stopped", "stopped")
    await lab.trained(key, "TrainingStopped")
    lab.hold()
    lab.leave(lab.steps(run)["Preprocess"]["Metadata"])
    lab.env.api.change(key, {"metadata": {"annotations": {"ephemeral-endpoints.io/reconcile-at": "now"}}})
    await lab.finish(0.98, number=2)
    await lab.env.ready(key)


async def test_data_that_is_missing_is_named(lab: Lab) -> None:
    lab.aws.control.patch_sagemaker_settings({"held_jobs": []})
    message = await lab.trained(lab.make(), "DataNotFound")
    # Nothing has prepared any.
    assert "step Train failed" in message
    assert "No S3 objects found" in message


async def test_a_class_that_does_not_allow_it_trains_nothing(lab: Lab) -> None:
    key = lab.make(data={"s3Uri": "s3://others/wine/"})
    assert "does not allow the data" in await lab.trained(key, "NotAllowed")
    assert lab.runs() == []


async def test_a_pipeline_of_another_owner_is_not_touched(lab: Lab) -> None:
    key = lab.make()
    await lab.finish(0.98)
    await lab.env.ready(key)
    [pipeline] = lab.sagemaker.list_pipelines()["PipelineSummaries"]
    tags = [{"Key": "ephemeral-endpoints.io/cluster", "Value": "another"}]
    lab.sagemaker.add_tags(ResourceArn=pipeline["PipelineArn"], Tags=tags)
    await lab.env.restart()
    lab.push(key, "2")
    assert "exists without the tags of this class" in await lab.trained(key, "NameConflict")


async def test_what_does_not_depend_on_the_image_is_made_while_it_is_built(lab: Lab) -> None:
    lab.env.api.change(
        class_key("training"), {"spec": {"builds": {"codeBuild": {"project": "builder"}, "allowTags": True}}}
    )
    key = lab.make(image={"build": {"context": "."}, "uri": None})
    await lab.env.until(lambda: len(lab.sagemaker.list_pipelines()["PipelineSummaries"]) == 1, "a pipeline")
    await lab.trained(key, "TrainingWaiting")
    assert _pipeline_calls(lab)["CreateModelPackageGroup"] == 1
    assert lab.runs() == []
    lab.push(key, "1")
    lab.env.api.change(key, {"spec": {"model": {"training": {"image": {"build": None}}}}})
    await lab.env.until(lambda: len(lab.runs()) == 1, "an execution")
    made = _pipeline_calls(lab)
    names = ("CreateModelPackageGroup", "DescribePipeline", "CreatePipeline", "ListPipelineVersions")
    assert {made[each] for each in names} == {1}, "nothing is made twice"


async def test_nothing_is_made_for_an_image_that_the_class_does_not_build(lab: Lab) -> None:
    key = lab.make(image={"build": {"context": "."}, "uri": None})
    await lab.env.reason(key, "BuildsNotAllowed", "ImageReady")
    await lab.trained(key, "TrainingWaiting")
    assert not _pipeline_calls(lab)


async def test_a_definition_that_sagemaker_refuses_waits_for_another_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = spec_of(trained()).definition.text
    bad, worse = (good.replace("Parameters.VolumeSizeInGB", f"Parameters.{each}") for each in ("Nowhere", "Elsewhere"))
    written = [bad]

    async def data(_: ConfigMaps, namespace: str, name: str) -> Mapping[str, str]:
        assert (namespace, name) == ("nlp", "pipeline")
        return {"pipeline.json": written[-1]}

    # The dictionary in place of the API server has no ConfigMaps.
    monkeypatch.setattr(ConfigMaps, "data", data)
    key = lab.make(pipeline={"configMapRef": {"name": "pipeline", "key": "pipeline.json"}})
    message = await lab.trained(key, "DefinitionInvalid")
    assert message.startswith("SageMaker refuses the definition in the ConfigMap pipeline, key pipeline.json: Create")
    assert "Nowhere" in message
    asked = _pipeline_calls(lab)
    lab.env.clock.advance(3600)
    await lab.env.refresh(key)
    assert await lab.trained(key, "DefinitionInvalid") == message
    assert _pipeline_calls(lab) == asked, "the same is not asked for again"
    lab.env.api.change(key, {"metadata": {"annotations": {"ephemeral-endpoints.io/reconcile-at": "now"}}})
    await lab.env.rest()
    assert _pipeline_calls(lab)["CreatePipeline"] == asked["CreatePipeline"] + 1, "it is on request"
    written.append(good)
    await lab.env.refresh(key)
    await lab.trained(key, "TrainingRunning")
    written.append(worse)
    await lab.env.refresh(key)
    assert "key pipeline.json: UpdatePipeline" in await lab.trained(key, "DefinitionInvalid")
    written.append(good)
    await lab.env.refresh(key)
    await lab.trained(key, "TrainingRunning")
    assert [each["PipelineExecutionStatus"] for each in lab.runs()] == ["Executing"], "what is refused stops nothing"


async def test_the_log_of_a_job_that_failed_is_read_until_it_has_arrived(lab: Lab) -> None:
    # Nobody can pull the image: it has no layers.
    lab.aws.control.patch_sagemaker_settings({"held_jobs": [], "containers": "on"})
    key = lab.make()
    message = await lab.trained(key, "JobFailed")
    assert "step Preprocess failed: ClientError" in message
    [run] = lab.runs()
    arn = lab.steps(run)["Preprocess"]["Metadata"]["ProcessingJob"]["Arn"]
    job = lab.processing_job(arn)["ProcessingJobName"]
    assert not arn.endswith(job), "ARNs have names in lower case"
    lab.log(f"{job}/algo-1-1", "Traceback (most recent call last):", "ZeroDivisionError: division by zero")
    lab.env.clock.advance(job_log.PAUSES[-1])  # a slow machine may have read it more than once
    await lab.env.refresh(key)
    assert lab.env.condition(key, "Trained")["message"] == (
        f"{message}; last lines of the log: Traceback (most recent call last): | ZeroDivisionError: division by zero"
    )


DENIED = FaultError(code="AccessDeniedException", message="not authorized to perform it", status=400)


async def test_the_failure_of_a_job_whose_log_may_not_be_read_stays_the_reason(lab: Lab) -> None:
    lab.aws.control.patch_sagemaker_settings({"held_jobs": [], "containers": "on"})
    lab.aws.control.add_faults(Fault(service="logs", operation="DescribeLogStreams", error=DENIED))
    key = lab.make()
    message = await lab.trained(key, "JobFailed")
    assert "step Preprocess failed: ClientError" in message
    assert "the operator could not read the log of the job: DescribeLogStreams: not authorized to perform it" in message
    assert "a platform engineer must grant the access; the operator tries again within 5 minutes" in message
    lab.aws.control.clear_faults()
    [run] = lab.runs()
    job = lab.processing_job(lab.steps(run)["Preprocess"]["Metadata"]["ProcessingJob"]["Arn"])["ProcessingJobName"]
    lab.log(f"{job}/algo-1-1", "ZeroDivisionError: division by zero")
    lab.env.clock.advance(LONGEST_SECONDS)
    await lab.env.refresh(key)
    healed = lab.env.condition(key, "Trained")
    assert healed["reason"] == "JobFailed"
    assert healed["message"].endswith("; last lines of the log: ZeroDivisionError: division by zero")
    assert "could not read" not in healed["message"]


async def test_figures_that_may_not_be_found_leave_the_gate_the_reason(lab: Lab) -> None:
    key = lab.make()
    await lab.finish(0.61, faults=[Fault(service="sagemaker", operation="ListProcessingJobs", error=DENIED)])
    message = await lab.trained(key, "GateFailed")
    assert f"{METRIC} is an unknown value, but at least 0.8 is required" in message
