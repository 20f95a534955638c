import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp.test_utils import TestServer
from botocore.exceptions import ClientError
from tests.eep_platform.codebuild.conftest import ROLE, CodeBuild, spec

from eep_platform.aws import ministack, services
from eep_platform.codebuild.app import ServiceConfig, application
from eep_platform.codebuild.errors import invalid_next_token
from eep_platform.emulation.account import Account
from eep_platform.emulation.errors import ServiceError
from eep_platform.emulation.paging import page

ENVIRONMENT = {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"}
NO_SOURCE = {"type": "NO_SOURCE", "buildspec": spec(build=["true"])}


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:  # noqa: ANN401 - those of a call
    """The code and the message of the error that a call is answered with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def create(codebuild: CodeBuild, name: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - those of CreateProject
    arguments = {
        "name": name,
        "source": NO_SOURCE,
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": ENVIRONMENT,
        "serviceRole": ROLE,
    }
    return dict(codebuild.client.create_project(**arguments | members)["project"])


def test_a_project_is_kept_changed_and_deleted(codebuild: CodeBuild) -> None:
    name = f"{codebuild.project}-x"
    made = create(codebuild, name, description="first", tags=[{"key": "a", "value": "b"}])
    assert made["arn"] == f"arn:aws:codebuild:{ministack.REGION}:{ministack.ACCOUNT}:project/{name}"
    assert (made["timeoutInMinutes"], made["queuedTimeoutInMinutes"]) == (60, 480)
    assert refusal(lambda: create(codebuild, name))[0] == "ResourceAlreadyExistsException"
    changed = codebuild.client.update_project(name=name, timeoutInMinutes=9, concurrentBuildLimit=3)["project"]
    assert (changed["description"], changed["timeoutInMinutes"], changed["concurrentBuildLimit"]) == ("first", 9, 3)
    assert changed["lastModified"] > made["created"]
    unlimited = codebuild.client.update_project(name=name, concurrentBuildLimit=-1)["project"]
    assert "concurrentBuildLimit" not in unlimited
    found = codebuild.client.batch_get_projects(names=[name, "not-there"])
    assert ([each["name"] for each in found["projects"]], found["projectsNotFound"]) == ([name], ["not-there"])
    observed = codebuild.client.list_projects(sortOrder="DESCENDING")["projects"]
    assert observed == sorted(observed, reverse=True)
    assert name in observed
    codebuild.client.delete_project(name=name)
    codebuild.client.delete_project(name=name)
    assert codebuild.client.batch_get_projects(names=[name])["projectsNotFound"] == [name]


def test_missing_resources_are_reported(codebuild: CodeBuild) -> None:
    client = codebuild.client
    for call, arguments in (
        (client.start_build, {"projectName": "nowhere"}),
        (client.list_builds_for_project, {"projectName": "nowhere"}),
        (client.update_project, {"name": "nowhere"}),
        (client.stop_build, {"id": f"{codebuild.project}:nothing"}),
    ):
        assert refusal(call, **arguments)[0] == "ResourceNotFoundException"
    missing = [f"{codebuild.project}:nothing"]
    assert client.batch_get_builds(ids=missing)["buildsNotFound"] == missing


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"timeoutInMinutes": 2161}, id="a timeout that is too long"),
        pytest.param({"source": {"type": "NO_SOURCE"}}, id="no buildspec"),
        pytest.param({"source": {"type": "GITHUB"}}, id="no location"),
        pytest.param({"source": {"type": "S3", "location": "b/k"}}, id="a source that is not done here"),
        pytest.param({"environment": ENVIRONMENT | {"computeType": "TINY"}}, id="an unknown compute type"),
        pytest.param({"concurrentBuildLimit": 0}, id="a limit of none"),
        pytest.param({"artifacts": {"type": "S3", "location": "bucket"}}, id="artifacts"),
        pytest.param({"secondarySources": [NO_SOURCE | {"sourceIdentifier": "b"}]}, id="another source"),
    ],
)
def test_a_project_that_breaks_the_rules_is_refused(codebuild: CodeBuild, members: dict[str, Any]) -> None:
    name = f"{codebuild.project}-bad"
    assert refusal(lambda: create(codebuild, name, **members))[0] == "InvalidInputException"
    assert codebuild.client.batch_get_projects(names=[name])["projects"] == []


def test_a_build_that_breaks_the_rules_is_refused(codebuild: CodeBuild) -> None:
    start = codebuild.client.start_build
    for overrides in (
        {"timeoutInMinutesOverride": 2161},
        {"autoRetryLimitOverride": 1},
        {"sourceTypeOverride": "GITHUB"},
    ):
        assert refusal(start, projectName=codebuild.project, **overrides)[0] == "InvalidInputException"
    assert refusal(codebuild.client.batch_get_builds, ids=["x:y"] * 101)[0] == "InvalidInputException"
    assert codebuild.client.list_builds_for_project(projectName=codebuild.project)["ids"] == []


def test_a_token_starts_one_build(codebuild: CodeBuild) -> None:
    buildspec = spec(build=["true"])
    first = codebuild.start(buildspec, idempotencyToken="t")
    assert codebuild.start(buildspec, idempotencyToken="t") == first
    code, message = refusal(
        codebuild.client.start_build, projectName=codebuild.project, buildspecOverride="x", idempotencyToken="t"
    )
    assert (code, "parameter mismatch" in message) == ("InvalidInputException", True)
    assert codebuild.client.list_builds_for_project(projectName=codebuild.project)["ids"] == [first]


def test_builds_are_listed_in_pages_in_both_orders(codebuild: CodeBuild) -> None:
    codebuild.settings(page_size=2, concurrency=0)
    started = [codebuild.start(spec(build=["true"])) for _ in range(5)]
    pages = codebuild.client.get_paginator("list_builds_for_project")
    latest_first = [page["ids"] for page in pages.paginate(projectName=codebuild.project)]
    assert latest_first == [started[:2:-1], started[2:0:-1], started[:1]]
    ascending = pages.paginate(projectName=codebuild.project, sortOrder="ASCENDING")
    assert [each for page in ascending for each in page["ids"]] == started


@pytest.mark.parametrize("token", ["!", "ä", "w4Q"])
def test_a_token_of_nobody_is_refused(token: str) -> None:
    with pytest.raises(ServiceError, match="Invalid next token"):
        page(["a"], lambda name: (name, ""), token, 1, invalid_token=invalid_next_token)


def test_a_projects_limit_of_builds_at_once_refuses_more(codebuild: CodeBuild) -> None:
    codebuild.settings(concurrency=0)
    codebuild.client.update_project(name=codebuild.project, concurrentBuildLimit=1)
    running = codebuild.start(spec(build=["true"]))
    assert refusal(codebuild.client.start_build, projectName=codebuild.project) == (
        "AccountLimitExceededException",
        "Cannot have more than 1 active builds for the project",
    )
    codebuild.client.stop_build(id=running)
    codebuild.settings(concurrency=2)
    assert codebuild.run(spec(build=["true"]))["buildStatus"] == "SUCCEEDED"


def test_the_accounts_queue_can_be_limited(codebuild: CodeBuild) -> None:
    codebuild.settings(concurrency=0, most_queued=1)
    codebuild.start(spec(build=["true"]))
    assert refusal(codebuild.client.start_build, projectName=codebuild.project) == (
        "AccountLimitExceededException",
        "Cannot have more than 1 builds in queue for the account",
    )


def test_settings_that_make_no_sense_are_refused(codebuild: CodeBuild) -> None:
    url = f"{codebuild.aws.endpoint}/_codebuild/settings"
    answer = requests.patch(url, json={"concurrency": -1}, timeout=60)
    assert answer.status_code == 400
    assert requests.get(url, timeout=60).json()["concurrency"] == 2


Call = Callable[..., Awaitable[dict[str, Any]]]


async def test_the_clock_forgets_a_token_after_five_minutes_and_a_reset_at_once(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    nowhere = "http://127.0.0.1:9"
    config = ServiceConfig(nowhere, "127.0.0.1:9", tmp_path / "state", tmp_path / "cache")
    app = application(config, Account(ministack.ACCOUNT, ministack.REGION), clock=lambda: now)
    server = TestServer(app)
    await server.start_server()
    try:
        make: Callable[..., Any] = services.session().client
        client = make("codebuild", endpoint_url=str(server.make_url("/")))

        async def call(operation: str, **arguments: Any) -> Any:  # noqa: ANN401 - those of the operation
            return await asyncio.to_thread(getattr(client, operation), **arguments)

        members = {"artifacts": {"type": "NO_ARTIFACTS"}, "environment": ENVIRONMENT, "serviceRole": ROLE}
        await call("create_project", name="project", source=NO_SOURCE, **members)
        ids = []
        for minutes in (0, 4, 2):
            now += timedelta(minutes=minutes)
            answer = await call("start_build", projectName="project", idempotencyToken="t")
            ids.append(answer["build"]["id"])
        assert ids[0] == ids[1] != ids[2]
        reset = str(server.make_url("/_codebuild/reset"))
        assert (await asyncio.to_thread(requests.post, reset, timeout=60)).status_code == 204
        assert (await call("batch_get_builds", ids=ids[1:]))["builds"] == []
        assert (await call("list_projects"))["projects"] == []
        assert list((tmp_path / "state" / "builds").iterdir()) == []
    finally:
        await server.close()
