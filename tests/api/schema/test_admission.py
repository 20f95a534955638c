"""Who may approve a build, asked of a real API server on which the operator's manifests are applied."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from kubernetes import client
from tests.fixtures.waiting import eventually

from eep_platform import bootstrap
from eep_platform.bootstrap import Roles
from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api import (
    ABANDON_ANNOTATION,
    API_VERSION,
    APPROVED_ANNOTATION,
    FINALIZER,
    GROUP,
    PIN_ANNOTATION,
    VERSION,
)
from ephemeral_endpoints.api.commands import ABANDON, APPROVE, PIN
from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.api.schema.admission import (
    ABANDONER_ROLE,
    APPROVAL_POLICY,
    APPROVER_ROLE,
    PINNER_ROLE,
    approval_policy,
    guards,
    verb_role,
)
from ephemeral_endpoints.api.schema.crds import crd, main

Body = dict[str, Any]

PLURAL = "ephemeralendpoints"
NAME = "pr-42"
REVISION = "1f0c2a9d" * 5
OTHER_REVISION = "0123abcd" * 5
DIGEST = "1f0c2a9d" * 8
OTHER_DIGEST = "0123abcd" * 8
FORBIDDEN = "lacks the verb approve"
NOT_WHOLE = "must be the digest of the build"

WRITER = "writer"
APPROVER = "approver"
APPROVER_ELSEWHERE = "approver-elsewhere"
APPROVER_OF_ONE = "approver-of-one"
ABANDONER = "abandoner"
PINNER = "pinner"
OPERATOR = "operator"
ADMINISTRATOR = "administrator"

_ROLE = "arn:aws:iam::123456789012:role/any"
_SPEC = {
    "source": {"repository": "acme/sentiment", "pullRequest": 42, "revision": REVISION},
    "model": {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/models:1"},
}


class Refused(Exception):  # noqa: N818 - what happened, not an error of the test
    """The API server refused a request with this message."""


class User:
    """What one user does to the objects of one namespace."""

    def __init__(self, api: client.ApiClient, name: str, namespace: str) -> None:
        self.name = name
        self._objects = client.CustomObjectsApi(api)
        self._place = (GROUP, VERSION, namespace, PLURAL)

    def create(self, approval: str | None = None, **options: str) -> Body:
        return self._call("create", _object(approval), **options)

    def create_with_generated_name(self, approval: str) -> Body:
        body = _object(approval)
        body["metadata"] = {"generateName": f"{NAME}-", "annotations": body["metadata"]["annotations"]}
        return self._call("create", body)

    def approve(self, approval: str | None) -> Body:
        """Merge-patch the annotation; None takes it away."""
        return self.change({"metadata": {"annotations": {APPROVED_ANNOTATION: approval}}})

    def change(self, patch: Mapping[str, object]) -> Body:
        return self._call("patch", NAME, patch, _content_type="application/merge-patch+json")

    def json_patch(self, approval: str) -> Body:
        patch = [{"op": "add", "path": "/metadata/annotations", "value": {APPROVED_ANNOTATION: approval}}]
        return self._call("patch", NAME, patch, _content_type="application/json-patch+json")

    def apply(self, approval: str) -> Body:
        content_type = "application/apply-patch+yaml"
        body = _object(approval)
        return self._call("patch", NAME, body, field_manager=self.name, force=True, _content_type=content_type)

    def replace(self, approval: str | None) -> Body:
        version = self.read()["metadata"]["resourceVersion"]
        body = _object(approval)
        body["metadata"]["resourceVersion"] = version
        return self._call("replace", NAME, body)

    def patch_status(self, approval: str) -> Body:
        patch = {"metadata": {"annotations": {APPROVED_ANNOTATION: approval}}, "status": {"observedGeneration": 1}}
        method = self._objects.patch_namespaced_custom_object_status
        answer = method(*self._place, NAME, patch, _content_type="application/merge-patch+json")
        assert isinstance(answer, dict)
        return answer

    def read(self) -> Body:
        return self._call("get", NAME)

    def delete(self) -> None:
        self._call("delete", NAME)

    def _call(self, verb: str, *arguments: object, **options: object) -> Body:
        try:
            answer = getattr(self._objects, f"{verb}_namespaced_custom_object")(*self._place, *arguments, **options)
        except client.ApiException as refusal:
            raise Refused(json.loads(refusal.body or "")["message"]) from refusal
        assert isinstance(answer, dict)
        return answer


@pytest.fixture(scope="module")
def guarded(control_plane: ControlPlane, kubernetes_client: client.ApiClient) -> None:
    """The policy is in force."""
    _bootstrap(control_plane)
    _until_in_force(kubernetes_client)


@pytest.fixture(scope="module")
def namespaces(guarded: None, kubernetes_client: client.ApiClient) -> tuple[str, str]:  # noqa: ARG001 - the role exists
    """Two namespaces: users write objects in both; one approves in the first only, one elsewhere, one in one object."""
    here, elsewhere = (f"approval-{uuid4().hex[:8]}" for _ in range(2))
    core, rbac = client.CoreV1Api(kubernetes_client), client.RbacAuthorizationV1Api(kubernetes_client)
    for namespace in (here, elsewhere):
        core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
        rbac.create_namespaced_role(namespace, _role("write", ["get", "create", "update", "patch", "delete"]))
        for user in (WRITER, APPROVER, APPROVER_ELSEWHERE, APPROVER_OF_ONE, ABANDONER, PINNER, OPERATOR):
            rbac.create_namespaced_role_binding(namespace, _binding(user, "Role", "write"))
    rbac.create_namespaced_role_binding(here, _binding(APPROVER, "ClusterRole", APPROVER_ROLE))
    rbac.create_namespaced_role_binding(elsewhere, _binding(APPROVER_ELSEWHERE, "ClusterRole", APPROVER_ROLE))
    rbac.create_namespaced_role_binding(here, _binding(ABANDONER, "ClusterRole", ABANDONER_ROLE))
    rbac.create_namespaced_role_binding(here, _binding(PINNER, "ClusterRole", PINNER_ROLE))
    rbac.create_namespaced_role(here, _role("report", ["patch"], resource=f"{PLURAL}/status"))
    rbac.create_namespaced_role_binding(here, _binding(OPERATOR, "Role", "report"))
    rbac.create_namespaced_role(here, _role("approve-one", [APPROVE], NAME))
    rbac.create_namespaced_role_binding(here, _binding(APPROVER_OF_ONE, "Role", "approve-one"))
    for user in (WRITER, APPROVER, APPROVER_ELSEWHERE, APPROVER_OF_ONE):
        _until_allowed(kubernetes_client, user, "create", here)
    _until_allowed(kubernetes_client, APPROVER, APPROVE, here)
    _until_allowed(kubernetes_client, ABANDONER, ABANDON, here)
    _until_allowed(kubernetes_client, PINNER, PIN, here)
    _until_allowed(kubernetes_client, OPERATOR, "patch", here, subresource="status")
    _until_allowed(kubernetes_client, APPROVER_OF_ONE, APPROVE, here)
    _until_allowed(kubernetes_client, APPROVER_ELSEWHERE, APPROVE, elsewhere)
    return here, elsewhere


@pytest.fixture
def user(kubernetes_client: client.ApiClient, namespaces: tuple[str, str]) -> Iterator[Callable[[str], User]]:
    """Return users of the first namespace by name; what is there at the end of the test goes."""

    def act_as(name: str) -> User:
        if name == ADMINISTRATOR:
            return User(kubernetes_client, name, namespaces[0])
        api = client.ApiClient(kubernetes_client.configuration, header_name="Impersonate-User", header_value=name)
        return User(api, name, namespaces[0])

    yield act_as
    client.CustomObjectsApi(kubernetes_client).delete_collection_namespaced_custom_object(
        GROUP, VERSION, namespaces[0], PLURAL
    )


@pytest.mark.parametrize(
    ("who", "approval", "refusal"),
    [
        pytest.param(WRITER, None, None, id="no approval is nobody's concern"),
        pytest.param(WRITER, DIGEST, FORBIDDEN, id="who may write may not approve"),
        pytest.param(WRITER, "", NOT_WHOLE, id="an empty value is a value"),
        pytest.param(APPROVER, DIGEST, None, id="who is bound to the role approves at once"),
        pytest.param(APPROVER_ELSEWHERE, DIGEST, FORBIDDEN, id="the binding is to another namespace"),
        pytest.param(APPROVER_OF_ONE, DIGEST, None, id="the role names this very object"),
        pytest.param(ADMINISTRATOR, DIGEST, None, id="administrators have every verb"),
        pytest.param(ADMINISTRATOR, DIGEST[:7], NOT_WHOLE, id="an abbreviation may fit another build"),
        pytest.param(ADMINISTRATOR, DIGEST[:-1], NOT_WHOLE, id="a digit is missing"),
        pytest.param(ADMINISTRATOR, REVISION, NOT_WHOLE, id="a commit says too little of what is built"),
        pytest.param(ADMINISTRATOR, DIGEST + "0", NOT_WHOLE, id="a digit too many"),
        pytest.param(ADMINISTRATOR, DIGEST.upper(), NOT_WHOLE, id="it is written in lowercase"),
        pytest.param(ADMINISTRATOR, DIGEST + "\n", NOT_WHOLE, id="as a file would end"),
        pytest.param(ADMINISTRATOR, f"{OTHER_DIGEST}\n{DIGEST}", NOT_WHOLE, id="two lines, each of them whole"),
        pytest.param(ADMINISTRATOR, "refs/pull/42/head", NOT_WHOLE, id="a name can be moved"),
    ],
)
def test_who_may_create_an_object_with_an_approval(
    who: str, approval: str | None, refusal: str | None, user: Callable[[str], User]
) -> None:
    with _expected(refusal):
        assert _approval(user(who).create(approval)) == approval


@pytest.mark.parametrize(
    ("who", "before", "after", "refusal"),
    [
        pytest.param(WRITER, None, DIGEST, FORBIDDEN, id="who may write may not add an approval"),
        pytest.param(WRITER, DIGEST, OTHER_DIGEST, FORBIDDEN, id="an approval of one build is none of another"),
        pytest.param(WRITER, DIGEST, DIGEST[:7], NOT_WHOLE, id="an abbreviation is a change too"),
        pytest.param(WRITER, DIGEST, "", NOT_WHOLE, id="emptying is not removing"),
        pytest.param(WRITER, DIGEST, DIGEST, None, id="what stands may be said again"),
        pytest.param(WRITER, DIGEST, None, None, id="caution needs no permission"),
        pytest.param(APPROVER, None, DIGEST, None, id="who is bound to the role may add one"),
        pytest.param(APPROVER, DIGEST, OTHER_DIGEST, None, id="and change it to the next build"),
        pytest.param(APPROVER, DIGEST, None, None, id="and take it away"),
        pytest.param(APPROVER, None, DIGEST[:7], NOT_WHOLE, id="the verb does not make it whole"),
        pytest.param(APPROVER_ELSEWHERE, None, DIGEST, FORBIDDEN, id="the binding is to another namespace"),
        pytest.param(APPROVER_OF_ONE, None, DIGEST, None, id="the role names this very object"),
        pytest.param(ADMINISTRATOR, None, DIGEST, None, id="administrators have every verb"),
        pytest.param(ADMINISTRATOR, DIGEST, DIGEST[:7], NOT_WHOLE, id="which does not make it whole either"),
    ],
)
def test_who_may_change_the_approval_of_an_object(
    who: str, before: str | None, after: str | None, refusal: str | None, user: Callable[[str], User]
) -> None:
    user(ADMINISTRATOR).create(before)
    with _expected(refusal):
        user(who).approve(after)
    assert _approval(user(who).read()) == (before if refusal else after)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda user: user.replace(DIGEST), id="PUT"),
        pytest.param(lambda user: user.approve(DIGEST), id="merge patch"),
        pytest.param(lambda user: user.json_patch(DIGEST), id="JSON patch"),
        pytest.param(lambda user: user.apply(DIGEST), id="server-side apply"),
        pytest.param(lambda user: (user.delete(), user.apply(DIGEST)), id="server-side apply that creates"),
        pytest.param(lambda user: user.create_with_generated_name(DIGEST), id="a generated name"),
    ],
)
def test_no_way_of_writing_goes_around_the_verb(write: Callable[[User], object], user: Callable[[str], User]) -> None:
    user(ADMINISTRATOR).create()
    with _expected(FORBIDDEN):
        write(user(WRITER))


def test_every_way_of_writing_is_open_with_the_verb(user: Callable[[str], User]) -> None:
    approver = user(APPROVER)
    approver.create()
    assert _approval(approver.apply(DIGEST)) == DIGEST
    assert _approval(approver.replace(OTHER_DIGEST)) == OTHER_DIGEST
    assert _approval(approver.json_patch(DIGEST)) == DIGEST
    assert _approval(approver.create_with_generated_name(DIGEST)) == DIGEST


def test_the_verb_on_one_object_approves_no_other(user: Callable[[str], User]) -> None:
    with _expected(FORBIDDEN):
        user(APPROVER_OF_ONE).create_with_generated_name(DIGEST)


def test_an_object_without_annotations_is_guarded_too(user: Callable[[str], User]) -> None:
    user(WRITER).create()
    assert "annotations" not in user(WRITER).change({"metadata": {"annotations": None}})["metadata"]
    user(WRITER).change({"metadata": {"labels": {"team": "nlp"}}})
    with _expected(FORBIDDEN):
        user(WRITER).approve(DIGEST)
    assert _approval(user(APPROVER).approve(DIGEST)) == DIGEST
    assert "annotations" not in user(WRITER).change({"metadata": {"annotations": None}})["metadata"]


def test_writing_the_status_approves_nothing(user: Callable[[str], User]) -> None:
    user(ADMINISTRATOR).create()
    written = user(ADMINISTRATOR).patch_status(DIGEST)
    assert (_approval(written), written["status"]) == (None, {"observedGeneration": 1})


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"metadata": {"labels": {"team": "nlp"}}}, id="a label"),
        pytest.param({"metadata": {"annotations": {"note": "read by Grace"}}}, id="another annotation"),
        pytest.param({"metadata": {"finalizers": [f"{GROUP}/aws"]}}, id="the operator's finalizer"),
        pytest.param(
            {"spec": {"source": {"revision": OTHER_REVISION}}}, id="the commit, which the approval then does not cover"
        ),
        pytest.param({"spec": {"source": {"repository": "evil/sentiment"}}}, id="the repository, likewise"),
        pytest.param({"spec": {"suspend": True}}, id="the spec"),
    ],
)
def test_all_else_of_an_approved_object_is_free_to_who_may_write(
    patch: Mapping[str, object], user: Callable[[str], User]
) -> None:
    user(ADMINISTRATOR).create(DIGEST)
    assert _approval(user(WRITER).change(patch)) == DIGEST
    user(WRITER).change({"metadata": {"finalizers": None}})


def test_a_user_who_may_write_may_delete_an_approved_object(user: Callable[[str], User]) -> None:
    user(ADMINISTRATOR).create(DIGEST)
    user(WRITER).delete()
    with _expected("not found"):
        user(WRITER).read()


def test_a_refusal_says_who_lacks_what_and_what_to_do(user: Callable[[str], User], namespaces: tuple[str, str]) -> None:
    with pytest.raises(Refused) as refusal:
        user(WRITER).create(DIGEST)
    message = str(refusal.value)
    assert f"user writer lacks the verb approve on {PLURAL}.{GROUP} in namespace {namespaces[0]}" in message
    assert f"ask an approver to set the annotation {APPROVED_ANNOTATION}" in message
    assert f"a RoleBinding to the ClusterRole {APPROVER_ROLE}" in message


def test_a_refused_abbreviation_says_what_to_write(user: Callable[[str], User]) -> None:
    with pytest.raises(
        Refused, match="64 lowercase hexadecimal digits, as the condition ImageReady and `eep approve` show it"
    ):
        user(APPROVER).create(DIGEST[:7])


def test_an_object_of_a_time_without_the_policy_is_no_hostage_of_it(
    user: Callable[[str], User], control_plane: ControlPlane, kubernetes_client: client.ApiClient
) -> None:
    with _out_of_force(control_plane, kubernetes_client):
        user(WRITER).create(DIGEST[:7])
    assert _approval(user(WRITER).change({"metadata": {"labels": {"team": "nlp"}}})) == DIGEST[:7]
    with _expected(NOT_WHOLE):
        user(WRITER).approve(DIGEST[:8])
    assert _approval(user(WRITER).approve(None)) is None


LET_GO: Mapping[str, object] = {"metadata": {"annotations": {ABANDON_ANNOTATION: "true"}}}
WITHOUT_FINALIZER: Mapping[str, object] = {"metadata": {"finalizers": ["example.com/theirs"]}}
WITHOUT_ANY: Mapping[str, object] = {"metadata": {"finalizers": None}}


@pytest.mark.parametrize("patch", [LET_GO, WITHOUT_FINALIZER, WITHOUT_ANY], ids=["annotated", "replaced", "removed"])
@pytest.mark.parametrize(
    ("who", "refusal"),
    [
        pytest.param(WRITER, "lacks the verb abandon", id="who may write may not let an object go"),
        pytest.param(APPROVER, "lacks the verb abandon", id="another verb"),
        pytest.param(ABANDONER, None, id="who is bound to the role"),
        pytest.param(OPERATOR, None, id="the operator, when nothing is left"),
        pytest.param(ADMINISTRATOR, None, id="administrators have every verb"),
    ],
)
def test_who_may_let_an_object_go_before_its_resources(
    patch: Mapping[str, object], who: str, refusal: str | None, user: Callable[[str], User]
) -> None:
    user(ADMINISTRATOR).create()
    user(WRITER).change({"metadata": {"finalizers": [FINALIZER]}})
    with _expected(refusal):
        user(who).change(patch)
    user(ADMINISTRATOR).change(WITHOUT_ANY)


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"metadata": {"labels": {"team": "nlp"}}}, id="a label"),
        pytest.param({"metadata": {"annotations": {ABANDON_ANNOTATION: "false"}}}, id="what says nothing"),
        pytest.param({"metadata": {"finalizers": [FINALIZER, "example.com/theirs"]}}, id="a further finalizer"),
        pytest.param({"spec": {"suspend": True}}, id="the spec"),
    ],
)
def test_all_else_of_an_object_with_our_finalizer_is_free_to_who_may_write(
    patch: Mapping[str, object], user: Callable[[str], User]
) -> None:
    user(ADMINISTRATOR).create()
    user(WRITER).change({"metadata": {"finalizers": [FINALIZER]}})
    user(WRITER).change(patch)
    user(ADMINISTRATOR).change(LET_GO)
    assert user(WRITER).change({"metadata": {"labels": {"a": "b"}}}), "what stands may stay"
    user(ADMINISTRATOR).change(WITHOUT_ANY)


PINNED: Mapping[str, object] = {"metadata": {"annotations": {PIN_ANNOTATION: "true"}}}


@pytest.mark.parametrize(
    ("who", "refusal"),
    [
        pytest.param(WRITER, "lacks the verb pin", id="who may write may not pin"),
        pytest.param(APPROVER, "lacks the verb pin", id="another verb"),
        pytest.param(PINNER, None, id="who is bound to the role"),
        pytest.param(ADMINISTRATOR, None, id="administrators have every verb"),
    ],
)
def test_who_may_pin_an_object(who: str, refusal: str | None, user: Callable[[str], User]) -> None:
    user(ADMINISTRATOR).create()
    with _expected(refusal):
        user(who).change(PINNED)


def test_who_may_write_changes_and_unpins_a_pinned_object(user: Callable[[str], User]) -> None:
    user(ADMINISTRATOR).create()
    user(WRITER).change({"metadata": {"annotations": {PIN_ANNOTATION: "no"}}})
    user(PINNER).change(PINNED)
    assert user(WRITER).change({"metadata": {"labels": {"a": "b"}}}), "what stands may stay"
    user(WRITER).change({"metadata": {"annotations": {PIN_ANNOTATION: None}}})
    with _expected("lacks the verb pin"):
        user(WRITER).change(PINNED)


def test_the_policy_can_be_applied_before_its_kind_is_served(kubernetes_client: client.ApiClient) -> None:
    policy = approval_policy()
    policy["metadata"]["name"] = "approval.unserved.example"
    policy["spec"]["matchConstraints"]["resourceRules"][0]["apiGroups"] = ["unserved.example"]
    registration = client.AdmissionregistrationV1Api(kubernetes_client)
    body = client.V1ValidatingAdmissionPolicy.from_dict(policy)
    assert body
    stored = registration.create_validating_admission_policy(body, dry_run="All", field_validation="Strict")
    assert stored.spec
    assert stored.spec.failure_policy == "Fail"


def test_the_guarded_kind_is_the_kind_of_the_crd() -> None:
    rule = approval_policy()["spec"]["matchConstraints"]["resourceRules"][0]
    spec = crd(ENDPOINT)["spec"]
    assert (rule["apiGroups"], rule["resources"]) == ([spec["group"]], [spec["names"]["plural"]])


@pytest.mark.parametrize(("name", "verb"), [(APPROVER_ROLE, APPROVE), (ABANDONER_ROLE, ABANDON), (PINNER_ROLE, PIN)])
def test_the_role_gives_the_verb_alone_and_adds_to_no_other(name: str, verb: str) -> None:
    role = verb_role(name, verb)
    assert role in chain.from_iterable(guards().values())
    assert [rule["verbs"] for rule in role["rules"]] == [[verb]]
    assert role["metadata"] == {"name": name}


def test_the_generator_writes_the_manifests_in_the_order_in_which_they_are_applied(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    for name, manifests in guards().items():
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert list(yaml.safe_load_all(text)) == manifests
        assert text.startswith("# Generated by")


def test_checking_finds_that_the_manifests_are_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    (tmp_path / "approval.yaml").write_text("kind: Nothing\n")
    assert main(["--check", str(tmp_path)]) == 1
    assert str(tmp_path / "approval.yaml") in capsys.readouterr().err


@contextmanager
def _expected(refusal: str | None) -> Iterator[None]:
    """Fail unless what is done within is refused with these words, or succeeds where there are none."""
    if refusal is None:
        yield
    else:
        with pytest.raises(Refused, match=refusal):
            yield


@contextmanager
def _out_of_force(control_plane: ControlPlane, api: client.ApiClient) -> Iterator[None]:
    client.AdmissionregistrationV1Api(api).delete_validating_admission_policy_binding(APPROVAL_POLICY)
    try:
        eventually(lambda: not _in_force(api), "end of the policy")
        yield
    finally:
        _bootstrap(control_plane)
        _until_in_force(api)


def _bootstrap(control_plane: ControlPlane) -> None:
    roles = Roles(_ROLE, _ROLE, _ROLE)
    bootstrap.kubernetes(control_plane.kubeconfig, roles, region="us-east-1", git_url="https://github.com")


def _until_in_force(api: client.ApiClient) -> None:
    """The API server follows policies as it follows all objects: some time after they are stored."""
    eventually(lambda: _in_force(api), "the policy")


def _in_force(api: client.ApiClient) -> bool:
    try:
        User(api, ADMINISTRATOR, "default").create(DIGEST[:7], dry_run="All")
    except Refused as refusal:
        return NOT_WHOLE in str(refusal)
    return False


def _until_allowed(
    api: client.ApiClient, user: str, verb: str, namespace: str, *, subresource: str | None = None
) -> None:
    what = client.V1ResourceAttributes(
        group=GROUP, resource=PLURAL, subresource=subresource, verb=verb, namespace=namespace, name=NAME
    )
    spec = client.V1SubjectAccessReviewSpec(user=user, resource_attributes=what)
    reviews = client.AuthorizationV1Api(api)

    def is_allowed() -> bool:
        status = reviews.create_subject_access_review(client.V1SubjectAccessReview(spec=spec)).status
        return bool(status and status.allowed)

    eventually(is_allowed, f"permission of {user} to {verb}")


def _role(name: str, verbs: list[str], *objects: str, resource: str = PLURAL) -> client.V1Role:
    rule = client.V1PolicyRule(
        api_groups=[GROUP], resources=[resource], verbs=verbs, resource_names=list(objects) or None
    )
    return client.V1Role(metadata=client.V1ObjectMeta(name=name), rules=[rule])


def _binding(user: str, kind: str, role: str) -> client.V1RoleBinding:
    group = "rbac.authorization.k8s.io"
    return client.V1RoleBinding(
        metadata=client.V1ObjectMeta(name=f"{user}-{role}"),
        role_ref=client.V1RoleRef(api_group=group, kind=kind, name=role),
        subjects=[client.RbacV1Subject(api_group=group, kind="User", name=user)],
    )


def _object(approval: str | None) -> Body:
    annotations = {"note": "read by Ada"} | ({} if approval is None else {APPROVED_ANNOTATION: approval})
    return {
        "apiVersion": API_VERSION,
        "kind": "EphemeralEndpoint",
        "metadata": {"name": NAME, "annotations": annotations},
        "spec": _SPEC,
    }


def _approval(stored: Body) -> str | None:
    value = stored["metadata"].get("annotations", {}).get(APPROVED_ANNOTATION)
    assert value is None or isinstance(value, str)
    return value
