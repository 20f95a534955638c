import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.fixtures.command import eep

from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStageSpec
from ephemeral_endpoints.api.v1alpha1.training import Training

EXAMPLES = Path(__file__).parents[2] / "examples"
PREVIEW = ("preview/endpoint.yaml", "preview/kustomization.yaml", "preview/applicationset.yaml")
WORKFLOW = ".github/workflows/preview.yaml"
EXAMPLE = ("Dockerfile", ".dockerignore", "requirements.txt", "app.py")
TRAINING = ("Dockerfile", ".dockerignore", "requirements.txt", "model.py", "stages.yaml")
DATA = ("--train-on", "s3://acme-data/iris/")


def init(folder: Path, *more: str) -> None:
    result = eep("init", "--path", str(folder), "--name", "iris", "--repository", "acme/iris", *more)
    assert result.exit_code == 0, result.stderr


def written(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file() and ".git/" not in str(each)}


def read(file: Path) -> Any:  # noqa: ANN401 - YAML
    return yaml.safe_load(file.read_text())


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)  # noqa: S603, S607 - no shell, the user's Git


def test_an_empty_folder_gets_an_example_and_all_that_ci_needs(tmp_path: Path) -> None:
    init(tmp_path)
    assert written(tmp_path) == {*PREVIEW, WORKFLOW, *EXAMPLE}
    assert read(tmp_path / "preview/endpoint.yaml")["spec"]["source"] == {"repository": "acme/iris"}
    compile((tmp_path / "app.py").read_text(), "app.py", "exec")


@pytest.mark.parametrize("file", [*PREVIEW, WORKFLOW, *EXAMPLE])
def test_nothing_in_a_file_is_left_to_fill_in(file: str, tmp_path: Path) -> None:
    init(tmp_path)
    assert re.findall("@[a-z]+@", (tmp_path / file).read_text()) == []


def test_a_repository_that_trains_gets_an_example_that_trains_and_the_way_to_production(tmp_path: Path) -> None:
    init(tmp_path, *DATA)
    assert written(tmp_path) == {*PREVIEW, WORKFLOW, *TRAINING}
    text = "".join((tmp_path / each).read_text() for each in (*PREVIEW, *TRAINING))
    assert re.findall("@[a-z]+@", text) == []
    training = Training.model_validate(read(tmp_path / PREVIEW[0])["spec"]["model"]["training"])
    assert training.data.s3_uri == DATA[1]
    stages = yaml.safe_load_all((tmp_path / "stages.yaml").read_text())
    sources = [ModelStageSpec.model_validate(each["spec"]).source for each in stages]
    assert [each.group for each in sources] == ["iris", None]


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
    git("init", "--quiet", str(folder))
    git("-C", str(folder), "remote", "add", "origin", remote)
    assert eep("init", "--path", str(folder)).exit_code == 0
    endpoint = read(folder / PREVIEW[0])
    assert (endpoint["metadata"]["name"], endpoint["spec"]["source"]["repository"]) == ("my-iris", repository)


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["--name", "iris"], "--repository is needed"),
        (["--name", "Iris!", "--repository", "acme/iris"], "--name 'Iris!' does not match"),
        (["--name", "iris", "--repository", "iris"], "--repository 'iris' does not match"),
        (["--name", "iris", "--repository", "acme/iris", "--train-on", "s3://a-file"], "--train-on 's3://a-file' does"),
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


@pytest.mark.parametrize(
    ("file", "example"),
    [
        ("preview/endpoint.yaml", "preview/endpoint.yaml"),
        ("preview/kustomization.yaml", "preview/kustomization.yaml"),
        ("preview/applicationset.yaml", "gitops/argocd/applicationset.yaml"),
        (WORKFLOW, "ci/github/preview.yaml"),
    ],
)
def test_what_ci_needs_is_as_in_the_examples_which_are_run_by_tests(file: str, example: str, tmp_path: Path) -> None:
    options = ["--name", "sentiment", "--repository", "acme/sentiment", "--namespace", "nlp"]
    assert eep("init", "--path", str(tmp_path), *options).exit_code == 0
    assert (tmp_path / file).read_text() == (EXAMPLES / example).read_text()
