"""The pipeline of `examples/ci/gitlab`, run by bash against a real API server."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.examples.gitlab import Pipeline
from tests.examples.health import ROOT
from tests.examples.previews import NAMESPACE, Previews

EXAMPLE = ROOT / "examples/ci/gitlab/.gitlab-ci.yml"
REVISION = "1f0c2a9d5e7b48f6a3c1d2e4f5061728394a5b6c"
NAME = "acme-sentiment-mr-7"
URL = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com/nlp/acme-sentiment-mr-7"
HOSTILE = '$(touch pwned)`touch pwned`"; touch pwned; #'
VARIABLES = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_PROJECT_PATH": "acme/sentiment",
    "CI_PROJECT_PATH_SLUG": "acme-sentiment",
    "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_PROJECT_PATH": "acme/sentiment",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "acme/sentiment",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": HOSTILE,
    "CI_MERGE_REQUEST_TITLE": HOSTILE,
    "CI_COMMIT_SHA": REVISION,
    "AWS_REGION": "eu-central-1",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/apply",
    "EKS_CLUSTER": "previews",
    "PREVIEW_NAMESPACE": NAMESPACE,
}

Job = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model's repository at the merge request's commit."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "examples/preview", folder / "preview")
    return folder


@pytest.fixture
def job(folder: Path, programs: Callable[..., Mapping[str, str]]) -> Job:
    environment = programs()
    return lambda name: Pipeline(EXAMPLE, VARIABLES).run(name, folder, environment)


def test_a_merge_request_gets_an_endpoint_whose_url_gitlab_shows(job: Job, previews: Previews, folder: Path) -> None:
    previews.apply(NAME, REVISION)
    previews.report(NAME, ("Ready", "True", "Serving", "the URL serves it"), url=URL, revision=REVISION)
    done = job("preview")
    assert done.returncode == 0, done.stderr
    source = previews.read(NAME)["spec"]["source"]
    assert source == {"repository": "acme/sentiment", "pullRequest": 7, "revision": REVISION, "follow": False}
    assert (folder / "preview.env").read_text(encoding="utf-8") == f"PREVIEW_URL={URL}\n"
    assert [*folder.rglob("pwned")] == []


def test_a_commit_that_fails_ends_the_job_with_the_reason(job: Job, previews: Previews) -> None:
    said = "the build failed in RUN pip install"
    previews.apply(NAME, REVISION)
    previews.report(NAME, ("Ready", "False", "BuildFailed", said), ("Stalled", "True", "BuildFailed", said))
    done = job("preview")
    assert done.returncode == 1
    assert said in done.stdout + done.stderr


def test_the_end_of_the_merge_request_deletes_the_object_without_a_checkout(
    previews: Previews, job: Job, folder: Path
) -> None:
    previews.apply(NAME, REVISION)
    shutil.rmtree(folder / "preview")
    done = job("delete")
    assert done.returncode == 0, done.stderr
    assert previews.names() == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({}, {"test": "on_success", "preview": "on_success", "delete": "manual"}, id="of the project"),
        pytest.param(
            {"CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "mallory/sentiment"},
            {"test": "on_success", "preview": None, "delete": None},
            id="of a fork, run in the parent project: no credentials",
        ),
        pytest.param(
            {"CI_PIPELINE_SOURCE": "push"}, {"test": None, "preview": None, "delete": None}, id="no merge request"
        ),
    ],
)
def test_which_jobs_a_pipeline_has(changed: Mapping[str, str], expected: Mapping[str, str | None]) -> None:
    pipeline = Pipeline(EXAMPLE, {**VARIABLES, **changed})
    assert {name: pipeline.when(name) for name in expected} == expected


def test_gitlab_stops_the_environment_by_the_job_that_deletes() -> None:
    pipeline = Pipeline(EXAMPLE, VARIABLES)
    started, stopped = pipeline.job("preview")["environment"], pipeline.job("delete")["environment"]
    assert started["name"] == stopped["name"]
    assert (started["on_stop"], stopped["action"]) == ("delete", "stop")


def test_the_jobs_token_is_readable_by_its_user_only(job: Job, folder: Path) -> None:
    job("delete")
    token = folder.with_name("project.tmp") / "aws-token"
    assert token.read_text(encoding="utf-8") == "token for https://gitlab.com"
    assert token.stat().st_mode & 0o777 == 0o600
