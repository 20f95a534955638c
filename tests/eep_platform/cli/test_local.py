import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.fixtures.command import eep
from tests.fixtures.disk import SmallDisk

from eep_platform.cli.push import described, object_name, suffixed
from eep_platform.errors import PlatformError
from eep_platform.platform import Platform


@pytest.mark.parametrize("action", [["status"], ["push", "model"]])
def test_what_needs_a_platform_that_does_not_run_says_how_to_start_it(action: list[str], tmp_path: Path) -> None:
    state = tmp_path / "a b"
    result = eep("local", *action, "--state", str(state))
    assert result.exit_code == 3
    assert f"eep local up --state {shlex.quote(str(state))}" in result.stderr


def test_down_of_nothing_is_done(tmp_path: Path) -> None:
    assert eep("local", "down", "--state", str(tmp_path / "none")).exit_code == 0


@pytest.mark.parametrize("action", ["up", "down"])
def test_a_folder_of_somebody_else_is_an_error_with_a_reason(action: str, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    result = eep("local", action, "--state", str(tmp_path))
    assert result.exit_code == 1
    assert "choose another folder with --state" in result.stderr


def test_a_full_disk_is_an_error_with_a_remedy(small_disk: SmallDisk) -> None:
    small_disk.fill()
    result = eep("local", "up", "--state", str(small_disk.path / "state"))
    assert result.exit_code == 1
    assert "The disk is full" in result.stderr
    assert "Free some space" in result.stderr
    assert "Traceback" not in result.stderr


def test_up_and_status_print_what_a_shell_can_evaluate(platform: Platform) -> None:
    state = ["--state", str(platform.state)]
    up = eep("local", "up", *state)
    assert up.exit_code == 0
    status = eep("local", "status", *state)
    assert status.exit_code == 0
    assert up.stdout in status.stdout
    script = f'{up.stdout}\nprintf \'%s\\n\' "$KUBECONFIG" "$AWS_ENDPOINT_URL"'
    answer = subprocess.check_output(["/bin/sh", "-c", script], text=True, env={})  # noqa: S603 - prints what was set
    assert answer.splitlines() == [str(platform.kubeconfig), platform.aws_endpoint]


def folder_named(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM python:3.11-slim\n")
    return folder


def test_models_side_by_side_are_named_after_their_folders(platform: Platform, tmp_path: Path) -> None:
    state = ["--state", str(platform.state)]
    pushed = []
    for name, more in (("Iris_Demo", []), ("wine", ["--pull-request", "7"])):
        result = eep("local", "push", str(folder_named(tmp_path, name)), *state, *more)
        assert result.exit_code == 0
        pushed.append(yaml.safe_load(result.stdout))
        assert pushed[-1]["spec"]["source"]["revision"] in result.stderr
    assert [each["metadata"]["name"] for each in pushed] == ["iris-demo-pr-1", "wine-pr-7"]
    assert [each["spec"]["source"]["repository"] for each in pushed] == ["local/iris-demo", "local/wine"]
    assert pushed[1]["spec"]["source"]["pullRequest"] == 7


def test_push_takes_other_names_and_a_later_push_follows_the_earlier_commit(platform: Platform, tmp_path: Path) -> None:
    folder = folder_named(tmp_path, "named")
    line = ["local", "push", str(folder), "--state", str(platform.state), "--name=other", "--repository=acme/own"]
    first = yaml.safe_load(eep(*line).stdout)
    (folder / "app.py").write_text("1")
    second = yaml.safe_load(eep(*line).stdout)
    assert first["metadata"]["name"] == second["metadata"]["name"] == "other"
    assert first["spec"]["source"]["revision"] != second["spec"]["source"]["revision"]
    assert (platform.state / "git" / "acme" / "own.git").is_dir()


def test_a_folder_without_a_dockerfile_is_not_pushed(platform: Platform, tmp_path: Path) -> None:
    result = eep("local", "push", str(tmp_path), "--state", str(platform.state))
    assert result.exit_code == 1
    assert "has no Dockerfile" in result.stderr


def test_what_a_folder_says_its_pull_requests_get_is_what_is_printed(platform: Platform, tmp_path: Path) -> None:
    folder = folder_named(tmp_path, "anything")
    (folder / "preview").mkdir()
    template = {"metadata": {"name": "iris"}, "spec": {"source": {"repository": "acme/iris"}, "model": {"build": {}}}}
    (folder / "preview/endpoint.yaml").write_text(yaml.safe_dump(template))
    line = ["local", "push", str(folder), "--state", str(platform.state)]
    opened, merged = (yaml.safe_load(eep(*line, *more).stdout) for more in ((), ("--branch", "main")))
    assert [each["metadata"]["name"] for each in (opened, merged)] == ["iris-pr-1", "iris-main"]
    sources = [opened["spec"]["source"], merged["spec"]["source"]]
    assert [(each["repository"], each["branch"]) for each in sources] == [("acme/iris", "pr-1"), ("acme/iris", "main")]
    assert [each.get("pullRequest") for each in sources] == [1, None]


@pytest.mark.parametrize("text", ["a: [", "- 1", "metadata: 1"])
def test_a_description_that_is_none_is_told(text: str) -> None:
    with pytest.raises(PlatformError, match=r"preview/endpoint.yaml is not the YAML of one object"):
        described(text.encode())


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        pytest.param("iris", "iris-pr-1", id="a name that fits"),
        pytest.param("My Model (v2)", "my-model-v2-pr-1", id="what a DNS label cannot have"),
        pytest.param("_", "model-pr-1", id="nothing left"),
        pytest.param("a" * 80, f"{'a' * 58}-pr-1", id="too long"),
    ],
)
def test_the_name_of_an_object_is_a_label_whatever_the_folder(folder: str, name: str) -> None:
    assert suffixed(object_name(folder), "pr-1") == name
