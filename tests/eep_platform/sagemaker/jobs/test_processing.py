import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from tests.eep_platform.sagemaker.conftest import eventually
from tests.fixtures.sagemaker_jobs import BUCKET

if TYPE_CHECKING:
    from tests.fixtures.sagemaker_jobs import Jobs


def test_data_goes_from_step_to_step(jobs: "Jobs") -> None:
    """What a pipeline does, by hand: preprocess, train, evaluate."""
    place = jobs.put({"raw/rows.csv": "1\n2\n3\n4"})
    parts = {part: f"{place}{part}" for part in ("train", "test")}
    prepared = jobs.process("preprocess", inputs={"input": f"{place}raw/"}, outputs=parts)
    assert jobs.processed(prepared)["ProcessingJobStatus"] == "Completed"
    assert jobs.log("ProcessingJobs", prepared) == ["4 rows"]
    model = jobs.trained(jobs.train(f"{parts['train']}/"))["ModelArtifacts"]["S3ModelArtifacts"]
    evaluated = jobs.process(
        "evaluate",
        inputs={"model": model, "test": f"{parts['train']}/"},
        outputs={"evaluation": f"{place}evaluation"},
    )
    job = jobs.processed(evaluated)
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Completed", "accuracy 1.0")
    report = json.loads(jobs.body(f"{place}evaluation/evaluation.json"))
    assert report["multiclass_classification_metrics"]["accuracy"]["value"] == pytest.approx(1.0)


def test_a_job_finds_its_request_and_runs_as_docker_would(jobs: "Jobs") -> None:
    place = jobs.put({})
    app = {"ContainerEntrypoint": ["python", "/opt/program/worker.py"], "ContainerArguments": ["show", "a b"]}
    name = jobs.process(outputs={"facts": place}, app=app, Environment={"LEVEL": "debug"})
    job = jobs.processed(name)
    assert job["ProcessingJobStatus"] == "Completed"
    facts = json.loads(jobs.body(f"{place}facts.json"))
    assert facts["arguments"] == ["show", "a b"]
    assert facts["environment"]["LEVEL"] == "debug"
    config = json.loads(facts["files"]["config/processingjobconfig.json"])
    assert (config["ProcessingJobName"], config["ProcessingJobArn"]) == (name, job["ProcessingJobArn"])
    assert json.loads(facts["files"]["config/resourceconfig.json"])["hosts"] == ["algo-1"]
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]


def test_a_job_that_fails_says_why_and_stores_nothing(jobs: "Jobs") -> None:
    place = jobs.put({})
    job = jobs.processed(jobs.process("fail", outputs={"evaluation": place}))
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: nothing to do, exit code: 4"
    assert job["ExitMessage"] == "nothing to do"
    assert jobs.keys(place) == []


@pytest.mark.parametrize("bucket", [BUCKET, "no-such-bucket"])
def test_a_job_without_data_fails(jobs: "Jobs", bucket: str) -> None:
    job = jobs.processed(jobs.process("preprocess", inputs={"input": f"s3://{bucket}/nothing/here/"}))
    assert job["FailureReason"].startswith("ClientError: Data download failed:No S3 objects found under S3 URL")


def test_a_job_can_be_stopped_and_deleted(jobs: "Jobs") -> None:
    jobs.settings(held_jobs=["t-*"])
    name, sagemaker = jobs.process("show"), jobs.sagemaker
    listed = sagemaker.list_processing_jobs(NameContains=name, StatusEquals="InProgress")["ProcessingJobSummaries"]
    assert [each["ProcessingJobName"] for each in listed] == [name]
    with pytest.raises(ClientError, match="ResourceInUse"):
        sagemaker.delete_processing_job(ProcessingJobName=name)
    sagemaker.stop_processing_job(ProcessingJobName=name)
    assert jobs.processed(name)["ProcessingJobStatus"] == "Stopped"
    sagemaker.delete_processing_job(ProcessingJobName=name)
    with pytest.raises(ClientError, match=f"Could not find requested job with name: {name}"):
        sagemaker.describe_processing_job(ProcessingJobName=name)


def test_outputs_can_be_stored_while_a_job_runs(jobs: "Jobs") -> None:
    jobs.settings(side_channel_seconds=0.01)
    place, name = jobs.put({}), jobs.name()
    output: Any = {"S3Uri": place, "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "Continuous"}
    script = "echo 1 > /opt/ml/processing/out/part; sleep 600"
    jobs.sagemaker.create_processing_job(
        ProcessingJobName=name,
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": output}]},
        ProcessingResources={
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
        },
        AppSpecification={"ImageUri": jobs.image, "ContainerEntrypoint": ["sh", "-c", script]},
        RoleArn="arn:aws:iam::000000000000:role/execution",
    )
    eventually(lambda: jobs.keys(place) == ["part"], "the file is stored")
    jobs.settings(job_seconds_per_second=10_000)
    jobs.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert jobs.processed(name)["ProcessingJobStatus"] == "Stopped"
