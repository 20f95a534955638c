import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster

from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint

PROGRAMS = Path(sys.executable).parent
REVISION = "6dcd4ce23d88e2ee9568ba546c007c63d9131c1b"
PREVIEW = ("preview/endpoint.yaml", "preview/kustomization.yaml", "preview/applicationset.yaml")
WORKFLOW = ".github/workflows/preview.yaml"
EXAMPLE = ("Dockerfile", ".dockerignore", "requirements.txt", "app.py")


def init(folder: Path, *more: str) -> None:
    result = eep("init", "--path", str(folder), "--name", "iris", "--repository", "acme/iris", *more)
    assert result.exit_code == 0, result.stderr


def written(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file() and ".git/" not in str(each)}


def read(file: Path) -> Any:  # noqa: ANN401 - YAML
    return yaml.safe_load(file.read_text())


def program(name: str, *arguments: str, **environment: str) -> str:
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    command = [name, *arguments]
    done = subprocess.run(  # noqa: S603 - no shell
        command, env={**os.environ, "PATH": path, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def steps(folder: Path) -> dict[str, str]:
    job = read(folder / WORKFLOW)["jobs"]["preview"]
    return {each["name"]: each["run"] for each in job["steps"] if "name" in each}


def test_an_empty_folder_gets_an_example_and_all_that_ci_needs(tmp_path: Path) -> None:
    init(tmp_path)
    assert written(tmp_path) == {*PREVIEW, WORKFLOW, *EXAMPLE}
    endpoint = EphemeralEndpoint.model_validate(read(tmp_path / "preview/endpoint.yaml"))
    assert endpoint.spec.source.repository == "acme/iris"
    compile((tmp_path / "app.py").read_text(), "app.py", "exec")


@pytest.mark.parametrize("file", [*PREVIEW, WORKFLOW, *EXAMPLE])
def test_nothing_in_a_file_is_left_to_fill_in(file: str, tmp_path: Path) -> None:
    init(tmp_path)
    assert re.findall("@[a-z]+@", (tmp_path / file).read_text()) == []


def test_an_application_keeps_its_files_and_is_what_the_image_runs(tmp_path: Path) -> None:
    own = {"main.py": "app = FastAPI()\n", "requirements.txt": "fastapi\ntorch\n"}
    for name, text in own.items():
        (tmp_path / name).write_text(text)
    init(tmp_path)
    assert {name: (tmp_path / name).read_text() for name in own} == own
    assert "app.py" not in written(tmp_path)
    assert "uvicorn main:app" in (tmp_path / "Dockerfile").read_text()


def test_a_repository_with_a_dockerfile_keeps_it_and_gets_no_example_even_by_force(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    init(tmp_path)
    init(tmp_path, "--force")
    assert written(tmp_path) == {*PREVIEW, WORKFLOW, "Dockerfile"}
    assert (tmp_path / "Dockerfile").read_text() == "FROM scratch\n"


def test_files_of_before_are_kept_unless_it_is_forced(tmp_path: Path) -> None:
    (tmp_path / "preview").mkdir()
    (tmp_path / PREVIEW[0]).write_text("mine")
    refused = eep("init", "--path", str(tmp_path), "--name", "iris", "--repository", "acme/iris")
    assert (refused.exit_code, written(tmp_path)) == (1, {PREVIEW[0]})
    assert "preview/endpoint.yaml exists already: use --force" in refused.stderr
    init(tmp_path, "--force")
    assert read(tmp_path / PREVIEW[0])["metadata"]["name"] == "iris"


@pytest.mark.parametrize(
    ("remote", "repository"),
    [
        ("git@github.com:acme/iris.git", "acme/iris"),
        ("https://github.com/acme/iris", "acme/iris"),
        ("ssh://git@gitlab.example:2222/acme/nlp/iris.git", "acme/nlp/iris"),
    ],
)
def test_names_come_from_the_folder_and_from_git(remote: str, repository: str, tmp_path: Path) -> None:
    folder = tmp_path / "My_Iris"
    folder.mkdir()
    program("git", "init", "--quiet", str(folder))
    program("git", "-C", str(folder), "remote", "add", "origin", remote)
    assert eep("init", "--path", str(folder)).exit_code == 0
    endpoint = read(folder / PREVIEW[0])
    assert (endpoint["metadata"]["name"], endpoint["spec"]["source"]["repository"]) == ("my-iris", repository)


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["--name", "iris"], "--repository is needed"),
        (["--name", "Iris!", "--repository", "acme/iris"], "--name 'Iris!' does not match"),
        (["--name", "iris", "--repository", "iris"], "--repository 'iris' does not match"),
        (["--name", "iris", "--repository", "a/b\nc: d"], "--repository 'a/b\\nc: d' does not match"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is(
    arguments: list[str], reported: str, tmp_path: Path
) -> None:
    refused = eep("init", "--path", str(tmp_path), *arguments)
    assert refused.exit_code == 2
    assert reported in refused.stderr
    assert not written(tmp_path)


def test_the_workflow_applies_and_deletes_the_object_of_the_pull_request(
    tmp_path: Path, cluster: Cluster, control_plane: ControlPlane
) -> None:
    init(tmp_path)
    environment = {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "NAMESPACE": cluster.namespace,
        "NAME": "iris-pr-7",
        "NUMBER": "7",
        "REVISION": REVISION,
    }
    for _ in range(2):  # the next push
        program("bash", "-ec", f"cd {tmp_path}\n{steps(tmp_path)['Apply the endpoint']}", **environment)
    source = cluster.read("iris-pr-7")["spec"]["source"]
    assert source == {"repository": "acme/iris", "pullRequest": 7, "revision": REVISION}
    program("bash", "-ec", steps(tmp_path)["Delete the endpoint"], **environment)
    program("bash", "-ec", steps(tmp_path)["Delete the endpoint"], **environment)


def test_the_application_set_makes_the_object_of_the_pull_request(tmp_path: Path) -> None:
    init(tmp_path)
    text = (tmp_path / "preview/applicationset.yaml").read_text()
    text = text.replace("{{.number}}", "7").replace("{{.head_sha}}", REVISION)
    source = yaml.safe_load(text)["spec"]["template"]["spec"]["source"]
    kustomization = {**read(tmp_path / "preview/kustomization.yaml"), **source["kustomize"]}
    (tmp_path / "preview/kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    made = yaml.safe_load(program("kubectl", "kustomize", str(tmp_path / source["path"])))
    endpoint = EphemeralEndpoint.model_validate(made)
    assert endpoint.metadata.name == "iris-pr-7"
    assert (endpoint.spec.source.pull_request, endpoint.spec.source.revision) == (7, REVISION)
