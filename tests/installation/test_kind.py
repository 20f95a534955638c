"""With real nodes, where a Docker engine runs: the image that the Dockerfile makes, and the kubelet.

The embedded AWS listens on the loopback only, which no Pod reaches: test_story.py covers what happens in AWS.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.fixtures.waiting import eventually
from tests.installation.releases import RESTRICTED, Cluster, Release

from eep_platform.controlplane import kind
from eep_platform.controlplane.facts import Facts
from eep_platform.kubelet.api import Api
from eep_platform.paths import cache_dir
from ephemeral_endpoints.api import API_VERSION

ROOT: Final = Path(__file__).parents[2]
IMAGE: Final = "ephemeral-endpoints"
TAG: Final = "kind"
ENDPOINTS: Final = "/apis/ephemeral-endpoints.io/v1alpha1/namespaces/default/ephemeralendpoints"
LEASE: Final = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/ephemeral-endpoints"
ROLE: Final = "arn:aws:iam::123456789012:role/ephemeral-endpoints/any"
VALUES: Final[dict[str, Any]] = {
    "image": {"repository": IMAGE, "tag": TAG, "pullPolicy": "Never"},
    "aws": {"region": "us-east-1"},
    "extraEnv": [
        {"name": "AWS_ACCESS_KEY_ID", "value": "nobody"},
        {"name": "AWS_SECRET_ACCESS_KEY", "value": "nothing"},
        {"name": "AWS_ENDPOINT_URL", "value": "http://127.0.0.1:9"},
    ],
}
CLASS: Final = {"region": "us-east-1", "executionRoleArn": ROLE, "forwarderRoleArn": ROLE, "invokeRoleArn": ROLE}
OBJECT: Final[dict[str, Any]] = {
    "apiVersion": API_VERSION,
    "kind": "EphemeralEndpoint",
    "metadata": {"name": "pr-1"},
    "spec": {
        "className": "missing",
        "source": {"repository": "acme/echo", "pullRequest": 1, "revision": "0123abc"},
        "model": {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/echo:1"},
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, helm: Path) -> Iterator[Cluster]:
    """A kind cluster whose nodes have the operator's image."""
    facts = Facts.observe(os.environ)
    if not facts.docker:
        pytest.skip("no Docker engine answers (`docker info` fails)")
    state = tmp_path_factory.mktemp("kind")
    run("docker", "build", "--tag", f"{IMAGE}:{TAG}", ROOT)
    try:
        kubeconfig = kind.start(state, facts.kind)
        program = facts.kind or next((cache_dir() / "controlplane").glob("kind-*"))
        run(program, "load", "docker-image", "--name", kind.cluster_name(state), f"{IMAGE}:{TAG}")
        yield Cluster(kubeconfig, helm, tmp_path_factory.mktemp("helm"), Api(kubeconfig))
    finally:
        kind.stop(state, facts.kind)


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, timeout=1200)  # noqa: S603 - docker and kind, with literal arguments


def holder(release: Release) -> str:
    """Who holds the Lease."""
    lease = release.cluster.api.find(LEASE.format(release.namespace))
    return str(lease["spec"]["holderIdentity"]) if lease else ""


def wait_other_holder(release: Release, before: str) -> str:
    def other() -> str:
        found = holder(release)
        return found if found != before else ""

    return eventually(other, "another leader")


def live_on(cluster: Cluster, release: Release) -> None:
    """Install, drain the leader, upgrade, watch and write an object, refuse to go, go."""
    cluster.make_namespace(release.namespace, RESTRICTED)
    # Helm waits for a class that it upgrades, and this one can never be ready: it is left alone from then on.
    release.install({**VALUES, "classes": {"default": {"spec": CLASS}}})
    first = wait_other_holder(release, "")
    leader = next((pod for pod in release.pods() if first.startswith(pod["metadata"]["name"])), release.pods()[0])
    release.evict(leader)
    second = wait_other_holder(release, first) if first.startswith(leader["metadata"]["name"]) else first
    release.wait_settled()

    release.upgrade({**VALUES, "operator": {"logLevel": "DEBUG"}})
    wait_other_holder(release, second)
    cluster.api("POST", ENDPOINTS, OBJECT)
    path = f"{ENDPOINTS}/pr-1"
    eventually(lambda: cluster.api("GET", path)["status"].get("conditions"), "what the operator says")

    refused = release.uninstall()
    assert refused.returncode != 0
    assert "default/pr-1" in refused.stdout + refused.stderr
    cluster.api("DELETE", path)
    eventually(lambda: cluster.api.find(path) is None, "the object gone")
    release.uninstall_all()
    assert cluster.api("GET", ENDPOINTS)["items"] == [], "the kinds stay"


@pytest.mark.timeout(1800)
def test_a_release_lives_and_goes_on_real_nodes(cluster: Cluster) -> None:
    live_on(cluster, Release(cluster, "eep", "eep-system"))
