import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.fixtures.sagemaker_jobs import Jobs


def test_every_object_below_the_prefix_is_answered(jobs: "Jobs") -> None:
    place = jobs.put({"in/a.csv": "1\n2\n", "in/b/c.csv": "3\n", "in/b/": ""})
    name = jobs.transform(
        f"{place}in/",
        f"{place}out",
        given={"SplitType": "Line", "ContentType": "text/csv"},
        output={"AssembleWith": "Line"},
        BatchStrategy="SingleRecord",
        MaxConcurrentTransforms=4,
    )
    job = jobs.transformed(name)
    assert job["TransformJobStatus"] == "Completed"
    assert jobs.keys(f"{place}out/") == ["a.csv.out", "b/c.csv.out"]
    assert jobs.body(f"{place}out/a.csv.out") == b"[1]\n[2]\n"
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    assert jobs.log("TransformJobs", name) == ["listening"]
    listed = jobs.sagemaker.list_transform_jobs(NameContains=name, StatusEquals="Completed")["TransformJobSummaries"]
    assert [each["TransformJobName"] for each in listed] == [name]


def test_the_model_is_told_that_it_is_a_batch(jobs: "Jobs") -> None:
    place = jobs.put({"in": "show"})
    name = jobs.transform(f"{place}in", place, given={"ContentType": "text/csv"})
    assert jobs.transformed(name)["TransformJobStatus"] == "Completed"
    shown = json.loads(jobs.body(f"{place}in.out"))
    assert shown == {"SAGEMAKER_BATCH": "true", "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD", "type": "text/csv"}


def test_an_object_that_the_model_refuses_fails_the_job_after_the_others(jobs: "Jobs") -> None:
    place = jobs.put({"in/a": "bad", "in/b": "good"})
    name = jobs.transform(f"{place}in/", f"{place}out/")
    job = jobs.transformed(name)
    assert (job["TransformJobStatus"], job["FailureReason"]) == (
        "Failed",
        "AlgorithmError: See job logs for more information",
    )
    assert jobs.keys(f"{place}out/") == ["b.out"]
    assert "Bad HTTP status received from algorithm: 400" in jobs.log("TransformJobs", name)


def test_a_job_without_data_fails(jobs: "Jobs") -> None:
    place = jobs.put({})
    job = jobs.transformed(jobs.transform(f"{place}in/", f"{place}out/"))
    assert job["FailureReason"].startswith("ClientError: No S3 objects found")


def test_a_job_is_stopped_and_its_name_stays_taken(jobs: "Jobs") -> None:
    jobs.settings(held_jobs=["t-*"])
    place = jobs.put({"in": "1"})
    name = jobs.transform(f"{place}in", place)
    jobs.sagemaker.stop_transform_job(TransformJobName=name)
    assert jobs.transformed(name)["TransformJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="is in status Stopped"):
        jobs.sagemaker.stop_transform_job(TransformJobName=name)
    with pytest.raises(ClientError, match="ResourceInUse"):
        jobs.transform(f"{place}in", place, TransformJobName=name)
    with pytest.raises(ClientError, match="Could not find model"):
        jobs.transform(f"{place}in", place, ModelName="none")
