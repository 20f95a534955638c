"""A version on its way through two stages, on real parts: registry, endpoints, checks, and the API server."""

from typing import Any

from kubernetes.client import AuthenticationV1Api, V1SelfSubjectReview
from tests.fixtures.operator import Bench
from tests.fixtures.waiting import eventually
from tests.integration.test_packages import Group, group  # noqa: F401 - a fixture
from tests.integration.test_serving import ask

from eep_platform.workbench import Object, condition
from ephemeral_endpoints.api import (
    API_VERSION,
    APPROVED_BY_ANNOTATION,
    APPROVED_VERSION_ANNOTATION,
    GROUP,
    VERSION,
)
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS, STAGE

GOOD, BAD = ({"SAY": f'"{text}"', "MEDIA_TYPE": "application/json"} for text in ("good", "bad"))
CHECK = {
    "name": "answers",
    "request": {"body": "{}"},
    "expect": {"values": [{"pointer": "", "equals": "good"}]},
}


def make(bench: Bench, name: str, class_name: str, **spec: Any) -> None:  # noqa: ANN401 - members of a spec
    body = {
        "apiVersion": API_VERSION,
        "kind": STAGE.name,
        "metadata": {"name": name},
        "spec": {
            "className": class_name,
            "repository": "acme/wine",
            "template": {"spec": {"checks": [CHECK]}},
            **spec,
        },
    }
    bench.objects.create_namespaced_custom_object(GROUP, VERSION, bench.namespace, STAGE.plural, body)


def stage(bench: Bench, name: str) -> Object:
    found: Any = bench.objects.get_namespaced_custom_object(GROUP, VERSION, bench.namespace, STAGE.plural, name)
    return dict(found)


def wait_state(bench: Bench, name: str, reason: str, version: str | None = None) -> Object:
    """Wait until a stage has a state, with a promoted version."""

    def has_it() -> bool:
        obj = stage(bench, name)
        current = obj["status"].get("current", {}).get("version")
        return condition(obj, "Promoted").get("reason") == reason and version in {None, current}

    eventually(has_it, f"{name} {reason} {version}")
    return stage(bench, name)


def register(group: Group, **environment: str) -> str:  # noqa: F811 - the fixture
    """An approved version."""
    container = {"Image": group.bench.image, "Environment": environment}
    answer = group.client.create_model_package(
        ModelPackageGroupName=group.name,
        InferenceSpecification={"Containers": [container]},
        ModelApprovalStatus="Approved",
    )
    return str(answer["ModelPackageArn"]).rpartition(":model-package/")[2]


def user(bench: Bench) -> str:
    """The name by which the API server knows the test."""
    made: Any = AuthenticationV1Api(bench.core.api_client).create_self_subject_review(V1SelfSubjectReview())
    return str(made.status.user_info.username)


def test_a_version_goes_from_staging_to_production_and_a_bad_one_goes_back(
    bench: Bench,
    group: Group,  # noqa: F811 - the fixture
) -> None:
    allow = {"spec": {"stages": {"allowed": True}}}
    bench.objects.patch_cluster_custom_object(
        GROUP, VERSION, ENDPOINT_CLASS.plural, group.name, allow, _content_type="application/merge-patch+json"
    )
    good = register(group, **GOOD)
    make(bench, "staging", group.name, source={"group": group.name}, promotion="Auto")
    make(bench, "production", group.name, source={"from": {"stage": "staging"}}, promotion="Manual")
    wait_state(bench, "staging", "Promoted", good)
    assert ask(bench, bench.wait_ready("staging")).json() == "good"

    waiting = wait_state(bench, "production", "AwaitingApproval")
    assert waiting["status"]["candidate"] == good
    assert "production" not in bench.names()
    approval = {APPROVED_VERSION_ANNOTATION: good, APPROVED_BY_ANNOTATION: user(bench)}
    bench.objects.patch_namespaced_custom_object(
        *(GROUP, VERSION, bench.namespace, STAGE.plural, "production"),
        {"metadata": {"annotations": approval}},
        _content_type="application/merge-patch+json",
    )
    promoted = wait_state(bench, "production", "Promoted", good)
    assert promoted["status"]["history"][0]["by"] == approval[APPROVED_BY_ANNOTATION]
    child = bench.wait_ready("production")
    assert ask(bench, child).json() == "good"
    assert "expiresAt" not in child["status"]

    register(group, **BAD)
    pinned = wait_state(bench, "staging", "StagePinned", good)
    assert pinned["status"]["pinnedTo"] == good
    assert [each["outcome"] for each in pinned["status"]["history"]] == ["RolledBack", "Succeeded"]
    assert ask(bench, bench.wait_ready("staging")).json() == "good"
    assert stage(bench, "production")["status"]["current"]["version"] == good

    for name in ("staging", "production"):
        bench.objects.delete_namespaced_custom_object(GROUP, VERSION, bench.namespace, STAGE.plural, name)
    eventually(lambda: not bench.names(), "the endpoints gone with their stages")
