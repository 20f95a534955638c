"""What holders of the cluster's own roles may do, asked of a real API server, whose controller aggregates them."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from kubernetes.client import ApiClient, AuthorizationV1Api, CoreV1Api, RbacAuthorizationV1Api
from tests.chart.rendering import Chart, kinds
from tests.chart.test_rendering import aggregated
from tests.fixtures.waiting import eventually

from ephemeral_endpoints.api import GROUP
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS

ROLES = ("view", "edit", "admin")
NAMESPACE = "aggregation"
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def review(chart: Chart, kubernetes_client: ApiClient) -> Iterator[AuthorizationV1Api]:
    """Asks what users may do who are named as their role: in the namespace, and `…-everywhere` in the cluster."""
    rbac, core = RbacAuthorizationV1Api(kubernetes_client), CoreV1Api(kubernetes_client)
    ours: Any = [each for each in kinds(chart.of("default"), "ClusterRole") if aggregated(each)]
    namespace: Any = {"metadata": {"name": NAMESPACE}}
    core.create_namespace(namespace)
    for each in ours:
        rbac.create_cluster_role(each)
    for role in ROLES:
        rbac.create_namespaced_role_binding(NAMESPACE, binding(role, role))
        rbac.create_cluster_role_binding(binding(role, f"{role}-everywhere"))
    yield AuthorizationV1Api(kubernetes_client)
    for role in ROLES:
        rbac.delete_cluster_role_binding(f"{role}-everywhere")
    for each in ours:
        rbac.delete_cluster_role(each["metadata"]["name"])
    core.delete_namespace(NAMESPACE)


def binding(role: str, user: str) -> Any:  # noqa: ANN401 - a manifest
    return {
        "metadata": {"name": user},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }


def may(review: AuthorizationV1Api, user: str, verb: str, resource: str) -> bool:
    plural, _, subresource = resource.partition("/")
    is_in_namespace = plural == ENDPOINT.plural
    asked: Any = {
        "spec": {
            "user": user,
            "resourceAttributes": {
                "group": GROUP,
                "resource": plural,
                "subresource": subresource,
                "verb": verb,
                "namespace": NAMESPACE if is_in_namespace else "",
            },
        }
    }
    answer: Any = review.create_subject_access_review(asked)
    return bool(answer.status.allowed)


READ, WRITE = ("get", "list", "watch"), ("create", "update", "patch", "delete", "deletecollection")
OBJECTS, CLASSES = ENDPOINT.plural, ENDPOINT_CLASS.plural


@pytest.mark.parametrize(
    ("user", "verbs", "resource", "expected", "reason"),
    [
        ("view", READ, OBJECTS, True, "who sees a namespace sees its objects"),
        ("view", WRITE, OBJECTS, False, "and changes nothing"),
        ("edit", (*READ, *WRITE), OBJECTS, True, "who deploys deploys objects too"),
        ("admin", (*READ, *WRITE), OBJECTS, True, "likewise"),
        ("edit", ("update", "patch"), f"{OBJECTS}/status", False, "only the operator writes the status"),
        ("admin", ("update", "patch"), f"{OBJECTS}/status", False, "likewise"),
        ("edit", ("approve", "abandon", "pin"), OBJECTS, False, "each has a role of its own"),
        ("admin", ("approve", "abandon", "pin"), OBJECTS, False, "likewise"),
        ("view", ("get",), CLASSES, False, "a right in a namespace covers nothing outside of it"),
        ("view-everywhere", READ, CLASSES, True, "who sees the cluster sees its classes"),
        ("admin-everywhere", WRITE, CLASSES, False, "classes are the platform team's"),
        ("nobody", READ, OBJECTS, False, "others have nothing"),
    ],
)
def test_what_holders_of_the_clusters_roles_may_do(  # noqa: PLR0917 - the columns of the table
    review: AuthorizationV1Api,
    user: str,
    verbs: tuple[str, ...],
    resource: str,
    expected: bool,  # noqa: FBT001 - a column of the table
    reason: str,
) -> None:
    for role in ROLES:  # each is aggregated by itself
        eventually(partial(may, review, role, "get", OBJECTS), f"the role {role} to be aggregated")
        eventually(partial(may, review, f"{role}-everywhere", "get", CLASSES), f"the binding of {role}")
    for role in ("edit", "admin"):
        eventually(partial(may, review, role, "delete", OBJECTS), f"the role {role} to be aggregated")
    assert {verb: may(review, user, verb, resource) for verb in verbs} == dict.fromkeys(verbs, expected), reason


@pytest.mark.parametrize("arguments", [("--set=rbac.aggregate=false",), ("--set=rbac.create=false",)])
def test_the_roles_can_be_left_out(chart: Chart, arguments: tuple[str, ...]) -> None:
    assert [each for each in kinds(chart.of("default", *arguments), "ClusterRole") if aggregated(each)] == []
