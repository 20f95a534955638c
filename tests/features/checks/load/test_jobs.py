"""Jobs on a real API server with its Job controller. There is no node: the tests write what a kubelet would."""

import asyncio
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient as AsyncApiClient
from kubernetes.client import ApiClient, ApiException, BatchV1Api
from tests.features.checks.load.figures import plan
from tests.fixtures.accounts import account
from tests.fixtures.kubernetes import Cluster
from tests.fixtures.waiting import eventually

from ephemeral_endpoints.features.checks.load.job_outcome import Ended, Running
from ephemeral_endpoints.features.checks.load.job_specs import LoadOrder, job
from ephemeral_endpoints.features.checks.load.jobs import RULES, LoadJobs
from ephemeral_endpoints.kube.errors import Denied, QuotaExceeded

IMAGE = "operator:1"
RESTRICTED = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}


class Site:
    """A namespace with an object, its load checks, and what the scheduler and the kubelet do to their Pods."""

    def __init__(self, cluster: Cluster, admin: ApiClient, api: AsyncApiClient) -> None:
        self.cluster, self.admin, self.api = cluster, admin, api
        self.batch = BatchV1Api(admin)
        self.jobs = LoadJobs(api, IMAGE)
        self.uid = cluster.create()["metadata"]["uid"]

    def order(self, run_id: str = "run-1", check: str = "fast") -> LoadOrder:
        return LoadOrder("c1", self.cluster.namespace, "pr-42", self.uid, run_id, check, plan(), "token")

    def names(self) -> set[str]:
        jobs: list[Any] = self.batch.list_namespaced_job(self.cluster.namespace).items
        return {each.metadata.name for each in jobs}

    def pods(self) -> list[Any]:
        return list(self.cluster.core.list_namespaced_pod(self.cluster.namespace).items)

    async def ended(self, order: LoadOrder) -> Ended:
        """The load check, once the Job controller has concluded."""
        while not isinstance(seen := await self.jobs.look(order), Ended):
            await asyncio.sleep(0.05)
        return seen

    async def set_status(self, phase: str, **status: object) -> None:
        """Write the status of the only Pod, once the Job controller has made it."""
        pods = await asyncio.to_thread(eventually, self.pods, "the Pod")
        body = {"status": {"phase": phase, **status}}
        self.cluster.core.patch_namespaced_pod_status(pods[-1].metadata.name, self.cluster.namespace, body)


def container(code: int, message: str) -> list[dict[str, Any]]:
    ended = {"exitCode": code, "reason": "Completed", "message": message}
    status = {"name": "load", "image": IMAGE, "imageID": "", "ready": False, "restartCount": 0}
    return [{**status, "state": {"terminated": ended}}]


@pytest.fixture
def site(cluster: Cluster, kubernetes_client: ApiClient, api: AsyncApiClient) -> Site:
    return Site(cluster, kubernetes_client, api)


def test_the_api_server_takes_the_job_as_it_is(site: Site) -> None:
    """Also strictly: no field is unknown to it, and none is changed."""
    wanted: Any = job(site.order(), IMAGE)
    made: Any = site.batch.create_namespaced_job(
        site.cluster.namespace, wanted, dry_run="All", field_validation="Strict", _preload_content=False
    ).json()  # fmt: skip
    pod, wanted_pod = made["spec"]["template"]["spec"], wanted["spec"]["template"]["spec"]
    assert {**pod, **wanted_pod, "containers": 0} == {**pod, "containers": 0}
    (container_,), (wanted_container,) = pod["containers"], wanted_pod["containers"]
    assert {**container_, **wanted_container} == container_
    assert made["spec"]["podFailurePolicy"] == wanted["spec"]["podFailurePolicy"]
    found, (owner,) = site.cluster.read(), made["metadata"]["ownerReferences"]
    named = {**{key: found[key] for key in ("apiVersion", "kind")}, "name": "pr-42", "uid": found["metadata"]["uid"]}
    assert owner == {**named, "controller": True}, "with which Kubernetes deletes it"


async def test_a_namespace_that_restricts_pods_takes_the_pod_too(site: Site) -> None:
    site.cluster.core.patch_namespace(site.cluster.namespace, RESTRICTED)
    await site.jobs.begin(site.order())
    pods = await asyncio.to_thread(eventually, site.pods, "the Pod")
    assert [each.metadata.labels["app.kubernetes.io/managed-by"] for each in pods] == ["ephemeral-endpoints"]


async def test_a_load_check_begins_once_however_often_it_is_asked_for(site: Site) -> None:
    first = await site.jobs.begin(site.order())
    assert isinstance(first, Running)
    assert isinstance(await site.jobs.begin(site.order()), Running)
    assert site.names() == {site.order().name}
    assert isinstance(await site.jobs.begin(site.order(check="slow")), Running)
    assert len(site.names()) == 2


async def test_its_result_is_what_the_generator_wrote(site: Site) -> None:
    order = site.order()
    await site.jobs.begin(order)
    await site.set_status("Succeeded", containerStatuses=container(0, '{"warmUp": {}}'))
    assert await site.ended(order) == Ended(written='{"warmUp": {}}')
    assert await site.jobs.begin(order) == Ended(written='{"warmUp": {}}'), "as after a restart of the operator"


async def test_what_is_in_the_way_of_its_pod_is_told(site: Site) -> None:
    order = site.order()
    await site.jobs.begin(order)
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/0 nodes"}
    await site.set_status("Pending", conditions=[unschedulable])
    assert await site.jobs.look(order) == Running("0/0 nodes")


async def test_a_pod_that_the_cluster_ends_is_no_failure_of_the_job(site: Site) -> None:
    """The Job controller makes another one after some seconds."""
    order = site.order()
    await site.jobs.begin(order)
    evicted = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}
    await site.set_status("Failed", conditions=[evicted], containerStatuses=container(137, ""))

    def is_noticed() -> bool:
        return any(not each.metadata.finalizers for each in site.pods())

    await asyncio.to_thread(eventually, is_noticed, "the Job controller's notice")
    assert isinstance(await site.jobs.look(order), Running)


async def test_a_generator_that_fails_is_not_run_again(site: Site) -> None:
    order = site.order()
    await site.jobs.begin(order)
    await site.set_status("Failed", containerStatuses=container(1, "OSError: no token"))
    assert await site.ended(order) == Ended(trouble="the generator failed (exit code 1): OSError: no token")
    assert len(site.pods()) == 1


async def test_what_earlier_runs_have_left_is_ended_and_that_of_others_is_not(site: Site) -> None:
    other = site.cluster.create("pr-43")["metadata"]["uid"]
    foreign = LoadOrder("c1", site.cluster.namespace, "pr-43", other, "run-1", "fast", plan(), None)
    for each in (site.order("run-1"), site.order("run-2"), site.order("run-2", "slow"), foreign):
        await site.jobs.begin(each)
    await site.jobs.end_others(site.order("run-2"))
    kept = {site.order("run-2").name, site.order("run-2", "slow").name, foreign.name}
    await asyncio.to_thread(eventually, lambda: site.names() == kept, "the end of the earlier run")
    await site.jobs.end_others(site.order("run-2"))
    assert (await site.jobs.look(site.order("run-1"))) == Ended(
        trouble=f"the Job {site.order('run-1').name} was deleted"
    )


async def test_a_job_of_the_same_name_that_is_not_ours_is_not_believed(site: Site) -> None:
    order = site.order()
    foreign: Any = job(order, IMAGE)
    foreign["metadata"] = {"name": order.name, "namespace": order.namespace}
    site.batch.create_namespaced_job(order.namespace, foreign)
    expected = f"the Job {order.name} belongs to something else: delete or rename it"
    assert await site.jobs.begin(order) == Ended(trouble=expected)


async def test_the_rules_are_enough_for_all_that_it_does(site: Site) -> None:
    async with account(site.admin, site.api, site.cluster.namespace, RULES) as api:
        jobs = LoadJobs(api, IMAGE)
        await jobs.begin(site.order("run-1"))
        await jobs.end_others(site.order("run-2"))
        await jobs.begin(site.order("run-2"))
        assert isinstance(await jobs.begin(site.order("run-2")), Running)


async def test_a_missing_permission_and_a_quota_are_told_apart(site: Site) -> None:
    async with account(site.admin, site.api, site.cluster.namespace, []) as api:
        with pytest.raises(Denied, match="cannot create resource"):
            await LoadJobs(api, IMAGE).begin(site.order())
    body: Any = {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    site.cluster.core.create_namespaced_resource_quota(site.cluster.namespace, body)

    def is_in_force() -> bool:
        wanted: Any = job(site.order(), IMAGE)
        try:
            site.batch.create_namespaced_job(site.cluster.namespace, wanted, dry_run="All")
        except ApiException as error:
            return "exceeded quota" in (error.body or "")
        return False

    await asyncio.to_thread(eventually, is_in_force, "the quota")
    with pytest.raises(QuotaExceeded, match="exceeded quota"):
        await site.jobs.begin(site.order())
