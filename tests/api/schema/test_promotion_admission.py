"""Who may approve versions and bypass that, and which stages the API server takes: asked of a real one."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from tests.fixtures.waiting import eventually

from ephemeral_endpoints.api import API_VERSION, APPROVED_BY_ANNOTATION, APPROVED_VERSION_ANNOTATION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT, PROMOTION, STAGE, ObjectKind
from ephemeral_endpoints.api.schema.admission import BYPASSER_ROLE, STAGE_APPROVER_ROLE

WRITER, APPROVER = "stage-writer", "stage-approver"
SPEC = {"className": "default", "repository": "acme/wine", "source": {"group": "wine"}}
ENDPOINT_SPEC = {
    "source": {"repository": "acme/wine", "revision": "1f0c2a9"},
    "model": {"package": {"group": "wine", "version": 1}},
}

Users = Callable[[str], "User"]


class User:
    """What a user does in a namespace; each method returns the API server's refusal, empty if there is none."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._objects, self._namespace = client.CustomObjectsApi(api), namespace

    def create(self, kind: ObjectKind, spec: Any, **metadata: Any) -> str:  # noqa: ANN401 - JSON
        body = {
            "apiVersion": API_VERSION,
            "kind": kind.name,
            "metadata": {"name": f"a-{uuid4().hex[:8]}", **metadata},
            "spec": spec,
        }
        return self._refusal(self._objects.create_namespaced_custom_object, kind, body)

    def change(self, kind: ObjectKind, name: str, patch: Any) -> str:  # noqa: ANN401 - JSON
        method = self._objects.patch_namespaced_custom_object
        return self._refusal(method, kind, name, patch, _content_type="application/merge-patch+json")

    def _refusal(self, method: Callable[..., object], kind: ObjectKind, *given: Any, **options: Any) -> str:  # noqa: ANN401
        try:
            method(GROUP, VERSION, self._namespace, kind.plural, *given, **options)
        except ApiException as error:
            return str(error.body)
        return ""


@pytest.fixture(scope="module")
def users(crds: None, kubernetes_client: client.ApiClient) -> Users:  # noqa: ARG001 - policies and roles exist
    namespace = f"stages-{uuid4().hex[:8]}"
    core, rbac = client.CoreV1Api(kubernetes_client), client.RbacAuthorizationV1Api(kubernetes_client)
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
    plurals = [each.plural for each in (STAGE, PROMOTION, ENDPOINT)]
    rule = client.V1PolicyRule(api_groups=[GROUP], resources=plurals, verbs=["create", "get", "update", "patch"])
    rbac.create_namespaced_role(namespace, client.V1Role(metadata=client.V1ObjectMeta(name="write"), rules=[rule]))
    for user, kind, role in (
        (WRITER, "Role", "write"),
        (APPROVER, "Role", "write"),
        (APPROVER, "ClusterRole", BYPASSER_ROLE),
        # The last one, which is waited for: the API server takes note of them in their order.
        (APPROVER, "ClusterRole", STAGE_APPROVER_ROLE),
    ):
        rbac.create_namespaced_role_binding(
            namespace,
            client.V1RoleBinding(
                metadata=client.V1ObjectMeta(name=f"{user}-{role}"),
                role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind=kind, name=role),
                subjects=[client.RbacV1Subject(api_group="rbac.authorization.k8s.io", kind="User", name=user)],
            ),
        )

    def act_as(name: str) -> User:
        api = client.ApiClient(kubernetes_client.configuration, header_name="Impersonate-User", header_value=name)
        return User(api, namespace)

    approved = {APPROVED_VERSION_ANNOTATION: "wine/1", APPROVED_BY_ANNOTATION: APPROVER}
    eventually(lambda: "lacks" in act_as(WRITER).create(STAGE, SPEC, annotations=_by(WRITER)), "the policy in force")
    eventually(lambda: not act_as(APPROVER).create(STAGE, SPEC, annotations=approved), "the rights of the approver")
    return act_as


def _by(user: str, version: str = "wine/7") -> dict[str, str]:
    return {APPROVED_VERSION_ANNOTATION: version, APPROVED_BY_ANNOTATION: user}


def _of_stage() -> list[dict[str, object]]:
    return [{"apiVersion": API_VERSION, "kind": STAGE.name, "name": "x", "uid": str(uuid4()), "controller": True}]


@pytest.mark.parametrize(
    ("who", "annotations", "refusal", "reason"),
    [
        (WRITER, {}, "", "who may write may make stages"),
        (WRITER, _by(WRITER), "lacks the verb approve", "and approves nothing"),
        (APPROVER, _by(APPROVER), "", "an approver does, in their own name"),
        (APPROVER, _by("somebody-else"), "must be your user name", "nobody approves in another's name"),
        (APPROVER, {APPROVED_VERSION_ANNOTATION: "wine/7"}, "must be your user name", "nor in nobody's"),
        (APPROVER, _by(APPROVER, "wine"), "such as wine/7", "a group says too little"),
        (APPROVER, _by(APPROVER, "wine/7\\n"), "such as wine/7", "a version and nothing else"),
        (APPROVER, {APPROVED_BY_ANNOTATION: APPROVER}, "such as wine/7", "a name without a version"),
    ],
)
def test_who_may_approve_a_version(
    users: Users, who: str, annotations: dict[str, str], refusal: str, reason: str
) -> None:
    answer = users(who).create(STAGE, SPEC, annotations=annotations)
    assert (refusal in answer) if refusal else not answer, (reason, answer)


def test_what_is_approved_cannot_be_changed_without_the_verb(users: Users) -> None:
    assert not users(APPROVER).create(STAGE, SPEC, name="approved", annotations=_by(APPROVER))
    change = users(WRITER).change
    assert "lacks the verb approve" in change(STAGE, "approved", {"metadata": {"annotations": _by(WRITER)}})
    forged = {"metadata": {"annotations": {APPROVED_BY_ANNOTATION: WRITER}}}
    assert "lacks the verb approve" in change(STAGE, "approved", forged)
    assert not change(STAGE, "approved", {"spec": {"suspend": True}})
    assert "cannot be changed" in change(STAGE, "approved", {"spec": {"className": "other"}})
    assert not change(STAGE, "approved", {"metadata": {"annotations": None}})


@pytest.mark.parametrize(
    ("who", "spec", "refusal", "reason"),
    [
        (WRITER, {"version": "wine/7"}, "", "it waits for its approval"),
        (WRITER, {"kind": "Rollback"}, "", "whoever may write may go back"),
        (WRITER, {"version": "wine/7", "bypassApproval": True}, "lacks the verb bypass-approval", "a right of its own"),
        (APPROVER, {"version": "wine/7", "bypassApproval": True}, "", "which somebody may have"),
        (WRITER, {"version": "wine/7", "requestedBy": WRITER}, "", "in one's own name"),
        (WRITER, {"version": "wine/7", "requestedBy": APPROVER}, "must be your user name", "not in another's"),
        (WRITER, {}, "version is needed", "a promotion names a version"),
        (WRITER, {"version": "wine"}, "such as wine/7", "and not a group"),
        (APPROVER, {"kind": "Rollback", "bypassApproval": True}, "needs no approval", "there is nothing to bypass"),
    ],
)
def test_which_promotions_are_taken(users: Users, who: str, spec: dict[str, object], refusal: str, reason: str) -> None:
    answer = users(who).create(PROMOTION, {"stage": "staging", **spec})
    assert (refusal in answer) if refusal else not answer, (reason, answer)


def test_a_promotion_cannot_change(users: Users) -> None:
    assert not users(WRITER).create(PROMOTION, {"stage": "staging", "version": "wine/7"}, name="fixed")
    assert "runs once" in users(WRITER).change(PROMOTION, "fixed", {"spec": {"version": "wine/8"}})


def test_nobody_but_the_operator_makes_endpoints_that_never_end(users: Users) -> None:
    refusal = "only the operator makes endpoints"
    assert refusal in users(WRITER).create(ENDPOINT, ENDPOINT_SPEC, ownerReferences=_of_stage())
    assert not users(WRITER).create(ENDPOINT, ENDPOINT_SPEC, name="plain")
    owned = {"metadata": {"ownerReferences": _of_stage()}}
    assert refusal in users(WRITER).change(ENDPOINT, "plain", owned)


@pytest.mark.parametrize(
    ("spec", "refusal", "reason"),
    [
        ({"source": {}}, "exactly one of group", "no source"),
        ({"source": {"group": "wine", "from": {"stage": "staging"}}}, "exactly one of group", "two sources"),
        ({"source": {"from": {"stage": "itself"}}}, "must be another stage", "itself"),
        ({"freeze": {"timeZone": "UTC"}}, "set hours, days or both", "a freeze of no time"),
        ({"freeze": {"days": [{"from": "2026-12-24", "to": "2026-12-23"}]}}, "not be later", "the wrong way round"),
        ({"freeze": {"hours": ["Fri 16:00-08:00"]}}, "begin before it ends", "hours over midnight"),
        ({"timeout": "1m"}, "between 5m and 7d", "no rollout is so fast"),
        ({"template": {"spec": {"checks": [{"name": "a", "sample": "b"}]}}}, "api.samples", "as in endpoints"),
        ({"template": {"spec": {"model": {}}}}, "", "unknown fields are dropped by the API server"),
    ],
)
def test_stages_that_cannot_work_are_refused(users: Users, spec: dict[str, object], refusal: str, reason: str) -> None:
    answer = users(WRITER).create(STAGE, {**SPEC, **spec}, name=f"itself{'' if refusal else '-2'}")
    assert (refusal in answer) if refusal else not answer, (reason, answer)
