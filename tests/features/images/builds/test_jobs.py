"""Jobs on a real API server with its Job controller. There is no node: the tests write what a kubelet would."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient as AsyncApiClient
from kubernetes.aio.client import Configuration
from kubernetes.client import (
    ApiClient,
    BatchV1Api,
    CoreV1Api,
    V1Namespace,
    V1ObjectMeta,
)
from tests.fixtures.accounts import account
from tests.fixtures.kubernetes import NOW

from ephemeral_endpoints.api.v1alpha1.image_policy import JobBuild
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.features.images.builds import jobs
from ephemeral_endpoints.features.images.builds.job_specs import JobScope, job, job_name
from ephemeral_endpoints.features.images.builds.jobs import RULES, JobBuilder
from ephemeral_endpoints.features.images.builds.policy import Build, BuildTarget, Commit, Copy, Result, Step, Tenant

TENANT = Tenant("uid-of-the-class", "previews")
REPOSITORY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/previews/models"
LOCATION = "https://github.com/acme/sentiment.git"
SHA = "1f0c2a9" + "0" * 33
HOSTILE = (("A", "$(AWS_ROLE_ARN) $$ `id` $(id)"), ("B", "--output type=local,dest=/"), ("C", "'\"\\ {}"))
ORDER = BuildTarget(
    REPOSITORY,
    Commit(LOCATION, SHA, "models/a", "Dockerfile.gpu", "run", HOSTILE, (("pip-token", "pip"),)),
    "linux/arm64",
    TENANT,
)
COPY = BuildTarget(
    REPOSITORY, Copy("123456789013.dkr.ecr.us-east-1.amazonaws.com/model:1.2", SHA), "linux/amd64", TENANT
)
TIMEOUT_SECONDS = 120.0

T = TypeVar("T")


def target_of(revision: str) -> BuildTarget:
    return BuildTarget(REPOSITORY, Commit(LOCATION, revision * 40), "linux/amd64", TENANT)


class Builds:
    """The Jobs of one new namespace, their builder, and what the scheduler and the kubelet do to their Pods."""

    def __init__(self, admin: ApiClient, api: AsyncApiClient, namespace: str) -> None:
        self.core, self.batch = CoreV1Api(admin), BatchV1Api(admin)
        self.admin, self.api, self.namespace = admin, api, namespace
        self.settings = JobBuild(namespace=namespace, service_account_name="default", git_secret="git")  # noqa: S106 - a name
        self.builder = self.of_class("default")

    def of_class(self, name: str, cluster_id: str = "c1") -> JobBuilder:
        return JobBuilder(self.api, JobScope(self.settings, cluster_id, name), lambda: NOW)

    async def begin(self, target: BuildTarget = ORDER, *, attempt: int = 1, timeout_seconds: int = 1800) -> Build:
        return await self.builder.begin(target, attempt=attempt, timeout_seconds=timeout_seconds)

    async def pod(self, build: Build) -> str:
        """The name of the build's Pod, once the Job controller has made it."""
        selector = f"batch.kubernetes.io/job-name={build.id.partition('/')[0]}"

        async def made() -> Any:  # noqa: ANN401 - as the client gives it
            pods = await asyncio.to_thread(self.core.list_namespaced_pod, self.namespace, label_selector=selector)
            names: list[Any] = [each.metadata for each in pods.items]
            return names[0].name if names else None

        return str(await eventually(made))

    async def set_status(self, build: Build, phase: str, **status: object) -> None:
        """Write a status of the build's Pod."""
        name, body = await self.pod(build), {"status": {"phase": phase, **status}}
        await asyncio.to_thread(self.core.patch_namespaced_pod_status, name, self.namespace, body)

    async def now(self, build: Build) -> Build:
        (fresh,) = await self.builder.refresh([build])
        return fresh

    async def ended(self, build: Build) -> Build:
        """The build, once the Job controller has concluded."""

        async def concluded() -> Build | None:
            fresh = await self.now(build)
            return None if fresh.is_running else fresh

        return await eventually(concluded)


async def eventually(look: Callable[[], Awaitable[T | None]]) -> T:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (seen := await look()) is None:
        assert time.monotonic() < deadline, "nothing has come"
        await asyncio.sleep(0.05)
    return seen


def container(name: str, state: dict[str, Any]) -> dict[str, Any]:
    status = {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    return {**status, "state": state}


def exited(name: str, code: int, message: str = "", reason: str = "Error") -> list[dict[str, Any]]:
    return [container(name, {"terminated": {"exitCode": code, "reason": reason, "message": message}})]


@pytest.fixture
def builds(kubernetes_client: ApiClient, api: AsyncApiClient) -> Builds:
    namespace = f"builds-{uuid4().hex[:8]}"
    CoreV1Api(kubernetes_client).create_namespace(V1Namespace(metadata=V1ObjectMeta(name=namespace)))
    return Builds(kubernetes_client, api, namespace)


@pytest.mark.parametrize("target", [ORDER, COPY], ids=["of a commit", "a copy"])
async def test_the_api_server_takes_the_job_as_it_is(builds: Builds, target: BuildTarget) -> None:
    """Also strictly: no field is unknown to it, and none is changed."""
    scope = JobScope(builds.settings, "c1", "default")
    wanted: Any = job(scope, target, attempt=1, timeout_seconds=1800)
    made: Any = builds.batch.create_namespaced_job(
        builds.namespace, wanted, dry_run="All", field_validation="Strict", _preload_content=False
    ).json()  # fmt: skip
    assert_contains(made["metadata"], wanted["metadata"])
    assert_contains(made["spec"], wanted["spec"])


def assert_contains(actual: Any, expected: Any, path: str = "") -> None:  # noqa: ANN401 - JSON
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert_contains(actual[key], value, f"{path}.{key}")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), path
        for index, value in enumerate(expected):
            assert_contains(actual[index], value, f"{path}[{index}]")
    else:
        assert actual == expected, path


async def test_a_build_begins_once_however_often_it_is_asked_for(builds: Builds) -> None:
    first = await builds.begin()
    assert (first.result, first.step, first.image) == (Result.RUNNING, Step.WAITING, ORDER.image)
    assert await builds.begin() == first
    second = await builds.begin(attempt=2)
    assert second.id != first.id
    assert {build.id for build in await builds.builder.all()} == {first.id, second.id}


async def test_a_failed_attempt_is_reported_as_it_ended(builds: Builds) -> None:
    build = await builds.begin()
    await builds.set_status(build, "Failed", containerStatuses=exited("build", 1, "error: failed to solve: x"))
    ended = await builds.ended(build)
    assert ended.message == "x"
    assert await builds.begin() == ended


async def test_a_build_is_followed_to_its_image(builds: Builds) -> None:
    build = await builds.begin()
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/0 nodes"}
    await builds.set_status(build, "Pending", conditions=[unschedulable])
    waiting = await builds.now(build)
    assert (waiting.result, waiting.step, waiting.message) == (Result.RUNNING, Step.WAITING, "0/0 nodes")
    running = [container("build", {"running": {"startedAt": "2026-11-21T12:00:00Z"}})]
    done = exited("credentials", 0, reason="Completed")
    await builds.set_status(build, "Running", initContainerStatuses=done, containerStatuses=running)
    assert await builds.now(build) == replace(build, step=Step.BUILDING)
    await builds.set_status(build, "Succeeded", containerStatuses=exited("build", 0, reason="Completed"))
    ended = await builds.ended(build)
    assert (ended.result, ended.step, ended.message) == (Result.SUCCEEDED, Step.PUSHING, "")
    assert ended.ended_at is not None
    assert ended.ended_at >= ended.started_at == build.started_at
    assert await builds.builder.all() == [ended]


async def test_a_failed_build_is_reported_with_its_last_lines_and_not_retried_by_kubernetes(builds: Builds) -> None:
    build = await builds.begin()
    said = "#5 0.1 make\nerror: failed to solve: dockerfile parse error"
    done = exited("credentials", 0, reason="Completed")
    await builds.set_status(build, "Failed", initContainerStatuses=done, containerStatuses=exited("build", 1, said))
    ended = await builds.ended(build)
    assert (ended.result, ended.step) == (Result.FAILED, Step.BUILDING)
    assert ended.message == "dockerfile parse error"
    assert await builds.builder.last_lines(build, count=1) == (said.splitlines()[1],)
    assert await builds.builder.last_lines(build, count=9) == tuple(said.splitlines())
    assert len(builds.core.list_namespaced_pod(builds.namespace).items) == 1


async def test_a_build_without_a_password_may_be_tried_again(builds: Builds) -> None:
    build = await builds.begin()
    await builds.set_status(build, "Failed", initContainerStatuses=exited("credentials", 254, "AccessDenied"))
    ended = await builds.ended(build)
    assert (ended.result, ended.step) == (Result.FAILED, Step.WAITING)
    assert ended.can_be_helped


async def test_an_evicted_build_is_the_builders_fault(builds: Builds) -> None:
    build = await builds.begin()
    await builds.set_status(build, "Failed", reason="Evicted", message="The node was low on resource: memory.")
    assert (await builds.ended(build)).result is Result.FAULT


async def test_a_build_whose_pod_is_deleted_is_the_builders_fault(builds: Builds) -> None:
    build = await builds.begin()
    name = await builds.pod(build)
    builds.core.delete_namespaced_pod(name, builds.namespace)
    assert (await builds.ended(build)).result is Result.FAULT


async def test_a_build_that_takes_too_long_is_ended(builds: Builds) -> None:
    build = await builds.begin(timeout_seconds=1)
    ended = await builds.ended(build)
    assert (ended.result, ended.message) == (Result.TIMED_OUT, "the build took longer than 1 s")


async def test_a_stopped_build_is_gone_with_its_pod(builds: Builds) -> None:
    build = await builds.begin()
    await builds.pod(build)
    await builds.builder.stop(build)
    stopped = await builds.ended(build)
    assert stopped.result is Result.STOPPED

    async def gone() -> bool | None:
        return await builds.builder.all() == [] or None

    assert await eventually(gone)
    assert builds.core.list_namespaced_pod(builds.namespace).items == []
    await builds.builder.stop(build)
    assert await builds.now(build) == replace(
        build, result=Result.STOPPED, ended_at=NOW, message="the Job is gone"
    )  # fmt: skip
    assert await builds.builder.last_lines(build, count=5) == ()


async def test_while_a_job_is_being_deleted_its_name_is_not_used_again(builds: Builds) -> None:
    build = await builds.begin()
    name = await builds.pod(build)
    kept = {"metadata": {"finalizers": ["example.com/kept"]}}
    builds.core.patch_namespaced_pod(name, builds.namespace, kept)
    await builds.builder.stop(build)
    stopped = await builds.now(build)
    assert (stopped.result, stopped.message) == (Result.STOPPED, "the Job was deleted")
    with pytest.raises(errors.InProgress, match="still being deleted"):
        await builds.begin()
    builds.core.patch_namespaced_pod(name, builds.namespace, {"metadata": {"finalizers": None}})


async def test_a_later_job_of_the_same_name_is_not_stopped(builds: Builds) -> None:
    build = await builds.begin()
    await builds.builder.stop(replace(build, id=f"{build.id.partition('/')[0]}/{uuid4()}"))
    assert (await builds.now(build)).is_running


async def test_builds_of_others_are_neither_listed_nor_adopted(builds: Builds) -> None:
    mine = await builds.begin(target_of("1"))
    other_class = await builds.of_class("other").begin(target_of("2"), attempt=1, timeout_seconds=60)
    await builds.of_class("default", "c2").begin(target_of("1"), attempt=1, timeout_seconds=60)
    assert [build.id for build in await builds.builder.all()] == [mine.id]
    name = job_name("c1", target_of("3").image, 1)
    foreign: Any = job(JobScope(builds.settings, "c1", "default"), target_of("3"), attempt=1, timeout_seconds=60)
    foreign["metadata"] = {"name": name, "namespace": builds.namespace}
    builds.batch.create_namespaced_job(builds.namespace, foreign)
    with pytest.raises(errors.NameConflict, match=name):
        await builds.begin(target_of("3"))
    shared = await builds.begin(target_of("2"))
    assert shared.id == other_class.id, "two classes push to one repository"
    assert (await builds.now(shared)).is_running


async def test_all_pages_of_builds_are_listed(builds: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_PAGE", 2)
    begun = [await builds.begin(target_of(revision)) for revision in "12345"]
    for build in begun:
        await builds.set_status(build, "Running", containerStatuses=[container("build", {"running": {}})])
    reported = await builds.builder.all()
    assert sorted(build.id for build in reported) == sorted(build.id for build in begun)
    assert {build.step for build in reported} == {Step.BUILDING}
    assert await builds.builder.refresh(begun[::-1]) == [replace(each, step=Step.BUILDING) for each in begun[::-1]]
    assert await builds.builder.refresh([]) == []


async def test_a_missing_namespace_is_reported(builds: Builds) -> None:
    builds.settings = builds.settings.model_copy(update={"namespace": "nowhere"})
    builder = builds.of_class("default")
    with pytest.raises(errors.NotFound, match='namespaces "nowhere" not found'):
        await builder.begin(ORDER, attempt=1, timeout_seconds=60)
    assert await builder.all() == []


async def test_a_refusal_of_the_api_server_is_reported_with_its_reason(builds: Builds) -> None:
    with pytest.raises(errors.Invalid, match="activeDeadlineSeconds: Invalid value") as caught:
        await builds.begin(timeout_seconds=-1)
    assert caught.value.operation == "CreateJob"


async def test_a_quota_of_the_namespace_is_reported_as_one(builds: Builds) -> None:
    body: Any = {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    builds.core.create_namespaced_resource_quota(builds.namespace, body)

    async def refused() -> errors.ReconcileError | None:
        try:
            await builds.begin(attempt=uuid4().int % 10**6)
        except errors.QuotaExceeded as problem:
            return problem
        except errors.Denied:  # the quota is not counted yet
            return None
        return None

    assert "exceeded quota" in str(await eventually(refused))


async def test_the_rules_are_enough_for_all_that_it_does(builds: Builds) -> None:
    async with account(builds.admin, builds.api, builds.namespace, RULES) as api:
        builder = JobBuilder(api, JobScope(builds.settings, "c1", "default"), lambda: NOW)
        build = await builder.begin(ORDER, attempt=1, timeout_seconds=60)
        assert await builder.begin(ORDER, attempt=1, timeout_seconds=60) == build
        assert await builder.all() == [build]
        await builds.pod(build)
        assert await builder.last_lines(build, count=5) == (), "no node has a log of it"
        await builder.stop(build)


async def test_a_missing_permission_is_reported(builds: Builds) -> None:
    async with account(builds.admin, builds.api, builds.namespace, []) as api:
        builder = JobBuilder(api, JobScope(builds.settings, "c1", "default"), lambda: NOW)
        with pytest.raises(errors.Denied, match="cannot list resource"):
            await builder.all()
        with pytest.raises(errors.Denied, match="cannot create resource"):
            await builder.begin(ORDER, attempt=1, timeout_seconds=60)


UID = "e6789ae5-52e9-4662-8b57-b3a8ed17076d"
BUILD = Build(f"eep-c1-build-1/{UID}", ORDER.image, Result.RUNNING, Step.WAITING, NOW)
RUNNING = [container("build", {"running": {"startedAt": "2026-11-21T12:00:00Z"}})]
POD = {
    "metadata": {"name": "p", "creationTimestamp": "2026-11-21T12:00:00Z", "ownerReferences": [{"uid": UID}]},
    "status": {"containerStatuses": RUNNING},
}
PODS = {"metadata": {}, "items": [POD]}


@asynccontextmanager
async def served(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[JobBuilder]:
    """A builder whose API server, as far as the test needs one, is this function."""

    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    scope = JobScope(JobBuild(namespace="builds", service_account_name="default"), "c1", "default")
    try:
        async with AsyncApiClient(Configuration(host=f"http://127.0.0.1:{port}")) as api:
            yield JobBuilder(api, scope, lambda: NOW)
    finally:
        await runner.cleanup()


async def test_the_log_of_a_running_build_is_read_from_its_container() -> None:
    """No node, no log: an HTTP server stands in for the API server, which would ask the kubelet."""
    asked: list[web.Request] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request)
        if request.path.endswith("/log"):
            return web.Response(body=b"one\ntwo \xff\nthree\n", content_type="text/plain")
        return web.json_response(PODS)

    async with served(answer) as builder:
        assert await builder.last_lines(BUILD, count=2) == ("two \ufffd", "three")
    assert asked[0].query["labelSelector"] == "batch.kubernetes.io/job-name=eep-c1-build-1"
    assert asked[1].path == "/api/v1/namespaces/builds/pods/p/log"
    assert dict(asked[1].query) == {"container": "build", "tailLines": "22", "limitBytes": "262144"}
    assert "text/plain" in asked[1].headers["Accept"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, "the container has not started"), (404, "the Pod has just gone")],
)
async def test_a_log_that_is_not_there_has_no_lines(status: int, reason: str) -> None:
    def answer(request: web.Request) -> web.Response:
        return web.Response(status=status) if request.path.endswith("/log") else web.json_response(PODS)

    async with served(answer) as builder:
        assert await builder.last_lines(BUILD, count=2) == (), reason


async def test_a_log_that_may_not_be_read_is_reported() -> None:
    def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/log"):
            return web.json_response({"kind": "Status", "message": "pods/log is forbidden"}, status=403)
        return web.json_response(PODS)

    async with served(answer) as builder:
        with pytest.raises(errors.Denied, match="GetPodLog: pods/log is forbidden"):
            await builder.last_lines(BUILD, count=2)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (401, errors.Unauthenticated),
        (403, errors.Denied),
        (404, errors.NotFound),
        (408, errors.Transient),
        (409, errors.Transient),
        (410, errors.Transient),
        (422, errors.Invalid),
        (429, errors.Throttled),
        (500, errors.Transient),
        (503, errors.Transient),
    ],
)
async def test_every_refusal_is_a_problem_that_says_what_to_do(status: int, kind: type[errors.ReconcileError]) -> None:
    def answer(_: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "message": "because"}, status=status)

    async with served(answer) as builder:
        with pytest.raises(errors.ReconcileError) as caught:
            await builder.all()
    assert type(caught.value) is kind


@pytest.mark.parametrize("body", ["<html>", ""])
async def test_an_answer_that_cannot_be_read_is_transient(body: str) -> None:
    async with served(lambda _: web.Response(text=body)) as builder:
        with pytest.raises(errors.Transient):
            await builder.all()


async def test_an_api_server_that_is_not_there_is_transient() -> None:
    settings = JobBuild(namespace="builds", service_account_name="default")
    async with AsyncApiClient(Configuration(host="http://127.0.0.1:1")) as api:
        builder = JobBuilder(api, JobScope(settings, "c1", "default"), lambda: NOW)
        with pytest.raises(errors.Transient, match="did not answer"):
            await builder.all()
