"""A kubelet below the real controllers: what a Deployment and a Job ask for really happens."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from kubernetes.client import ApiClient, AppsV1Api, BatchV1Api, CoreV1Api, V1Namespace, V1ObjectMeta
from kubernetes.client.exceptions import ApiException
from tests.fixtures.waiting import eventually

from eep_platform.controlplane import ControlPlane, server
from eep_platform.kubelet import Image, Kubelet, served_logs
from eep_platform.kubelet.api import Api

PORT = 8080
SERVER = """
import http.server, json, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ready, healthy = not os.environ.get("NEVER"), True
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global healthy
        if self.path == "/die":
            os._exit(7)
        healthy = healthy and self.path != "/sick"
        good = {"/readyz": ready, "/healthz": healthy}.get(self.path, True)
        self.send_response(200 if good else 503)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer((os.environ["WEB_HOST"], int(os.environ["WEB_PORT"])), Handler).serve_forever()
"""


class Cluster:
    """A namespace, and what people and controllers make in it."""

    def __init__(self, client: ApiClient, kubeconfig: Path, namespace: str) -> None:
        self.core, self.apps, self.batch = CoreV1Api(client), AppsV1Api(client), BatchV1Api(client)
        self.namespace = namespace
        self.api = Api(kubeconfig)

    def pods(self) -> list[Any]:
        return list(self.api("GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"])

    def wait_pods(self, count: int, *, phase: str = "Running") -> list[Any]:
        def found() -> list[Any]:
            pods = self.pods()
            is_done = len(pods) == count and all(
                pod["status"].get("phase") == phase and (phase != "Running" or is_ready(pod)) for pod in pods
            )
            return pods if is_done else []

        return eventually(found, f"{count} Pods that are {phase}")

    def deploy(self, replicas: int = 1, **environment: str) -> None:
        container = {
            "name": "web",
            "image": "web:1",
            "command": ["python", "-c", SERVER],
            "env": [
                {"name": "WEB_HOST", "value": "0.0.0.0"},  # noqa: S104 - what a chart says
                {"name": "WEB_PORT", "value": str(PORT)},
                *({"name": name, "value": value} for name, value in environment.items()),
            ],
            "ports": [{"name": "http", "containerPort": PORT}],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
            "livenessProbe": {
                "httpGet": {"path": "/healthz", "port": "http"},
                "periodSeconds": 1,
                "failureThreshold": 1,
            },
        }
        pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": pod}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
        self.apps.patch_namespaced_deployment(
            "web", self.namespace, body, field_manager="test", _content_type="application/apply-patch+yaml"
        )

    def wait_restarted(self) -> Any:  # noqa: ANN401 - a Pod as the API server gives it
        def restarted() -> list[Any]:
            return [
                pod for pod in self.pods() if is_ready(pod) and pod["status"]["containerStatuses"][0]["restartCount"]
            ]

        (pod,) = eventually(restarted, "the restart")
        return pod

    def wait_rolled_out(self, replicas: int) -> None:
        def is_done() -> bool:
            path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/web"
            found = self.api("GET", path)
            status = found["status"]
            figures = [status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")]
            return status.get("observedGeneration") == found["metadata"]["generation"] and figures == [replicas] * 3

        eventually(is_done, "the rollout")

    def job(self, code: str, **members: Any) -> None:  # noqa: ANN401 - members of a PodSpec
        container = {
            "name": "main",
            "image": "any",
            "command": ["python", "-c", code],
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
        pod = {"spec": {"restartPolicy": "Never", "containers": [container], **members}}
        spec = {"backoffLimit": 0, "template": pod}
        body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "task"}, "spec": spec}
        self.api("POST", f"/apis/batch/v1/namespaces/{self.namespace}/jobs", body)

    def wait_job(self, condition: str) -> None:
        def is_done() -> bool:
            path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs/task"
            conditions = self.api("GET", path)["status"].get("conditions", [])
            return any(each["type"] == condition and each["status"] == "True" for each in conditions)

        eventually(is_done, f"the Job {condition}")


def is_ready(pod: Any) -> bool:  # noqa: ANN401 - as the API server gives it
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def state_of(pod: Any, which: str = "state") -> Any:  # noqa: ANN401 - likewise
    return pod["status"]["containerStatuses"][0][which]


@pytest.fixture
def cluster(control_plane: ControlPlane, kubernetes_client: ApiClient) -> Iterator[Cluster]:
    made = Cluster(kubernetes_client, control_plane.kubeconfig, f"kubelet-{uuid4().hex[:8]}")
    made.core.create_namespace(V1Namespace(metadata=V1ObjectMeta(name=made.namespace)))
    path = f"/api/v1/namespaces/{made.namespace}/serviceaccounts/default"
    eventually(lambda: made.api.find(path), "the default service account")
    yield made
    made.core.delete_namespace(made.namespace)


@pytest.fixture
def kubelet(cluster: Cluster, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Kubelet]:
    image = Image((sys.executable, "-c", "raise SystemExit(9)"), {"FROM_IMAGE": "1", "PYTHONUNBUFFERED": "1"})
    with Kubelet(control_plane.kubeconfig, cluster.namespace, state=tmp_path, image=image, pace=20) as running:
        yield running


def test_the_replicas_of_a_deployment_run_side_by_side_with_their_environment(
    cluster: Cluster, kubelet: Kubelet
) -> None:
    cluster.deploy(2, GREETING="hello")
    cluster.wait_rolled_out(2)
    pods = cluster.wait_pods(2)
    urls = {kubelet.url(pod, PORT) for pod in pods}
    assert len(urls) == 2
    for pod in pods:
        reported = requests.get(kubelet.url(pod, PORT), timeout=60).json()
        assert (reported["GREETING"], reported["FROM_IMAGE"]) == ("hello", "1")
        assert reported["HOSTNAME"] == pod["metadata"]["name"]


def test_a_rollout_replaces_the_processes(cluster: Cluster, kubelet: Kubelet) -> None:
    cluster.deploy(1, GREETING="hello")
    (before,) = cluster.wait_pods(1)
    cluster.deploy(1, GREETING="goodbye")
    cluster.wait_rolled_out(1)
    (after,) = cluster.wait_pods(1)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert requests.get(kubelet.url(after, PORT), timeout=60).json()["GREETING"] == "goodbye"
    with pytest.raises(requests.ConnectionError):
        requests.get(kubelet.url(before, PORT), timeout=60)


def test_a_pod_that_is_not_ready_holds_the_rollout_up(cluster: Cluster, kubelet: Kubelet) -> None:
    cluster.deploy(1)
    (before,) = cluster.wait_pods(1)
    cluster.deploy(1, NEVER="1")

    def answered() -> list[Any]:
        return [pod for pod in cluster.pods() if pod["metadata"]["uid"] != before["metadata"]["uid"] and runs(pod)]

    (waiting,) = eventually(answered, "the new Pod")
    eventually(lambda: is_up(kubelet.url(waiting, PORT)), "its server")
    assert {pod["metadata"]["uid"] for pod in cluster.pods() if is_ready(pod)} == {before["metadata"]["uid"]}
    assert requests.get(f"{kubelet.url(before, PORT)}/readyz", timeout=60).ok, "the old one stays"


def is_up(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=60).status_code == 503
    except requests.RequestException:
        return False


def runs(pod: Any) -> bool:  # noqa: ANN401 - as the API server gives it
    return bool(pod["status"].get("phase") == "Running")


def test_a_container_that_dies_is_started_again(cluster: Cluster, kubelet: Kubelet) -> None:
    cluster.deploy(1)
    (pod,) = cluster.wait_pods(1)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{kubelet.url(pod, PORT)}/die", timeout=60)
    again = cluster.wait_restarted()
    assert again["metadata"]["uid"] == pod["metadata"]["uid"]
    assert state_of(again, "lastState")["terminated"]["exitCode"] == 7
    assert requests.get(kubelet.url(pod, PORT), timeout=60).ok


def test_a_container_that_hangs_is_ended_and_started_again(cluster: Cluster, kubelet: Kubelet) -> None:
    cluster.deploy(1)
    (pod,) = cluster.wait_pods(1)
    assert requests.get(f"{kubelet.url(pod, PORT)}/sick", timeout=60).ok
    again = cluster.wait_restarted()
    assert state_of(again, "lastState")["terminated"]["exitCode"] == 0, "it heard the signal"
    assert requests.get(f"{kubelet.url(pod, PORT)}/healthz", timeout=60).ok


@pytest.mark.usefixtures("kubelet")
def test_a_disruption_budget_knows_how_many_pods_are_healthy(cluster: Cluster) -> None:
    selector = {"matchLabels": {"app": "web"}}
    body = {"metadata": {"name": "web"}, "spec": {"minAvailable": 2, "selector": selector}}
    budgets = f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets"
    cluster.api("POST", budgets, body)
    cluster.deploy(2)
    first, _ = cluster.wait_pods(2)
    eventually(
        lambda: cluster.api("GET", f"{budgets}/web")["status"]["currentHealthy"] == 2,
        "two healthy Pods",
    )
    name = first["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    with pytest.raises(ApiException, match="disruption budget"):
        cluster.api("POST", f"/api/v1/namespaces/{cluster.namespace}/pods/{name}/eviction", eviction)


@pytest.mark.usefixtures("kubelet")
def test_a_job_is_done_when_its_process_is(cluster: Cluster) -> None:
    cluster.job("print('done')")
    cluster.wait_job("Complete")
    (pod,) = cluster.wait_pods(1, phase="Succeeded")
    assert "message" not in state_of(pod)["terminated"]


@pytest.mark.usefixtures("kubelet")
def test_a_job_that_fails_says_why(cluster: Cluster) -> None:
    cluster.job("import sys; print('the reason'); sys.exit(3)")
    cluster.wait_job("Failed")
    (pod,) = cluster.wait_pods(1, phase="Failed")
    ended = state_of(pod)["terminated"]
    assert (ended["exitCode"], ended["message"]) == (3, "the reason\n")


@pytest.mark.usefixtures("kubelet")
def test_a_job_reads_its_secret_and_its_own_message_is_kept_though_it_succeeds(cluster: Cluster) -> None:
    secret = {"metadata": {"name": "safe"}, "stringData": {"key": "hunter2"}}
    cluster.api("POST", f"/api/v1/namespaces/{cluster.namespace}/secrets", secret)
    code = (
        "import os, pathlib\n"
        "said = pathlib.Path(os.environ['SAFE']).read_text() + 'x' * 5000\n"
        "pathlib.Path(os.environ['MESSAGE']).write_text(said)"
    )
    variables = [{"name": "SAFE", "value": "/run/safe/key"}, {"name": "MESSAGE", "value": "/dev/termination-log"}]
    mounts = [{"name": "safe", "mountPath": "/run/safe"}]
    container = {"name": "main", "image": "any", "command": ["python", "-c", code], "env": variables}
    volumes = [{"name": "safe", "secret": {"secretName": "safe"}}]
    cluster.job("", containers=[{**container, "volumeMounts": mounts}], volumes=volumes)
    cluster.wait_job("Complete")
    (pod,) = cluster.wait_pods(1, phase="Succeeded")
    assert state_of(pod)["terminated"]["message"] == "hunter2" + "x" * (4096 - len("hunter2"))


def test_what_a_container_prints_can_be_read_through_the_api_server(
    cluster: Cluster, kubelet: Kubelet, control_plane_state: Path
) -> None:
    certificates = server.folder(control_plane_state) / "certificates"
    pair = {"certificate": certificates / "apiserver.crt", "key": certificates / "apiserver.key"}
    with served_logs(cluster.api, kubelet.log, **pair):
        cluster.job("print('said')")
        cluster.wait_job("Complete")
        (pod,) = cluster.pods()
        assert cluster.core.read_namespaced_pod_log(pod["metadata"]["name"], cluster.namespace) == "said\n"
    assert cluster.api.find("/api/v1/nodes/local") is None


WHO = """
import json, os
from kubernetes import client, config
config.load_kube_config(os.environ["KUBECONFIG"])
answer = client.AuthenticationV1Api().create_self_subject_review({})
print(json.dumps({"user": answer.status.user_info.username, "extra": answer.status.user_info.extra}))
raise SystemExit(1)
"""


@pytest.mark.usefixtures("kubelet")
def test_a_process_is_its_pods_service_account(cluster: Cluster) -> None:
    cluster.api("POST", f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts", {"metadata": {"name": "cook"}})
    cluster.job(WHO, serviceAccountName="cook")
    (pod,) = cluster.wait_pods(1, phase="Failed")
    reported = json.loads(state_of(pod)["terminated"]["message"])
    assert reported["user"] == f"system:serviceaccount:{cluster.namespace}:cook"
    assert reported["extra"]["authentication.kubernetes.io/pod-uid"] == [pod["metadata"]["uid"]]


@pytest.mark.usefixtures("kubelet")
def test_a_deleted_pod_has_its_grace_and_is_gone_then(cluster: Cluster, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    code = (
        "import signal, sys, time, pathlib\n"
        f"trace = pathlib.Path({str(trace)!r})\n"
        "signal.signal(signal.SIGTERM, lambda *_: (trace.write_text('farewell'), sys.exit(0)))\n"
        "trace.write_text('up'); time.sleep(99)"
    )
    cluster.job(code)
    (pod,) = cluster.wait_pods(1)
    eventually(lambda: trace.exists() and trace.read_text() == "up", "the process")
    cluster.batch.delete_namespaced_job("task", cluster.namespace, propagation_policy="Foreground")
    eventually(lambda: not cluster.pods(), "the Pod gone")
    assert pod
    assert trace.read_text() == "farewell"


@pytest.mark.usefixtures("kubelet")
def test_a_container_that_lacks_its_secret_waits_for_it(cluster: Cluster) -> None:
    variable = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "safe", "key": "key"}}}
    container = {"name": "main", "image": "any", "command": ["python", "-c", "pass"], "env": [variable]}
    cluster.job("", containers=[container])

    def reasons() -> set[str]:
        return {
            each["state"].get("waiting", {}).get("reason", "")
            for pod in cluster.pods()
            for each in pod["status"].get("containerStatuses", [])
        }

    eventually(lambda: reasons() == {"CreateContainerConfigError"}, "the reason")
    secret = {"metadata": {"name": "safe"}, "stringData": {"key": "hunter2"}}
    cluster.api("POST", f"/api/v1/namespaces/{cluster.namespace}/secrets", secret)
    cluster.wait_job("Complete")
