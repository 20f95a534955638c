"""Load checks from the object to their result, in real Jobs whose Pods run as processes of this machine."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient as AsyncApiClient
from kubernetes.aio.client import Configuration
from kubernetes.client import ApiClient, BatchV1Api
from tests.engine.objects import CLUSTER, endpoint, make_class, subject
from tests.features.checks.load.figures import REQUEST, load, measured, result
from tests.fixtures.accounts import account
from tests.fixtures.kubernetes import Cluster
from tests.fixtures.waiting import eventually

import ephemeral_endpoints
from eep_platform.controlplane import ControlPlane
from eep_platform.kubelet import Image, Kubelet
from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.features.checks.load.jobs import LoadJobs
from ephemeral_endpoints.features.checks.load.report import report
from ephemeral_endpoints.features.checks.load.runner import LoadCheck, LoadRunner
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key
from ephemeral_endpoints.kube.client import secret_name

PASSED, FAILED, INCONCLUSIVE = CheckOutcome.PASSED, CheckOutcome.FAILED, CheckOutcome.INCONCLUSIVE
TOKEN = "a-token-of-sixteen-characters"  # noqa: S105 - of a test
OLD, NEW = "a" * 40, "b" * 40
SPEC = {
    "source": {"repository": "acme/sentiment", "pullRequest": 42, "revision": NEW},
    # Whatever the machine's load does to the median of the warm-up: capacity is not what these tests are about.
    "serving": {"serverless": {"maxConcurrency": 200}},
}
QUICK = {"rate": 20, "duration": "1s", "warmUp": 2}


class Model:
    """Answers with the status that it is set to, and keeps the tokens and bodies of the requests."""

    def __init__(self) -> None:
        self.status = 200
        self.seen: list[tuple[str, bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((request.headers.get("Authorization", ""), await request.read()))
        variant = "ab"[len(self.seen) % 2]
        return web.Response(status=self.status, headers={"eep-variant": variant})


@asynccontextmanager
async def served(handle: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class Site:
    """An object in a namespace of its own, its model, and what runs its load checks."""

    cluster: Cluster
    api: AsyncApiClient
    model: Model
    url: str
    store: Store

    @property
    def key(self) -> ObjectKey:
        return endpoint_key(self.cluster.namespace, "pr-42")

    @property
    def subject(self) -> Subject:
        self.store.put(self.cluster.read())
        found = self.store.endpoint(self.key)
        assert found is not None
        return Subject(CLUSTER, found, make_class())

    async def run(self, run_id: str = "run-1", **fields: object) -> CheckResult:
        runner = LoadRunner(
            CLUSTER,
            LoadJobs(self.api, "operator:1"),
            self.store,
            asyncio.get_running_loop().time,
            look_seconds=0.05,
        )
        check = LoadCheck("fast", load(**{**QUICK, **fields}), REQUEST)
        return await runner.run_load(self.key, self.subject, check, self.url, run_id)


@pytest.fixture
async def site(cluster: Cluster, api: AsyncApiClient) -> AsyncIterator[Site]:
    cluster.create(spec=SPEC)
    secret: Any = {"metadata": {"name": secret_name("pr-42")}, "stringData": {"token": TOKEN}}
    cluster.core.create_namespaced_secret(cluster.namespace, secret)
    model = Model()
    async with served(model.handle) as url:
        yield Site(cluster, api, model, url, Store())


@pytest.fixture
def kubelet(cluster: Cluster, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Kubelet]:
    root = str(Path(ephemeral_endpoints.__file__).parents[1])
    image = Image(environment={"PYTHONPATH": root})
    with Kubelet(control_plane.kubeconfig, cluster.namespace, state=tmp_path, image=image) as running:
        yield running


def checks_of(revision: str) -> dict[str, Any]:
    ran = {"name": "fast", "outcome": "Passed", "load": result(rate=20).to_wire()}
    return {"checks": {"id": "1", "revision": revision, "finishedAt": "2026-11-01T12:00:00Z", "results": [ran]}}


@pytest.mark.usefixtures("kubelet")
async def test_a_load_check_runs_in_a_job_and_once_even_if_it_is_asked_for_again(site: Site) -> None:
    site.cluster.patch_status(checks_of(OLD))
    found = await site.run(base={"previousRevision": True})
    assert (found.name, found.outcome, found.message) == ("fast", PASSED, "")
    assert found.load is not None
    assert (found.load.planned, found.load.sent, found.load.failed, found.load.rate) == (20, 20, 0, 20)
    assert {each.name: each.answered for each in found.load.variants} == {"a": 10, "b": 10}
    assert found.latency_ms is not None
    assert found.load.histogram is not None
    assert found.load.base is not None
    assert (found.load.base.revision, found.load.base.p99_ms) == (OLD, 100)
    assert len(site.model.seen) >= 3 + 20
    assert set(site.model.seen) == {(f"Bearer {TOKEN}", REQUEST.body)}
    sent = len(site.model.seen)
    assert await site.run(base={"previousRevision": True}) == found, "another replica finds the Job"
    assert len(site.model.seen) == sent


@pytest.mark.usefixtures("kubelet")
async def test_a_model_that_answers_nothing_but_errors_gets_no_load(site: Site) -> None:
    site.model.status = 400
    found = await site.run()
    assert (found.outcome, found.load) == (FAILED, None)
    assert "none of 1 requests of the warm-up was answered with 2xx; the last one was 400" in found.message


async def test_without_the_image_or_the_right_the_message_says_who_has_to_do_what(
    site: Site, kubernetes_client: ApiClient
) -> None:
    check = LoadCheck("fast", load(), REQUEST)
    runner = LoadRunner(CLUSTER, None, site.store, asyncio.get_running_loop().time)
    unknown = await runner.run_load(site.key, site.subject, check, site.url, "run-1")
    assert unknown.outcome is INCONCLUSIVE
    assert "ask the platform team to set EEP_IMAGE" in unknown.message
    async with account(kubernetes_client, site.api, site.cluster.namespace, []) as api:
        site.api = api
        denied = await site.run()
    assert denied.outcome is INCONCLUSIVE
    assert f"may not run Jobs in the namespace {site.cluster.namespace}: ask the platform team" in denied.message
    assert "load.namespaces of the Helm chart" in denied.message


async def test_what_cannot_show_anything_makes_no_job(site: Site, kubernetes_client: ApiClient) -> None:
    narrow = make_class({"spec": {"routing": {"throttle": {"rateLimit": 1, "burstLimit": 1}}}})
    runner = LoadRunner(CLUSTER, LoadJobs(site.api, "x"), site.store, asyncio.get_running_loop().time)
    one = Subject(CLUSTER, site.subject.endpoint, narrow)
    found = await runner.run_load(site.key, one, LoadCheck("fast", load(), REQUEST), site.url, "run-1")
    assert found.outcome is INCONCLUSIVE
    assert "the class lets 1 requests per second pass" in found.message
    assert BatchV1Api(kubernetes_client).list_namespaced_job(site.cluster.namespace).items == []


async def test_a_result_that_somebody_else_wrote_is_not_believed(site: Site) -> None:
    """No node runs the Pod: whoever may write its status can write anything."""
    running = asyncio.create_task(site.run())
    pods: list[Any] = await asyncio.to_thread(
        eventually, lambda: site.cluster.core.list_namespaced_pod(site.cluster.namespace).items, "the Pod"
    )
    forged = report(measured(*[0.001] * 999)).to_json()
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "message": forged}}
    status = {"name": "load", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": ended}
    body = {"status": {"phase": "Succeeded", "containerStatuses": [status]}}
    site.cluster.core.patch_namespaced_pod_status(pods[0].metadata.name, site.cluster.namespace, body)
    found = await running
    assert (found.outcome, found.load) == (INCONCLUSIVE, None)
    assert "wrote is no result of a load check" in found.message


async def test_an_object_that_is_deleted_meanwhile_leaves_its_check_without_a_job(
    site: Site, kubernetes_client: ApiClient
) -> None:
    running, batch = asyncio.create_task(site.run()), BatchV1Api(kubernetes_client)
    jobs: list[Any] = await asyncio.to_thread(
        eventually, lambda: batch.list_namespaced_job(site.cluster.namespace).items, "the Job"
    )
    (made,) = jobs
    batch.delete_namespaced_job(made.metadata.name, site.cluster.namespace, propagation_policy="Background")
    found = await running
    assert (found.outcome, found.message) == (INCONCLUSIVE, f"the Job {made.metadata.name} was deleted")


JOB: dict[str, Any] = {
    "metadata": {
        "name": "load-1",
        "uid": "uid-of-the-job",
        "annotations": {"ephemeral-endpoints.io/load-run": "run-1"},
        "ownerReferences": [{"uid": subject().endpoint.metadata.uid}],
    },
    "spec": {"activeDeadlineSeconds": 600},
}
LATE = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
POD = {
    "metadata": {"name": "p", "creationTimestamp": "2026", "ownerReferences": [{"uid": "uid-of-the-job"}]},
    "status": {
        "containerStatuses": [
            {"name": "load", "image": "operator:1", "state": {"waiting": {"reason": "ErrImagePull", "message": "401"}}}
        ]
    },
}


@asynccontextmanager
async def stands_in(handle: Callable[[web.Request], web.Response]) -> AsyncIterator[LoadJobs]:
    """Jobs of an API server that is this function, for troubles that a real one cannot be asked for."""

    async def answer(request: web.Request) -> web.Response:
        return handle(request)

    async with served(answer) as url, AsyncApiClient(Configuration(host=url)) as api:
        yield LoadJobs(api, "operator:1")


async def run_with(jobs: LoadJobs, clock: Callable[[], float]) -> CheckResult:
    runner = LoadRunner(CLUSTER, jobs, Store(), clock, look_seconds=0)
    one: EphemeralEndpoint = endpoint()
    key = endpoint_key("nlp", one.metadata.name)
    return await runner.run_load(key, subject(), LoadCheck("fast", load(), REQUEST), "https://x.example", "run-1")


async def test_an_api_server_that_fails_for_a_while_is_asked_again_and_a_hindrance_is_remembered() -> None:
    requests: list[str] = []

    def handle(request: web.Request) -> web.Response:
        requests.append(f"{request.method} {request.path.rpartition('/')[2]}")
        if len(requests) in {1, 3, 5}:
            return web.json_response({}, status=503)
        if request.path.endswith("/pods"):
            return web.json_response({"items": [POD]})
        if request.method == "GET" and request.path.endswith("/jobs"):
            return web.json_response({"metadata": {}, "items": None})
        is_over = request.method == "GET" and requests.count("GET pods") > 0
        return web.json_response({**JOB, "status": {"conditions": [LATE] if is_over else []}})

    async with stands_in(handle) as jobs:
        found = await run_with(jobs, asyncio.get_running_loop().time)
    assert found.outcome is INCONCLUSIVE
    assert found.message == (
        "the Job load-1 was not done after 600 s: container load (operator:1) is waiting: ErrImagePull 401"
    )
    since = requests[requests.index("GET pods") :]
    assert all(each.startswith("GET") for each in since), "once it has begun, it is only looked at"


async def test_an_api_server_that_does_not_come_back_is_given_up() -> None:
    times = iter(range(0, 100_000, 100))

    def handle(_: web.Request) -> web.Response:
        return web.json_response({"message": "etcd is down"}, status=500)

    async with stands_in(handle) as jobs:
        found = await run_with(jobs, lambda: float(next(times)))
    assert found.outcome is INCONCLUSIVE
    assert "did not end in time: the API server does not answer: etcd is down" in found.message


async def test_a_refusal_of_the_api_server_is_told_as_it_is() -> None:
    def handle(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"metadata": {}, "items": []})
        return web.Response(status=422, text=json.dumps({"message": "denied by the policy of the platform"}))

    async with stands_in(handle) as jobs:
        found = await run_with(jobs, asyncio.get_running_loop().time)
    assert found.message == "Kubernetes refuses the Job of the load check: denied by the policy of the platform"
