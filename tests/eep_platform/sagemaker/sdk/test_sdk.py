"""The embedded SageMaker as the SageMaker SDK finds it."""

import json
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from model.datasets import load
from tests.eep_platform.sagemaker.conftest import ACCOUNT, REGION, ROLE
from tests.fixtures.sdk import ROOT, Sdk

from eep_platform.containers import registry
from eep_platform.containers.image import BuiltImage

if TYPE_CHECKING:
    from tests.fixtures.sagemaker_jobs import Jobs

pytestmark = pytest.mark.sdk

GROUP, REPOSITORY = "sdk-cancer", "jobs/model"
PROGRAM = Path(__file__).with_name("data_scientist.py")
DIGEST = "sha256:" + "0" * 64
LINEAGE = {"repository": "acme/cancer", "revision": "0123abc", "imageDigest": DIGEST, "dataRevision": "2026-11-30"}


@pytest.fixture(scope="module")
def told(running_jobs: "Jobs", model_image: BuiltImage, sdk: Sdk, tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 - as typed as JSON
    """What the SDK tells, of one process that does it all: to import it takes most of the time."""
    host = running_jobs.aws_url.removeprefix("http://")
    running_jobs.aws("ecr").create_repository(repositoryName=REPOSITORY)
    digest = registry.push(model_image, registry=host, repository=REPOSITORY, tag="1")
    folder = tmp_path_factory.mktemp("data")
    load("breast_cancer").write(folder, "data")
    parameters = {
        "ImageUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}@{digest}",
        "ImageDigest": DIGEST,
        "DataS3Uri": running_jobs.put({"data.csv": (folder / "data.csv").read_text()}),
        "ArtifactsS3Uri": "s3://jobs/sdk",
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 10,
        "MaxRuntimeInSeconds": 3600,
        "ModelApprovalStatus": "PendingManualApproval",
        "Repository": LINEAGE["repository"],
        "Revision": LINEAGE["revision"],
        "DataRevision": LINEAGE["dataRevision"],
        "seed": "11",
    }
    given = {
        "bucket": "jobs",
        "role": ROLE,
        "worker": running_jobs.image,
        "rows": running_jobs.put({"rows.csv": "1\n2\n3\n4"}),
        "group": GROUP,
        "parameters": parameters,
    }
    variables = {
        "AWS_ENDPOINT_URL": running_jobs.aws_url,
        "AWS_ENDPOINT_URL_SAGEMAKER": running_jobs.url,
        "PYTHONPATH": str(ROOT),
    }
    return json.loads(sdk.run([str(PROGRAM), json.dumps(given)], variables)[-1])


def test_a_processing_job_parts_the_data(told: Mapping[str, Any], running_jobs: "Jobs") -> None:
    assert told["processing"]["status"] == "Completed"
    parts = [running_jobs.body(f"{uri}/rows.csv").decode() for uri in told["processing"]["outputs"]]
    assert parts == ["1\n3", "2\n4"]


def test_a_training_job_leaves_its_model(told: Mapping[str, Any], running_jobs: "Jobs") -> None:
    training = told["training"]
    assert training["status"] == "Completed"
    assert json.loads(running_jobs.packed(training["artifact"])["model.json"]) == ["1", "2", "3", "4"]


def test_the_reason_of_a_failure_reaches_who_waits(told: Mapping[str, Any]) -> None:
    assert "the loss is not finite" in told["training"]["failure"]


def test_a_training_job_can_be_stopped(told: Mapping[str, Any]) -> None:
    assert told["training"]["stopped"] == "Stopped"


def test_all_training_jobs_are_listed(told: Mapping[str, Any]) -> None:
    assert told["training"]["listed"] == told["training"]["started"]


def test_the_pipeline_of_the_example_goes_from_data_to_a_package(told: Mapping[str, Any]) -> None:
    first, _, _ = told["pipeline"]["runs"]
    assert first["status"] == "Succeeded"
    assert first["steps"] == dict.fromkeys(("Preprocess", "Train", "Evaluate", "Gate", "Register"), "Succeeded")
    assert not first["cached"]


def test_what_was_trained_is_not_trained_again(told: Mapping[str, Any]) -> None:
    first, second, _ = told["pipeline"]["runs"]
    assert second["status"] == "Succeeded"
    assert sorted(second["cached"]) == ["Evaluate", "Preprocess", "Train"]
    assert (first["package"].rpartition("/")[2], second["package"].rpartition("/")[2]) == ("1", "2")


def test_a_model_below_the_standard_is_refused(told: Mapping[str, Any]) -> None:
    *_, third = told["pipeline"]["runs"]
    assert third["status"] == "Failed"
    assert third["package"] is None
    assert third["reason"] == "multiclass_classification_metrics.accuracy.value is below 1.1"
    assert "terminal failure state" in third["error"]


def test_a_pipeline_is_created_once_and_then_updated(told: Mapping[str, Any]) -> None:
    created, updated = told["pipeline"]["arns"]
    assert created == updated
    assert told["pipeline"]["definition"] is True
    assert told["pipeline"]["listed"] == 3


def test_a_parameter_that_the_pipeline_does_not_have_is_refused(told: Mapping[str, Any]) -> None:
    assert told["pipeline"]["refusal"]["Code"] == "ValidationException"
    assert "Unknown" in told["pipeline"]["refusal"]["Message"]


def test_a_package_tells_what_it_is_and_can_be_approved(told: Mapping[str, Any], running_jobs: "Jobs") -> None:
    package = told["package"]
    assert (package["group"], package["version"], package["groups"]) == (GROUP, 1, [GROUP])
    assert package["lineage"] == LINEAGE
    assert package["approvals"] == ["PendingManualApproval", "Approved"]
    report = json.loads(running_jobs.body(package["metrics"]))
    assert report["multiclass_classification_metrics"]["accuracy"]["value"] > 0.9
    with tarfile.open(fileobj=BytesIO(running_jobs.body(package["artifact"]))) as archive:
        assert {"columns.json", "metrics.json", "model.joblib"} <= {Path(name).name for name in archive.getnames()}
