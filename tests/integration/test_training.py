"""Pipelines of users on real parts: definitions from a ConfigMap, and containers that fail, hang and train."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes.client import V1ConfigMap, V1ObjectMeta
from tests.fixtures.operator import Bench
from tests.fixtures.waiting import eventually

from eep_platform import bootstrap
from eep_platform.workbench import condition
from ephemeral_endpoints.features.training.pipelines import JOB_LOGS

KEY = "pipeline.json"
PARAMETERS = ("ImageUri", "RoleArn", "InstanceType", "ArtifactsS3Uri", "ModelPackageGroupName")
TRAINS = "open('/opt/ml/model/weights', 'w').write('1')"
HANGS = "import time; time.sleep(3600)"
GRACE_PACE = 30.0
"""HANGS ignores SIGTERM, as the first process of a container does: SageMaker kills it after two minutes, here four
seconds. The limit of a job of a day is still most of an hour."""
FAILS = "open('/opt/ml/output/failure', 'w').write('no convergence'); 1 / 0"


def got(name: str) -> dict[str, str]:
    return {"Get": f"Parameters.{name}"}


def training(code: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A step whose container runs this code."""
    algorithm = {
        "TrainingImage": got("ImageUri"),
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["python", "-c", code],
    }
    needed = {
        "AlgorithmSpecification": algorithm,
        "OutputDataConfig": {"S3OutputPath": got("ArtifactsS3Uri")},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": got("InstanceType"), "VolumeSizeInGB": 1},
        "RoleArn": got("RoleArn"),
        "StoppingCondition": {"MaxRuntimeInSeconds": 86_400},
    }
    return {"Name": "Train", "Type": "Training", "Arguments": {**needed, **arguments}}


def definition(*steps: Mapping[str, Any]) -> str:
    declared = [{"Name": name, "Type": "String"} for name in PARAMETERS]
    return json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": declared, "Steps": steps})


def registration() -> dict[str, Any]:
    model = {"Image": got("ImageUri"), "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}}
    specification = {"Containers": [model], "SupportedContentTypes": ["text/plain"]}
    arguments = {"ModelPackageGroupName": got("ModelPackageGroupName"), "InferenceSpecification": specification}
    return {"Name": "Register", "Type": "RegisterModel", "Arguments": arguments}


@dataclass(frozen=True)
class Lab:
    """An object whose pipeline is in a ConfigMap, and the class that trains it."""

    bench: Bench
    name: str

    def apply(self) -> None:
        spec = {
            "image": {"uri": self.bench.image},
            "data": {"s3Uri": f"s3://{bootstrap.DATA_BUCKET}/{self.name}/", "revision": "1"},
            "resources": {"instanceType": "ml.m5.large"},
            "pipeline": {"configMapRef": {"name": "pipeline", "key": KEY}},
            "gate": {"metric": "accuracy", "atLeast": "0.8"},
            "register": {"group": self.name},
        }
        source = {"repository": "acme/wine", "revision": "6dcd4ce23d88e2ee9568ba546c007c63d9131c1b"}
        self.bench.apply("pr", self.bench.spec(className=self.name, source=source, model={"training": spec}))

    def write(self, text: str) -> None:
        """What the ConfigMap has from now on."""
        body = V1ConfigMap(metadata=V1ObjectMeta(name="pipeline"), data={KEY: text})
        core, namespace = self.bench.core, self.bench.namespace
        if core.list_namespaced_config_map(namespace, field_selector="metadata.name=pipeline").items:
            core.replace_namespaced_config_map("pipeline", namespace, body)
        else:
            core.create_namespaced_config_map(namespace, body)

    def says(self, reason: str, *words: str) -> None:
        """Wait until the condition has a reason, and a message with these words."""
        found: dict[str, Any] = {}

        def is_said() -> bool:
            found.update(condition(self.bench.get("pr") or {"status": {}}, "Trained"))
            return found.get("reason") == reason and all(word in found["message"] for word in words)

        try:
            eventually(is_said, f"{reason}: {words}")
        finally:
            assert is_said(), found

    def runs(self) -> list[str]:
        """The statuses of all executions, the oldest first."""
        sagemaker, found = self.bench.aws("sagemaker"), []
        for each in sagemaker.list_pipelines()["PipelineSummaries"]:
            if self.name in each["PipelineName"]:
                listed = sagemaker.list_pipeline_executions(PipelineName=each["PipelineName"], SortOrder="Ascending")
                found += [run["PipelineExecutionStatus"] for run in listed["PipelineExecutionSummaries"]]
        return found


@pytest.fixture
def lab(bench: Bench) -> Iterator[Lab]:
    bootstrap.event_queue(bench.aws("sqs"), bench.aws("events"))
    bench.control.patch_sagemaker_settings({"job_seconds_per_second": GRACE_PACE})
    made = Lab(bench, bench.namespace)
    policy = {
        "executionRoleArn": f"arn:aws:iam::{bench.platform.account}:role/ephemeral-endpoints-training",
        "artifacts": f"s3://{bootstrap.ARTIFACTS_BUCKET}/artifacts",
        "data": [f"s3://{bootstrap.DATA_BUCKET}/{made.name}"],
        "instanceTypes": ["ml.m5.*"],
    }
    bench.make_class(
        made.name,
        events={"queueName": bootstrap.EVENT_QUEUE},
        training=policy,
        packages={"groups": [made.name]},
    )
    yield made
    bench.delete("pr")
    bench.wait_gone("pr")
    bench.delete_class(made.name)
    logs = bench.aws("logs")
    for group in JOB_LOGS.values():  # shared by all jobs of an account
        with suppress(logs.exceptions.ResourceNotFoundException):
            logs.delete_log_group(logGroupName=group)


def test_a_definition_in_a_configmap_is_judged_run_superseded_and_served(lab: Lab) -> None:
    lab.apply()
    lab.says("DefinitionInvalid", "the ConfigMap pipeline does not exist: create it")
    lab.write("{")
    lab.says("DefinitionInvalid", "the ConfigMap pipeline, key pipeline.json, cannot be used: it is no JSON")
    lab.write(definition({**training(TRAINS), "DependsOn": ["Register"]}, registration()))
    lab.says("DefinitionInvalid", "its steps need one another in a circle")
    role = f"arn:aws:iam::{lab.bench.platform.account}:role/ephemeral-endpoints-execution"
    lab.write(definition(training(TRAINS, RoleArn=role), registration()))
    lab.says("DefinitionInvalid", "each RoleArn must be")
    lab.write(definition(training(TRAINS, HyperParameters={"depth": got("Depth")}), registration()))
    lab.says("DefinitionInvalid", "SageMaker refuses the definition in the ConfigMap pipeline", "Depth")
    assert lab.runs() == []
    lab.write(definition(training(HANGS), registration()))
    lab.says("TrainingRunning", "Train Executing")
    lab.write(definition(training(FAILS), registration()))
    told = ("AlgorithmError: no convergence, exit code: 1", "last lines of the log", "ZeroDivisionError")
    lab.says("JobFailed", "step Train failed", *told)
    # A run that is stopped ends once its job has had its grace.
    eventually(lambda: lab.runs() == ["Stopped", "Failed"], "the end of the run that was superseded")
    lab.write(definition(training(TRAINS), registration()))
    lab.bench.wait_ready("pr")
    lab.says("TrainingSucceeded")
    assert lab.runs() == ["Stopped", "Failed", "Succeeded"]
