import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run as run_program
from typing import Any

import click
import pytest
from click.testing import Result
from tests.cli.conditions import condition, ready, stalled, working
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import NOW, Cluster
from tests.fixtures.model_server import Answer, ModelServer
from tests.fixtures.waiting import TIMEOUT_SECONDS

from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api import CHECK_AT_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome
from ephemeral_endpoints.cli.check import of_object
from ephemeral_endpoints.cli.connection import Target
from ephemeral_endpoints.cli.urls import TOKEN_VARIABLE

CHECKS = """
- name: echo
  request: {body: '{"label": "a"}'}
  expect:
    values: [{pointer: /label, equals: a}]
    schema: {type: object}
- name: other
  request: {body: '{"label": "a"}'}
  expect:
    values: [{pointer: /label, equals: %s}]
"""
IN_THE_ENVIRONMENT = {TOKEN_VARIABLE: "of-the-environment"}
SPEC = {"checks": [{"name": "a", "request": {"body": "{}"}}]}


@pytest.fixture
def check(model: ModelServer, tmp_path: Path) -> Callable[..., Result]:
    """Run `eep check` of a file with this text at the model's URL."""

    def command(text: str, *arguments: str, **environment: str | None) -> Result:
        file = tmp_path / "checks.yaml"
        file.write_text(text)
        return eep("check", str(file), "--url", model.url(), *arguments, **environment)

    return command


def test_checks_of_a_file_pass(check: Callable[..., Result], model: ModelServer) -> None:
    result = check(CHECKS % "a")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "2 of 2 checks passed")
    assert {each.headers["eep-purpose"] for each in model.requests} == {"check"}
    assert all("Authorization" not in each.headers for each in model.requests)


def test_one_that_fails_is_shown_and_is_the_exit_status(check: Callable[..., Result]) -> None:
    result = check(CHECKS % "b")
    assert result.exit_code == 1
    assert '/label: expected "b", found "a"' in result.stdout


def test_a_model_that_refuses_has_failed(check: Callable[..., Result], model: ModelServer) -> None:
    model.answer = lambda request: Answer(429, request.body)
    result = check("[{name: a, request: {body: busy}}]")
    assert result.exit_code == 1
    assert "status: expected 200 to 299, found 429 (busy)" in result.stdout


def test_output_for_programs_and_for_ci(check: Callable[..., Result], tmp_path: Path) -> None:
    found = check(CHECKS % "b", "--output", "json", "--junit", str(tmp_path / "checks.xml"))
    assert [each["outcome"] for each in json.loads(found.stdout)["results"]] == ["Passed", "Failed"]
    assert 'failures="1"' in (tmp_path / "checks.xml").read_text()
    assert check(CHECKS % "b", "-o", "junit").stdout.startswith("<?xml version='1.0'")
    unwritable = check(CHECKS % "a", "--junit", str(tmp_path / "none" / "checks.xml"))
    assert (unwritable.exit_code, "cannot be written: No such file" in unwritable.stderr) == (2, True)


def test_the_token_is_taken_from_a_file_or_the_environment(
    check: Callable[..., Result], model: ModelServer, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("of-the-file\n")
    assert check(CHECKS % "a", "--token-file", str(file), **IN_THE_ENVIRONMENT).exit_code == 0
    assert check(CHECKS % "a", **IN_THE_ENVIRONMENT).exit_code == 0
    sent = [each.headers["Authorization"] for each in model.requests]
    assert sent == ["Bearer of-the-file"] * 2 + ["Bearer of-the-environment"] * 2


def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "checks.yaml").write_text(CHECKS % "a")
    file = str(tmp_path / "checks.yaml")
    result = eep("check", file, "--url", "http://x.example/", **{TOKEN_VARIABLE: "two words"})
    assert (result.exit_code, "two words" in result.output) == (2, False)


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        pytest.param("[]", (), "it has an empty list of checks", id="no checks"),
        pytest.param("[{name: a, sample: b}]", (), "check a: there is no sample b", id="no sample"),
        pytest.param(
            "[{name: a, request: {body: x}, expect: {schema: {type: text}}}]",
            (),
            "check a: the JSON Schema is not valid: /type:",
            id="no schema",
        ),
        pytest.param(
            "[{name: a, requestFrom: {configMapKeyRef: {name: c, key: k}}}]",
            (),
            "the ConfigMap c does not exist: create it: as a document of the same file",
            id="no ConfigMap",
        ),
        pytest.param(CHECKS, ("--url", "ftp://x"), "ftp://x is not an http or https URL", id="no URL"),
    ],
)
def test_what_cannot_be_run_is_no_failure_of_the_model(
    check: Callable[..., Result], model: ModelServer, text: str, arguments: tuple[str, ...], message: str
) -> None:
    result = check(text, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert model.requests == []


def test_a_file_that_does_not_exist_is_named() -> None:
    result = eep("check", "/nowhere.yaml", "--url", "http://127.0.0.1:1/")
    assert (result.exit_code, result.stderr) == (2, "Error: /nowhere.yaml cannot be read: No such file or directory\n")


def test_it_imports_neither_the_operator_nor_aws() -> None:
    names = "boto3 botocore kopf prometheus_client jsonschema_rs"
    program = f"import sys, ephemeral_endpoints.cli.check; print([n for n in '{names}'.split() if n in sys.modules])"
    done = run_program([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    assert done.stdout == "[]\n"


@pytest.fixture
def target(cluster: Cluster, control_plane: ControlPlane) -> Target:
    return Target(str(control_plane.kubeconfig), namespace=cluster.namespace)


async def requested(cluster: Cluster) -> str:
    """The value of the annotation, once there is one."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            annotations = (await asyncio.to_thread(cluster.read))["metadata"].get("annotations", {})
            if value := annotations.get(CHECK_AT_ANNOTATION):
                return str(value)


def ended(requested_at: str, outcome: str) -> dict[str, Any]:
    result = {"name": "a", "outcome": outcome}
    run = {
        "id": "1",
        "revision": "1f0c2a9",
        "requested": requested_at,
        "finishedAt": NOW.isoformat(),
        "results": [result],
    }
    return {"checks": run}


async def test_the_operator_runs_the_checks_of_an_object_again(cluster: Cluster, target: Target) -> None:
    await asyncio.to_thread(cluster.create, spec=SPEC)
    task = asyncio.create_task(of_object("pr-42", target, TIMEOUT_SECONDS))
    at = await requested(cluster)
    await asyncio.to_thread(cluster.patch_status, ready() | ended("earlier", "Passed"))
    await asyncio.to_thread(cluster.patch_status, ended(at, "Failed"))
    [result] = await task
    assert result.outcome is CheckOutcome.FAILED


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (stalled("BuildFailed", "step 2 of 5"), "pr-42 is not ready, and its checks are not run: "),
        (
            ready(condition("ChecksPassed", "False", "CheckInvalid", "check a: no")),
            "the checks of pr-42 cannot be run: CheckInvalid: check a: no",
        ),
    ],
    ids=["stalled", "invalid"],
)
async def test_what_will_never_be_checked_is_not_waited_for(
    cluster: Cluster, target: Target, status: dict[str, Any], message: str
) -> None:
    await asyncio.to_thread(cluster.create, spec=SPEC)
    task = asyncio.create_task(of_object("pr-42", target, TIMEOUT_SECONDS))
    await requested(cluster)
    await asyncio.to_thread(cluster.patch_status, status)
    with pytest.raises(click.ClickException, match=message) as caught:
        await task
    assert caught.value.exit_code == 2


async def test_an_object_without_checks_is_told(cluster: Cluster, target: Target) -> None:
    await asyncio.to_thread(cluster.create)
    with pytest.raises(click.ClickException, match=r"pr-42 has no checks: add spec\.checks"):
        await of_object("pr-42", target, TIMEOUT_SECONDS)


def test_the_time_is_over(run: Callable[..., Result], cluster: Cluster) -> None:
    cluster.create(spec=SPEC)
    cluster.patch_status(working())
    result = run("check", "pr-42", "--timeout", "6s")
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: there are no results after 6s\n")
    assert "waiting until the endpoint is ready" in result.stderr


def test_no_object_is_one_line(run: Callable[..., Result]) -> None:
    result = run("check", "pr-42")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_a_token_that_would_not_be_sent_is_refused() -> None:
    result = eep("check", "pr-42", "--token-file", __file__, KUBECONFIG="/nowhere")
    assert result.exit_code == 2
    assert "--token-file is for --url" in result.stderr
