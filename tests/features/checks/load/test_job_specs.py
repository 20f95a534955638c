import json
import re
from typing import Any

import pytest
from tests.features.checks.load.figures import plan

from ephemeral_endpoints.features.checks.load.job_specs import LoadOrder, job
from ephemeral_endpoints.features.checks.load.plan import LoadPlan

UID = "3f0c1c5e-0000-4000-8000-000000000042"


def order(**changes: Any) -> LoadOrder:  # noqa: ANN401 - fields of several types
    fields: dict[str, Any] = {
        "cluster_id": "c1",
        "namespace": "nlp",
        "endpoint": "pr-42",
        "uid": UID,
        "run_id": "run-1",
        "check": "fast",
        "plan": plan(),
        "secret": "pr-42-endpoint-token",
    }
    return LoadOrder(**(fields | changes))


def pod_of(order_: LoadOrder) -> dict[str, Any]:
    spec: dict[str, Any] = job(order_, "operator:1")["spec"]["template"]["spec"]
    return spec


def test_a_load_check_of_a_run_has_one_name_that_kubernetes_takes() -> None:
    one = order(cluster_id="c1234567")
    assert re.fullmatch("[a-z]([a-z0-9-]{0,61}[a-z0-9])", one.name)
    assert order(cluster_id="c1234567").name == one.name


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster_id": "c2"},
        {"uid": UID.replace("42", "43")},
        {"run_id": "run-2"},
        {"check": "slow"},
        {"plan": plan(rate=11)},
    ],
)
def test_another_load_has_another_name(changes: dict[str, Any]) -> None:
    assert order(**changes).name != order().name


def test_the_pod_may_do_nothing_but_send_requests() -> None:
    spec = pod_of(order())
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [each["secret"]["secretName"] for each in spec["volumes"]] == ["pr-42-endpoint-token"]
    assert container["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}


def test_without_authentication_no_secret_is_mounted() -> None:
    spec = pod_of(order(secret=None))
    assert spec["volumes"] == spec["containers"][0]["volumeMounts"] == []
    assert {each["name"] for each in spec["containers"][0]["env"]} == {"EEP_LOAD_PLAN", "EEP_LOAD_RESULT_FILE"}


def test_the_plan_arrives_as_it_is_though_kubernetes_replaces_dollars() -> None:
    hostile = plan(url="https://x.example/$(EEP_LOAD_TOKEN_FILE)/$$/a")
    (container,) = pod_of(order(plan=hostile))["containers"]
    value = next(each["value"] for each in container["env"] if each["name"] == "EEP_LOAD_PLAN")
    assert LoadPlan.from_json(value.replace("$$", "$")) == hostile
    assert json.loads(value)["url"] == "https://x.example/$$(EEP_LOAD_TOKEN_FILE)/$$$$/a"


def test_the_job_ends_by_itself_and_goes_with_its_object() -> None:
    made = job(order(), "operator:1")
    assert made["spec"]["backoffLimit"] == 0
    assert made["spec"]["activeDeadlineSeconds"] == 300 + 120 + 60 + 120 + 10
    assert made["spec"]["ttlSecondsAfterFinished"] == 3600
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("EphemeralEndpoint", "pr-42", UID)
