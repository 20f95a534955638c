from types import SimpleNamespace
from typing import Any

from kubernetes.client import ApiClient, CustomObjectsApi
from tests.fixtures.kubernetes import Cluster

from eep_platform.chaos.recorder import ConditionRecorder, ReportedCondition

TIMES = {"lastTransitionTime": "2026-11-21T12:00:00Z", "observedGeneration": 1}


def condition(reason: str) -> dict[str, Any]:
    return {"type": "Ready", "status": "False", "reason": reason, "message": f"{reason}.", **TIMES}


def test_conditions_are_recorded_until_they_are_forgotten(cluster: Cluster, kubernetes_client: ApiClient) -> None:
    bench: Any = SimpleNamespace(namespace=cluster.namespace, objects=CustomObjectsApi(kubernetes_client))
    with ConditionRecorder(bench, "any") as recorder:
        cluster.create("pr-1")
        for reason in ("Creating", "Denied", "Denied"):
            written = cluster.patch_status({"observedGeneration": 1, "conditions": [condition(reason)]}, "pr-1")
            recorder.wait_for_version("pr-1", written["metadata"]["resourceVersion"])
        seen = [ReportedCondition("object", "Ready", "False", each, f"{each}.") for each in ("Creating", "Denied")]
        assert recorder.reported() == seen
        recorder.forget()
        cluster.delete("pr-1")
        recorder.wait_for_version("pr-1", None)
