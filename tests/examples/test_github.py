"""The workflow and the action of `examples/ci/github`, run by bash against a real API server."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.examples.github import Result, Runner
from tests.examples.health import ROOT
from tests.examples.previews import NAMESPACE, Previews

WORKFLOW = ROOT / "examples/ci/github/preview.yaml"
REVISION = "1f0c2a9d5e7b48f6a3c1d2e4f5061728394a5b6c"
NAME = "sentiment-pr-42"
HOSTILE = 'x$(touch pwned)`touch pwned`"; touch pwned; #\n::add-mask::e'
VARIABLES = {
    "AWS_REGION": "eu-central-1",
    "PREVIEW_ROLE_ARN": "arn:aws:iam::123456789012:role/apply",
    "PUSH_ROLE_ARN": "arn:aws:iam::123456789012:role/push",
    "EKS_CLUSTER": "previews",
    "PREVIEW_NAMESPACE": NAMESPACE,
}
READY = ("Ready", "True", "Serving", f"the URL serves revision {REVISION}")
URL = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com/nlp/sentiment-pr-42"

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
ORIGINS = {"image", "build", "copy", "package", "training"}

Pull = Callable[..., dict[str, Result]]


def event(action: str, head: str) -> dict[str, Any]:
    pull_request = {
        "number": 42,
        "title": HOSTILE,
        "body": HOSTILE,
        "head": {"ref": HOSTILE, "sha": REVISION, "repo": {"full_name": head}},
    }
    return {"repository": "acme/sentiment", "event": {"action": action, "pull_request": pull_request}}


def expecting_no_wait(step: str) -> None:
    """Nobody reports a status: a job that waited would do so for a quarter of an hour."""
    assert step != "Wait for the endpoint"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The model's repository at the pull request's commit."""
    folder = tmp_path / "repository"
    shutil.copytree(ROOT / "examples/preview", folder / "preview")
    (folder / "Makefile").write_text("test:\n\ttrue\n", encoding="utf-8")
    return folder


@pytest.fixture
def pull(tmp_path: Path, repository: Path, programs: Callable[..., Mapping[str, str]]) -> Pull:
    """Return a function that runs the workflow for an event of a pull request."""

    def check_out(given: Mapping[str, str], workspace: Path) -> Mapping[str, str]:
        assert given["persist-credentials"] == "false"
        shutil.copytree(repository, workspace, dirs_exist_ok=True)
        return {}

    def assume(given: Mapping[str, str], _: Path) -> Mapping[str, str]:
        assert given["role-to-assume"].startswith("arn:aws:iam::")
        return {"AWS_REGION": given["aws-region"]}

    def run(
        action: str = "synchronize",
        *,
        head: str = "acme/sentiment",
        variables: Mapping[str, str] = VARIABLES,
        before: Callable[[str], None] = expecting_no_wait,
    ) -> dict[str, Result]:
        (tmp_path / "runner").mkdir(exist_ok=True)
        return Runner(
            workflow=yaml.safe_load(WORKFLOW.read_text(encoding="utf-8")),
            temporary=tmp_path / "runner",
            environment=programs(GITHUB_REPOSITORY="acme/sentiment"),
            github=event(action, head),
            variables=variables,
            actions={"actions/checkout": check_out, "aws-actions/configure-aws-credentials": assume},
            composites={"acme/ephemeral-endpoints": ROOT},
            before=before,
        ).run()

    return run


def reporting(previews: Previews, *conditions: tuple[str, str, str, str], **status: object) -> Callable[[str], None]:
    """The operator, which reports this as soon as the object is applied."""

    def report(step: str) -> None:
        if step == "Wait for the endpoint":
            previews.report(NAME, *conditions, **status)

    return report


def results(jobs: dict[str, Result]) -> dict[str, str]:
    return {name: job.result for name, job in jobs.items()}


def test_a_push_gets_an_endpoint_and_a_summary(pull: Pull, previews: Previews, tmp_path: Path) -> None:
    operator = reporting(
        previews,
        READY,
        url=URL,
        revision=REVISION,
        image={"uri": "a", "digest": f"sha256:{'0' * 64}"},
        expiresAt="2026-12-01T12:00:00Z",
    )
    jobs = pull(before=operator)
    assert results(jobs) == {"test": "success", "image": "skipped", "preview": "success", "delete": "skipped"}
    spec = previews.read(NAME)["spec"]
    assert spec["source"] == {"repository": "acme/sentiment", "pullRequest": 42, "revision": REVISION, "follow": False}
    assert spec["model"]["build"]["context"] == "."
    summary = jobs["preview"].summary
    assert summary.startswith("### Preview: ready\n")
    for value in (URL, REVISION, f"sha256:{'0' * 64}", "2026-12-01T12:00:00Z", NAME):
        assert value in summary
    assert [*tmp_path.rglob("pwned")] == []


def test_a_commit_that_fails_ends_the_job_with_the_reason(pull: Pull, previews: Previews) -> None:
    said = "the build failed in RUN pip: ##[add-mask]e <img src=x> `code` | table"
    operator = reporting(previews, ("Ready", "False", "BuildFailed", said), ("Stalled", "True", "BuildFailed", said))
    job = pull(before=operator)["preview"]
    assert job.result == "failure"
    assert "Write the summary: success" in job.steps
    assert f"### Preview: BuildFailed\n\n    {said}\n" in job.summary
    assert said in job.log
    assert job.commands == ()


def test_what_the_api_server_refuses_is_in_the_summary(pull: Pull, repository: Path) -> None:
    manifest = repository / "preview/endpoint.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("72h", "soon"), encoding="utf-8")
    job = pull()["preview"]
    assert job.result == "failure"
    assert "Apply the object: failure" in job.steps
    assert not any(step.startswith("Wait for the endpoint") for step in job.steps)
    assert job.summary.startswith("### Preview: not applied\n\n    ")
    assert "spec.lifecycle.ttl" in job.summary


def test_a_commit_whose_tests_fail_gets_no_endpoint(pull: Pull, repository: Path, previews: Previews) -> None:
    (repository / "Makefile").write_text("test:\n\tfalse\n", encoding="utf-8")
    jobs = pull()
    assert results(jobs) == {"test": "failure", "image": "skipped", "preview": "skipped", "delete": "skipped"}
    assert previews.names() == []


@pytest.mark.parametrize("action", ["opened", "closed"])
def test_a_fork_gets_tests_and_no_credentials(pull: Pull, action: str, calls: Callable[[], str]) -> None:
    jobs = pull(action, head="mallory/sentiment", variables={**VARIABLES, "ECR_REPOSITORY": "models/sentiment"})
    ran = {name for name, result in results(jobs).items() if result != "skipped"}
    assert ran == ({"test"} if action == "opened" else set())
    assert calls() == ""


def test_a_team_that_builds_its_images_serves_what_it_has_pushed(
    pull: Pull, previews: Previews, calls: Callable[[], str]
) -> None:
    operator = reporting(previews, READY, url=URL, revision=REVISION)
    jobs = pull(before=operator, variables={**VARIABLES, "ECR_REPOSITORY": "models/sentiment"})
    image = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/models/sentiment:{REVISION}"
    assert results(jobs)["preview"] == "success"
    assert f"--tag {image} " in calls()
    model = previews.read(NAME)["spec"]["model"]
    assert model["image"] == image
    assert "build" not in model


TRAINING = yaml.safe_load((ROOT / "examples/endpoint-training.yaml").read_text(encoding="utf-8"))["spec"]["model"]


@pytest.mark.parametrize(
    "origin",
    [
        {"image": f"{REGISTRY}/models/old:1"},
        {"build": {"context": "."}},
        {"copy": {"image": "public.ecr.aws/acme/model:1.2"}},
        {"package": {"group": "wine", "version": 7}},
    ],
    ids=lambda origin: str(*origin),
)
def test_a_pushed_image_takes_the_place_of_wherever_the_model_came_from(
    pull: Pull, repository: Path, previews: Previews, origin: Mapping[str, Any]
) -> None:
    model = _pushed(pull, repository, previews, origin)
    assert {*model} & ORIGINS == {"image"}
    assert model["image"].endswith(f"models/sentiment:{REVISION}")


@pytest.mark.parametrize(
    "image", [{"build": {"context": "."}}, {"uri": f"{REGISTRY}/models/old:1"}], ids=["build", "uri"]
)
def test_a_pushed_image_trains_where_the_model_is_trained(
    pull: Pull, repository: Path, previews: Previews, image: Mapping[str, Any]
) -> None:
    model = _pushed(pull, repository, previews, {"training": {**TRAINING["training"], "image": image}})
    assert {*model} & ORIGINS == {"training"}
    assert [*model["training"]["image"]] == ["uri"]
    assert model["training"]["image"]["uri"].endswith(f"models/sentiment:{REVISION}")
    assert model["training"]["gate"]["atLeast"] == "0.8"


def _pushed(pull: Pull, repository: Path, previews: Previews, model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The model of the object for an image that the workflow has pushed, if the file has this one."""
    path = repository / "preview/endpoint.yaml"
    manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    manifest["spec"]["model"] = model
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    variables = {**VARIABLES, "ECR_REPOSITORY": "models/sentiment"}
    jobs = pull(before=reporting(previews, READY, url=URL, revision=REVISION), variables=variables)
    assert results(jobs)["preview"] == "success"
    found: Mapping[str, Any] = previews.read(NAME)["spec"]["model"]
    return found


def test_the_end_of_the_pull_request_deletes_the_object(pull: Pull, previews: Previews) -> None:
    previews.apply(NAME, REVISION)
    jobs = pull("closed")
    assert results(jobs) == {"test": "skipped", "image": "skipped", "preview": "skipped", "delete": "success"}
    assert previews.names() == []


def test_the_end_of_a_pull_request_without_an_object_is_no_failure(pull: Pull) -> None:
    assert results(pull("closed"))["delete"] == "success"


def lint(actionlint: Path, folder: Path, workflow: str) -> str:
    """What actionlint says about the workflow, with our action beside it."""
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".git").mkdir()
    shutil.copy(ROOT / "action.yml", folder)
    local = workflow.replace("acme/ephemeral-endpoints@v0.1.0", "./")
    (folder / ".github/workflows/preview.yaml").write_text(local, encoding="utf-8")
    done = subprocess.run([actionlint, "-no-color"], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout


def test_actionlint_finds_nothing(actionlint: Path, tmp_path: Path) -> None:
    assert lint(actionlint, tmp_path, WORKFLOW.read_text(encoding="utf-8")) == ""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("make test", "make test ${{ github.head_ref }}", "potentially untrusted"),
        ("namespace: ${{", "place: ${{", 'missing input "namespace"'),
        ("needs.image.outputs", "needs.images.outputs", 'property "images" is not defined'),
    ],
)
def test_actionlint_finds_what_the_workflow_avoids(
    actionlint: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert said in lint(actionlint, tmp_path, WORKFLOW.read_text(encoding="utf-8").replace(old, new))


def test_jobs_have_only_the_rights_that_they_need() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert [*workflow[True]] == ["pull_request"]  # YAML 1.1 reads `on` as true
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "test": {"contents": "read"},
        "image": {"contents": "read", "id-token": "write"},
        "preview": {"contents": "read", "id-token": "write"},
        "delete": {"id-token": "write"},
    }
