import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.conditions import ConditionStatus
from ephemeral_endpoints.engine.errors import QuotaExceeded, Transient
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.features.training import reasons
from ephemeral_endpoints.features.training.job_log import JobLog
from ephemeral_endpoints.features.training.outcome import Package, Progress, Run, Step, cause_of, number_at
from ephemeral_endpoints.features.training.stage import model_registered, trained

JOB = "arn:aws:sagemaker:us-east-1:123456789012:training-job/pipelines-abc-Train-0123456789"
STEPS = (
    Step("Preprocess", "Succeeded", JOB),
    Step("Train", "Succeeded", JOB),
    Step("Evaluate", "Succeeded", JOB),
    Step("Gate", "Succeeded", outcome="True"),
    Step("Register", "Succeeded", package="arn:…/wine/7"),
)
NO = Progress("accuracy", "0.8")


def run(status: str, *steps: Step, **members: object) -> Progress:
    return replace(NO, run=Run("arn", "name-1", status), steps=steps, **members)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "job", "prefix", "reason"),
    [
        ("Train", "pipelines-a1-train-x9", "pipelines-a1-Train", "its own case is that of the step"),
        ("my_train", "pipelines-a1-my-train-x9", "pipelines-a1-my", "SageMaker has replaced what names may not have"),
        ("T" * 64, f"pipelines-a1-{'t' * 30}-x9", f"pipelines-a1-{'T' * 30}", "a long name is cut"),
        ("_", "pipelines-a1-x9", "pipelines-a1-", "nothing of the step is in it"),
        ("Train", "wine-train", "wine-train", "a definition has named its jobs itself"),
    ],
)
def test_the_log_streams_of_a_job_are_found_by_its_arn(step: str, job: str, prefix: str, reason: str) -> None:
    found = Step(step, "Failed", f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{job}").streams
    assert (found.job, found.prefix) == (job, prefix), reason


@pytest.mark.parametrize(
    ("stream", "is_its", "reason"),
    [
        ("pipelines-a1-Train-X9/algo-1-17", True, "ARNs have names in lower case"),
        ("pipelines-a1-train-x9/algo-1-17", True, "the name may be in lower case"),
        ("pipelines-a1-Train-X99/algo-1-17", False, "another job whose name begins the same"),
        ("pipelines-a1-Train-X9", False, "no host"),
    ],
)
def test_streams_of_other_jobs_tell_nothing(stream: str, *, is_its: bool, reason: str) -> None:
    job = Step("Train", "Failed", "arn:aws:sagemaker:us-east-1:123456789012:training-job/pipelines-a1-train-x9")
    assert job.streams.includes(stream) is is_its, reason


def failed(name: str, failure: str, **members: object) -> Step:
    return Step(name, "Failed", failure=failure, **members)  # type: ignore[arg-type]


REFUSED = (*STEPS[:3], replace(STEPS[3], outcome="False"), failed("Refuse", "accuracy is below 0.8", is_fail=True))
CASES: list[tuple[Progress, Reason, str]] = [
    (NO, reasons.STARTING, "starting the pipeline"),
    (replace(NO, is_waiting=True), reasons.WAITING, "waits for the image"),
    (run("Executing"), reasons.RUNNING, "no step has started"),
    (run("Executing", STEPS[0], Step("Train", "Executing")), reasons.RUNNING, "Preprocess Succeeded, Train Executing"),
    (run("Dancing"), reasons.RUNNING, "running"),
    (run("Stopping"), reasons.STOPPING, "stopping"),
    (run("Stopped"), reasons.STOPPED, "stopped by another client"),
    (run("Succeeded", *STEPS, value=0.98), reasons.SUCCEEDED, "accuracy = 0.98; at least 0.8"),
    (run("Succeeded", *STEPS), reasons.SUCCEEDED, "the model is trained; at least 0.8"),
    (run("Succeeded", *(replace(each, is_cached=True) for each in STEPS)), reasons.CACHED, "trained before"),
    (run("Succeeded", replace(STEPS[0], is_cached=True), *STEPS[1:]), reasons.SUCCEEDED, "is trained"),
    (run("Failed", *REFUSED, value=0.61), reasons.GATE_FAILED, "accuracy is 0.61, but at least 0.8 is required"),
    (run("Failed", *REFUSED), reasons.GATE_FAILED, "accuracy is an unknown value"),
    (run("Failed", *STEPS[:3], failed("Gate", "not a number")), reasons.METRIC_MISSING, "step Gate failed: not a"),
    (
        run("Failed", failed("Train", "exit code: 1", job_arn=JOB)),
        reasons.JOB_FAILED,
        "step Train failed: exit code: 1",
    ),
    (
        run("Failed", failed("Train", "exit code: 1", job_arn=JOB), log=JobLog(("one", "two"))),
        reasons.JOB_FAILED,
        "last lines of the log: one | two",
    ),
    (
        run("Failed", failed("Preprocess", "ClientError: No S3 objects found under s3://a/b/", job_arn=JOB)),
        reasons.DATA_NOT_FOUND,
        "No S3 objects found",
    ),
    (
        run("Failed", failed("Preprocess", "ClientError: Access Denied to S3 object", job_arn=JOB)),
        reasons.DATA_DENIED,
        "Access Denied",
    ),
    (
        run("Failed", failed("Train", "AlgorithmError: Access denied to S3", job_arn=JOB), log=JobLog(("mine",))),
        reasons.JOB_FAILED,
        "Access denied",
    ),
    (
        run("Failed", failed("Train", "AlgorithmError: [Errno 28] No space left on device", job_arn=JOB)),
        reasons.JOB_FAILED,
        "No space left on device",
    ),
    (
        run("Failed", failed("Train", "ClientError: Data download failed: No space left on device", job_arn=JOB)),
        reasons.JOB_FAILED,
        "Data download failed",
    ),
    (
        run("Failed", failed("Train", "CapacityError: Unable to provision requested ML compute capacity", job_arn=JOB)),
        reasons.JOB_FAILED,
        "CapacityError",
    ),
    (
        run("Failed", failed("Train", "exit code: 1", job_arn=JOB), log=JobLog(error=Transient("no answer"))),
        reasons.JOB_FAILED,
        "step Train failed: exit code: 1; the operator could not read the log of the job: no answer",
    ),
    (run("Failed"), reasons.PIPELINE_FAILED, "SageMaker gives no reason"),
    (
        run("Failed", failed("Register", "no such group")),
        reasons.PIPELINE_FAILED,
        "step Register failed: no such group",
    ),
]


@pytest.mark.parametrize(("progress", "reason", "text"), CASES)
def test_a_training_says_where_it_is(progress: Progress, reason: Reason, text: str) -> None:
    cause = cause_of(progress)
    assert (cause.reason, text in cause.message) == (reason, True), cause


@pytest.mark.parametrize(("progress", "reason", "text"), CASES)
def test_only_a_success_is_true_and_only_an_end_is_permanent(progress: Progress, reason: Reason, text: str) -> None:
    assert text
    stage = trained(progress)
    assert stage is not None
    assert (stage.update.status is ConditionStatus.TRUE) == (reason in {reasons.SUCCEEDED, reasons.CACHED})
    assert (stage.permanent is not None) == reason.is_permanent


def test_an_object_without_training_has_no_such_conditions() -> None:
    assert trained(None) is None
    assert model_registered(None) is None


@pytest.mark.parametrize("error", [Transient("no answer"), QuotaExceeded("20 executions")])
def test_an_error_comes_before_what_was_known(error: Transient | QuotaExceeded) -> None:
    stage = trained(run("Succeeded", *STEPS, error=error))
    assert stage is not None
    assert (stage.update.status, stage.update.reason) == (ConditionStatus.FALSE, error.reason)


@pytest.mark.parametrize(
    ("progress", "reason", "is_permanent"),
    [
        (run("Succeeded", package=Package("arn:…/wine/7", "wine", "i", "s3://a")), reasons.REGISTERED, False),
        (run("Succeeded"), reasons.NOTHING_REGISTERED, True),
        (run("Executing"), reasons.NOT_REGISTERED, False),
        (run("Failed"), reasons.NOT_REGISTERED, False),
    ],
)
def test_a_model_is_registered_by_a_package(progress: Progress, reason: Reason, is_permanent: bool) -> None:  # noqa: FBT001 - of a table
    stage = model_registered(progress)
    assert stage is not None
    assert (stage.update.reason, stage.permanent is not None) == (reason, is_permanent)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"a": {"b": NaN}}', "NaN"),
        ('{"a": {"b": Infinity}}', "infinite"),
        ('{"a": {"b": "0.9"}}', "a text"),
        ('{"a": {"b": true}}', "a truth"),
        ('{"a": {}}', "nothing"),
        ('{"a": 1}', "too short"),
        ("[1]", "a list"),
        ("", "no JSON"),
        ("[" * 100_000, "as deep as can be"),
    ],
)
def test_what_is_no_number_is_none(content: str, reason: str) -> None:
    assert reason
    assert number_at(content.encode(), "a.b") is None


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9))
def test_a_number_is_found_at_its_path(value: float) -> None:
    found = number_at(json.dumps({"a": {"b": value}}).encode(), "a.b")
    assert found is not None
    assert math.isclose(found, value, rel_tol=0, abs_tol=0)
