import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from botocore.exceptions import ClientError
from tests.eep_platform.sagemaker.conftest import ROLE, client, eventually, served
from tests.fixtures.sagemaker_jobs import BUCKET, IMAGE, facts_of

from eep_platform import processes
from eep_platform.containers.process_runtime import ProcessRuntime
from eep_platform.paths import cache_dir

if TYPE_CHECKING:
    from tests.fixtures.sagemaker_jobs import Jobs

GONE = "never-pushed"


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call()
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def training(jobs: "Jobs", **hyperparameters: str) -> str:
    """A job whose container has begun to work."""
    name = jobs.train(hyperparameters=hyperparameters)
    eventually(lambda: "training" in lines(jobs, name), "the container works")
    return name


def lines(jobs: "Jobs", name: str) -> list[str]:
    try:
        return jobs.log("TrainingJobs", name)
    except ClientError:
        return []


def outputs(jobs: "Jobs", name: str) -> list[str]:
    return jobs.keys(f"s3://{BUCKET}/models/{name}/output/")


def test_a_job_finds_its_input_where_sagemaker_puts_it_and_leaves_a_model(jobs: "Jobs") -> None:
    data = jobs.put({"a.csv": "1\n2", "b/c.csv": "3", "b/": ""})
    quoted = {"seed": "7", "text": "$(id) \"'\\ {}"}
    job = jobs.trained(jobs.train(data, hyperparameters=quoted, Environment={"LEVEL": "debug"}))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert "FailureReason" not in job
    name, arn = job["TrainingJobName"], job["TrainingJobArn"]
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/models/{name}/output/model.tar.gz"
    assert jobs.packed(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"model.json": '["1", "2", "3"]'}
    facts = facts_of(jobs.packed(f"s3://{BUCKET}/models/{name}/output/output.tar.gz"))
    assert facts["arguments"] == ["train"], "SageMaker replaces CMD"
    assert (
        facts["environment"].items() >= {"TRAINING_JOB_NAME": name, "TRAINING_JOB_ARN": arn, "LEVEL": "debug"}.items()
    )
    assert "SM_MODEL_DIR" not in facts["environment"], "it is a toolkit's"
    assert facts["interfaces"] == ["lo"], "it reaches nothing of this machine"
    files = facts["files"]
    assert json.loads(files["input/config/hyperparameters.json"]) == quoted
    assert json.loads(files["input/config/inputdataconfig.json"]) == {
        "train": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    }
    assert json.loads(files["input/config/resourceconfig.json"])["hosts"] == ["algo-1"]
    assert (files["input/data/train/a.csv"], files["input/data/train/b/c.csv"]) == ("1\n2", "3")
    assert "code/worker.py" in files, "what the image has there stays"


def test_a_jobs_states_are_told_with_their_times(jobs: "Jobs") -> None:
    job = jobs.trained(jobs.train())
    transitions = job["SecondaryStatusTransitions"]
    phases = ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [each["Status"] for each in transitions] == phases
    assert [each["EndTime"] for each in transitions[:-1]] == [each["StartTime"] for each in transitions[1:]]
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] == job["LastModifiedTime"]
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] >= 1


def test_what_a_job_prints_is_logged_and_measured(jobs: "Jobs") -> None:
    definitions = [{"Name": "loss", "Regex": "val_loss=([0-9.]+);"}, {"Name": "never", "Regex": "accuracy=(.*)"}]
    algorithm = {"TrainingImage": jobs.image, "TrainingInputMode": "File", "MetricDefinitions": definitions}
    name = jobs.train(AlgorithmSpecification=algorithm, hyperparameters={"losses": "0.5 0.25"})
    job = jobs.trained(name)
    assert [(each["MetricName"], each["Value"]) for each in job["FinalMetricDataList"]] == [("loss", 0.25)]
    assert jobs.log("TrainingJobs", name) == ["epoch=1 val_loss=0.5;", "epoch=2 val_loss=0.25;"]
    metrics = jobs.aws("cloudwatch").list_metrics(Namespace="/aws/sagemaker/TrainingJobs", MetricName="loss")
    assert [{"Name": "TrainingJobName", "Value": name}] in [each["Dimensions"] for each in metrics["Metrics"]]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        pytest.param(
            "no convergence", "AlgorithmError: no convergence, exit code: 3", id="its words and its exit code"
        ),
        pytest.param("x" * 2500, "AlgorithmError: " + "x" * 1008, id="at most 1,024 characters"),
    ],
)
def test_a_job_that_fails_says_why_and_leaves_no_model(jobs: "Jobs", reason: str, told: str) -> None:
    name = jobs.train(hyperparameters={"then": "fail", "reason": reason})
    job = jobs.trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"] == told
    assert "ModelArtifacts" not in job
    assert outputs(jobs, name) == ["output.tar.gz"]


def test_a_job_that_is_stopped_may_still_save_its_model(jobs: "Jobs") -> None:
    name = training(jobs, then="hang")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    job = jobs.trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert [each["Status"] for each in job["SecondaryStatusTransitions"]][-2:] == ["Stopping", "Stopped"]
    assert jobs.packed(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"model.json": "[]"}
    refusal = ("ValidationException", "The request was rejected because the training job is in status Stopped.")
    assert refused(lambda: jobs.sagemaker.stop_training_job(TrainingJobName=name)) == refusal


def test_a_job_that_does_not_stop_is_killed_after_two_minutes(jobs: "Jobs") -> None:
    name = training(jobs, then="ignore SIGTERM")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "Stopping"
    jobs.settings(job_seconds_per_second=10_000)
    assert jobs.trained(name)["TrainingJobStatus"] == "Stopped"
    assert outputs(jobs, name) == [], "it has left nothing"


def test_a_job_that_runs_for_too_long_is_stopped(jobs: "Jobs") -> None:
    jobs.settings(job_seconds_per_second=1e-6)
    name = jobs.train(hyperparameters={"then": "hang"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    eventually(lambda: "training" in lines(jobs, name), "the container works, and can save what it has")
    jobs.settings(job_seconds_per_second=1)
    job = jobs.trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "model.tar.gz" in outputs(jobs, name)


def test_a_job_that_has_not_started_is_stopped_at_once(jobs: "Jobs") -> None:
    jobs.settings(held_jobs=["t-*"])
    name = jobs.train()
    assert jobs.sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Starting"
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    job = jobs.trained(name)
    assert (job["TrainingJobStatus"], outputs(jobs, name)) == ("Stopped", [])
    assert "TrainingStartTime" not in job


def test_nothing_of_this_machine_leaves_by_links(jobs: "Jobs") -> None:
    name = jobs.train(hyperparameters={"then": "leave links"})
    job = jobs.trained(name)
    assert job["TrainingJobStatus"] == "Completed"
    assert outputs(jobs, name) == ["model.tar.gz"]
    assert list(jobs.packed(job["ModelArtifacts"]["S3ModelArtifacts"])) == ["model.json"]


def test_a_user_other_than_root_cannot_write_what_belongs_to_root(jobs: "Jobs", nobodys_image: str) -> None:
    algorithm = {"TrainingImage": nobodys_image, "TrainingInputMode": "File"}
    name = jobs.train(AlgorithmSpecification=algorithm)
    assert jobs.trained(name)["FailureReason"] == "AlgorithmError: , exit code: 1"
    assert re.search(r"(PermissionError|OSError).*/opt/ml/output/data", jobs.log("TrainingJobs", name)[-1])


@pytest.mark.parametrize(
    ("image", "entrypoint", "reason"),
    [
        pytest.param(f"{IMAGE}:{GONE}", None, "ClientError: Cannot pull algorithm container", id="no such image"),
        pytest.param(f"{IMAGE}:1", ["nothing"], "ClientError: CannotStartContainerError", id="no such program"),
    ],
)
def test_an_image_that_cannot_run_fails_the_job(
    jobs: "Jobs", image: str, entrypoint: list[str] | None, reason: str
) -> None:
    algorithm: dict[str, Any] = {"TrainingImage": image, "TrainingInputMode": "File"}
    algorithm |= {"ContainerEntrypoint": entrypoint} if entrypoint else {}
    assert jobs.trained(jobs.train(AlgorithmSpecification=algorithm))["FailureReason"].startswith(reason)


def test_a_type_without_capacity_fails_the_job(jobs: "Jobs") -> None:
    jobs.settings(capacity_shortages=["ml.m5.large"])
    assert jobs.trained(jobs.train())["FailureReason"].startswith("CapacityError: ")


def test_a_job_without_data_is_refused(jobs: "Jobs") -> None:
    for uri in (f"s3://{BUCKET}/nothing/here/", "s3://no-such-bucket/data/"):
        code, message = refused(lambda uri=uri: jobs.train(uri))  # type: ignore[misc] # a lambda's default
        assert code == "ValidationException"
        assert message.startswith(f'No S3 objects found under S3 URL "{uri}" given in input data source.')
        assert ROLE in message


def test_a_prefix_is_no_folder(jobs: "Jobs") -> None:
    data = jobs.put({"train/a": "1", "train2/b": "2"})
    job = jobs.trained(jobs.train(f"{data}train"))
    assert jobs.packed(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"model.json": '["1", "2"]'}


def test_a_model_can_stay_unpacked(jobs: "Jobs") -> None:
    output = {"S3OutputPath": f"s3://{BUCKET}/models", "CompressionType": "NONE"}
    name = jobs.train(OutputDataConfig=output)
    job = jobs.trained(name)
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/models/{name}/output/model"
    assert outputs(jobs, name) == ["data/facts.json", "model/model.json"]


def has_checkpoint(jobs: "Jobs", place: str) -> bool:
    """Whether it is there as a whole: a file may be stored while it is written."""
    return jobs.keys(place) == ["epoch"] and jobs.body(f"{place}epoch") == b"2"


def test_checkpoints_go_on_where_they_ended_and_are_stored_meanwhile(jobs: "Jobs") -> None:
    jobs.settings(side_channel_seconds=0.01)
    place = jobs.put({})
    spot: Any = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 3600},
        "CheckpointConfig": {"S3Uri": place},
    }
    first = jobs.train(hyperparameters={"then": "hang"}, **spot)
    eventually(lambda: has_checkpoint(jobs, place), "the checkpoint is stored while the job runs")
    jobs.sagemaker.stop_training_job(TrainingJobName=first)
    jobs.trained(first)
    second = jobs.train(**spot)
    assert jobs.trained(second)["EnableManagedSpotTraining"]
    assert jobs.body(f"{place}epoch") == b"4"
    assert jobs.log("TrainingJobs", second)[0].startswith("epoch=3")


def test_a_job_that_loses_its_spot_instance_starts_again_from_its_checkpoint(jobs: "Jobs") -> None:
    jobs.settings(side_channel_seconds=0.01)
    place = jobs.put({})
    name = jobs.train(
        hyperparameters={"then": "hang"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 3600},
        CheckpointConfig={"S3Uri": place},
    )
    eventually(lambda: has_checkpoint(jobs, place), "the checkpoint is stored")
    interrupt = f"{jobs.url}/_sagemaker/training-jobs/{name}/interrupt"
    assert requests.post(interrupt, timeout=60).status_code == 204
    eventually(lambda: jobs.body(f"{place}epoch") == b"4", "it goes on where the checkpoint ended")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    phases = [each["Status"] for each in jobs.trained(name)["SecondaryStatusTransitions"]]
    attempt = ["Starting", "Downloading", "Training"]
    assert phases == [*attempt, "Interrupted", *attempt, "Stopping", "Stopped"]
    assert requests.post(interrupt, timeout=60).status_code == 400


def test_a_job_that_waits_for_a_spot_instance_for_too_long_is_stopped(jobs: "Jobs") -> None:
    jobs.settings(held_jobs=["t-*"], job_seconds_per_second=10_000)
    limits = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 60}
    job = jobs.trained(jobs.train(EnableManagedSpotTraining=True, StoppingCondition=limits))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")


def test_the_end_of_the_service_ends_its_jobs(jobs: "Jobs", ministack: str, tmp_path: Path) -> None:
    with served(ProcessRuntime(cache_dir() / "store", tmp_path), ministack, tmp_path) as url:
        request = jobs.training(hyperparameters={"then": "ignore SIGTERM"})
        client("sagemaker", url).create_training_job(**request)
        eventually(lambda: list((tmp_path / "run").glob("job-*.json")), "the container runs")
    assert processes.stop_all(tmp_path) == 0
    assert list((tmp_path / "jobs").glob("*")) == []


def test_a_name_is_free_only_after_its_job_was_deleted(jobs: "Jobs") -> None:
    jobs.settings(held_jobs=["t-*"])
    request = jobs.training(Tags=[{"Key": "owner", "Value": "me"}])
    arn = jobs.sagemaker.create_training_job(**request)["TrainingJobArn"]
    name = request["TrainingJobName"]
    code, message = refused(lambda: jobs.sagemaker.create_training_job(**request))
    assert code == "ResourceInUse"
    assert message.endswith(f"a training job with this name already exists ({arn})")
    assert jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "owner", "Value": "me"}]
    assert refused(lambda: jobs.sagemaker.delete_training_job(TrainingJobName=name))[0] == "ResourceInUse"
    jobs.settings(held_jobs=[])
    jobs.trained(name)
    jobs.sagemaker.delete_training_job(TrainingJobName=name)
    missing = ("ValidationException", "Requested resource not found.")
    assert refused(lambda: jobs.sagemaker.describe_training_job(TrainingJobName=name)) == missing
    jobs.sagemaker.create_training_job(**request)
    jobs.trained(name)


def test_jobs_are_listed_by_status_and_time(jobs: "Jobs") -> None:
    mark = jobs.name()
    names = [jobs.train(TrainingJobName=f"{mark}-{number}") for number in range(2)]
    for name in names:
        jobs.trained(name)
    jobs.settings(held_jobs=[f"{mark}-*"])
    held = jobs.train(TrainingJobName=f"{mark}-held")

    def found(**more: Any) -> list[str]:  # noqa: ANN401 - as typed as JSON and boto3 are
        listed = jobs.sagemaker.list_training_jobs(NameContains=mark, **more)["TrainingJobSummaries"]
        return [each["TrainingJobName"] for each in listed]

    assert found() == [*names, held], "the oldest is the first"
    assert found(SortOrder="Descending", MaxResults=1) == [held]
    assert found(StatusEquals="Completed") == names
    jobs.settings(held_jobs=[])
    jobs.trained(held)


def test_jobs_have_quotas_of_their_own(jobs: "Jobs") -> None:
    kind = "ml.m5.large for training job usage"
    jobs.settings(held_jobs=["t-*"], quotas={"job_instances": {kind: 1}})
    name = jobs.train()
    code, message = refused(jobs.train)
    assert code == "ResourceLimitExceeded"
    assert f"'{kind}' is 1 Instances, with current utilization of 1 Instances" in message
    spot: Any = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 900, "MaxWaitTimeInSeconds": 900},
    }
    other = jobs.train(**spot)
    jobs.settings(held_jobs=[])
    for each in (name, other):
        jobs.trained(each)
    jobs.trained(jobs.train())


def test_each_status_is_announced_on_the_event_bus(jobs: "Jobs") -> None:
    queues, bus = jobs.aws("sqs"), jobs.aws("events")
    queue = queues.create_queue(QueueName=jobs.name())["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = jobs.name()
    kinds = ["SageMaker Training Job State Change", "SageMaker Processing Job State Change"]
    bus.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.sagemaker"], "detail-type": kinds}))
    bus.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": arn}])
    job = jobs.trained(jobs.train(hyperparameters={"then": "fail"}, Tags=[{"Key": "owner", "Value": "me"}]))
    processed = jobs.process("fail")
    jobs.processed(processed)
    found: list[Any] = []

    def four_received() -> bool:
        jobs.flush()
        for message in queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ()):
            event = json.loads(message["Body"])
            name = event["detail"].get("TrainingJobName") or event["detail"]["ProcessingJobName"]
            # Those of earlier jobs may come late, and one that was received may come again.
            found.extend([event] if name in {job["TrainingJobName"], processed} and event not in found else [])
        return len(found) == 4

    eventually(four_received, "four events")
    bus.remove_targets(Rule=rule, Ids=["q"])
    bus.delete_rule(Name=rule)
    statuses = [
        (each["detail-type"], each["detail"].get("TrainingJobStatus") or each["detail"]["ProcessingJobStatus"])
        for each in found
    ]
    assert sorted(statuses) == sorted((kind, status) for kind in kinds for status in ("Failed", "InProgress"))
    failed = next(each["detail"] for each in found if each["detail"].get("TrainingJobStatus") == "Failed")
    assert failed["FailureReason"] == job["FailureReason"]
    assert failed["Tags"] == {"owner": "me"}
    assert failed["TrainingEndTime"] == round(job["TrainingEndTime"].timestamp() * 1000)
