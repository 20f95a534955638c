from types import SimpleNamespace
from typing import Any

from tests.fixtures.kubernetes import Cluster
from tests.fixtures.waiting import TIMEOUT_SECONDS

from eep_platform.bench.watching import EndpointWatch
from eep_platform.controlplane import ControlPlane

READY = {"type": "Ready", "status": "True", "observedGeneration": 1, "reason": "Ready", "message": ""}
TIMES = {"lastTransitionTime": "2026-11-21T12:00:00Z"}


def test_it_knows_when_an_object_was_ready_and_when_it_was_gone(cluster: Cluster, control_plane: ControlPlane) -> None:
    platform: Any = SimpleNamespace(kubeconfig=control_plane.kubeconfig)
    with EndpointWatch(platform, cluster.namespace) as watch:
        uid = cluster.create("pr-1")["metadata"]["uid"]
        cluster.patch_status({"observedGeneration": 1, "conditions": [READY | TIMES]}, "pr-1")
        ready = watch.wait_ready(["pr-1"], 1, seconds=TIMEOUT_SECONDS)
        cluster.delete("pr-1")
        gone = watch.wait_gone(["pr-1"], seconds=TIMEOUT_SECONDS)
    assert watch.uids == {"pr-1": uid}
    assert ready["pr-1"] < gone["pr-1"]
    assert watch.imaged_at == {}
