import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from tests.engine.objects import CLASS, ENDPOINT, merged

from ephemeral_endpoints.api import GROUP
from ephemeral_endpoints.api.kinds import ENDPOINT as ENDPOINT_KIND
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS, KINDS
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey, Store, class_key, endpoint_key
from ephemeral_endpoints.kube.errors import Gone

KEY = endpoint_key("nlp", "pr-42")
UID = ENDPOINT["metadata"]["uid"]
OWNER = {"apiVersion": "kro.run/v1alpha1", "kind": "Preview", "name": "pr-42", "uid": "9", "controller": True}


def raw(
    name: str = "pr-42",
    *,
    version: int = 10,
    uid: str = UID,
    metadata: Mapping[str, Any] | None = None,
    **parts: Any,  # noqa: ANN401 - members of the object
) -> dict[str, Any]:
    meta = {"name": name, "uid": uid, "resourceVersion": str(version), **(metadata or {})}
    return merged(ENDPOINT, {"metadata": meta, **parts})


def raw_class(name: str, *, is_default: bool = False, version: int = 5) -> dict[str, Any]:
    annotations = {"ephemeral-endpoints.io/is-default-class": "true"} if is_default else {}
    meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version), "annotations": annotations}
    return merged(CLASS, {"metadata": meta})


def store_of(*objects: Mapping[str, Any]) -> Store:
    store = Store()
    for each in objects:
        store.put(each)
    return store


def path_of(store: Store) -> str | None:
    endpoint = store.endpoint(KEY)
    assert endpoint is not None
    return endpoint.spec.api.path


def test_equal_texts_of_an_object_are_one() -> None:
    revision = "0123456789abcdef" * 2
    spec, status = {"source": {"revision": revision}}, {"revision": revision}
    endpoint = store_of(json.loads(json.dumps(raw(spec=spec, status=status)))).endpoint(KEY)
    assert endpoint is not None
    assert endpoint.spec.source.revision == revision
    assert endpoint.spec.source.revision is endpoint.status.revision


def test_what_stays_as_it_was_sent_takes_no_texts_of_its_own() -> None:
    first, second = (store_of(json.loads(json.dumps(raw()))) for _ in range(2))
    endpoint, bare = first.endpoint(KEY), first.raw(KEY)
    assert endpoint is not None
    assert bare["metadata"]["uid"] is endpoint.metadata.uid
    assert bare["kind"] is second.raw(KEY)["kind"]
    names = zip(bare["metadata"], second.raw(KEY)["metadata"], strict=True)
    assert all(one is other for one, other in names)


def test_keys_are_written_as_people_write_them_and_sort() -> None:
    assert (str(KEY), KEY.namespaced_name) == ("EphemeralEndpoint nlp/pr-42", "nlp/pr-42")
    assert str(class_key("default")) == "EphemeralEndpointClass default"
    assert sorted([endpoint_key("nlp", "b"), endpoint_key("cv", "z")]) == [
        endpoint_key("cv", "z"),
        endpoint_key("nlp", "b"),
    ]


def test_keys_of_different_kinds_are_different() -> None:
    assert ObjectKey.of(raw()) == KEY
    assert ObjectKey.of(raw_class("default")) == class_key("default")
    assert len({ObjectKey(kind.name, None, "a") for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (KEY, "/apis/ephemeral-endpoints.io/v1alpha1/namespaces/nlp/ephemeralendpoints/pr-42"),
        (class_key("default"), "/apis/ephemeral-endpoints.io/v1alpha1/ephemeralendpointclasses/default"),
    ],
    ids=str,
)
def test_a_key_leads_to_its_object_in_the_api_server(key: ObjectKey, path: str) -> None:
    assert key.api_path == path


@pytest.mark.parametrize(
    ("version", "uid", "path", "reason"),
    [
        (9, UID, "/old", "an older version"),
        (10, UID, "/old", "the same version again says the same"),
        (11, UID, "/new", "a newer version"),
        (100, UID, "/new", "versions are numbers, not texts"),
        (11, "another", "/new", "another object that took over the name"),
        (9, "another", "/old", "a late answer about the object that had the name before"),
    ],
)
def test_what_is_newer_counts(version: int, uid: str, path: str, reason: str) -> None:
    store = store_of(raw(spec={"api": {"path": "/old"}}))
    assert store.put(raw(version=version, uid=uid, spec={"api": {"path": "/new"}})) == KEY
    assert path_of(store) == path, reason


def test_an_object_that_is_gone_is_forgotten_altogether() -> None:
    store = store_of(raw_class("default", is_default=True), raw())
    store.remove(KEY, UID)
    assert store.endpoint(KEY) is None
    assert store.by_owner(owner_hash(UID)) is None
    assert store.claiming("/nlp/pr-42", "default") == []
    assert store.relevant_fields(KEY) is None
    assert store.count(ENDPOINT_KIND, lambda _: True) == 0
    with pytest.raises(Gone):
        store.raw(KEY)


def test_a_late_answer_does_not_bring_back_what_is_gone() -> None:
    store = store_of(raw(version=10))
    store.remove(KEY, UID)
    store.put(raw(version=11))
    assert store.endpoint(KEY) is None


def test_a_name_that_is_used_again_is_another_object() -> None:
    store = store_of(raw(version=10))
    store.remove(KEY, UID)
    store.put(raw(version=12, uid="another"))
    store.remove(KEY, UID)
    assert store.endpoint(KEY) is not None


def test_a_successor_whose_predecessor_went_unseen_leaves_nothing_of_it() -> None:
    store = store_of(raw_class("default", is_default=True), raw(spec={"api": {"path": "/old"}}))
    store.put(raw(version=20, uid="another", spec={"api": {"path": "/new"}}))
    assert store.by_owner(owner_hash(UID)) is None
    assert store.by_owner(owner_hash("another")) == KEY
    assert store.claiming("/old", "default") == []


def test_what_does_not_fit_its_schema_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = store_of(raw(spec={"api": {"path": "/old"}}))
    with caplog.at_level(logging.ERROR):
        store.put(raw(version=11, spec={"api": {"path": "no-slash"}}))
    assert path_of(store) == "/old"
    assert store.raw(KEY)["metadata"]["resourceVersion"] == "10"
    assert "ignores an object that its schema does not allow" in caplog.text


NOTE = {f"{GROUP}/class": "forged"}
FORGED = {"annotations": NOTE, "labels": NOTE, "finalizers": [FINALIZER]}


@dataclass(frozen=True, kw_only=True)
class Case:
    metadata: dict[str, Any]
    spec: dict[str, Any]
    defaults: list[str]
    expected: str | None


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(metadata={}, spec={}, defaults=[], expected=None), id="no class is default"),
        pytest.param(Case(metadata={}, spec={}, defaults=["default"], expected="default"), id="the default class"),
        pytest.param(
            Case(metadata={}, spec={}, defaults=["default", "a"], expected="a"),
            id="with two defaults the choice must at least be the same every time",
        ),
        pytest.param(
            Case(metadata={}, spec={"className": "named"}, defaults=["default"], expected="named"),
            id="the class that the spec names",
        ),
        pytest.param(
            Case(metadata=FORGED, spec={"className": "named"}, defaults=["default"], expected="named"),
            id="what the metadata say decides nothing",
        ),
        pytest.param(
            Case(metadata=FORGED, spec={}, defaults=["default"], expected="default"),
            id="nor before the operator has set the class",
        ),
    ],
)
def test_the_class_of_an_object(case: Case) -> None:
    store = store_of(raw_class("other"), *(raw_class(name, is_default=True) for name in case.defaults))
    store.put(raw(metadata=case.metadata, spec=case.spec))
    endpoint = store.endpoint(KEY)
    assert endpoint is not None
    assert store.class_name_of(endpoint) == case.expected


def test_a_class_that_is_gone_is_nobodys_default() -> None:
    store = store_of(raw_class("default", is_default=True), raw())
    store.remove(class_key("default"), "uid-default")
    assert store.named_class("default") is None
    assert store.class_names() == []
    assert store.of_class("default") == []


def test_a_class_concerns_its_objects_and_those_that_have_none() -> None:
    store = store_of(
        raw_class("a"),
        raw("of-a", uid="1", spec={"className": "a"}),
        raw("of-b", uid="2", spec={"className": "b"}),
        raw("of-none", uid="3"),
    )
    assert [key.name for key, _ in store.of_class("a")] == ["of-a"]
    assert {key.name for key in store.affected_by_class("a")} == {"of-a", "of-none"}


def test_an_owner_in_a_name_leads_to_its_object_or_class() -> None:
    store = store_of(raw_class("a"), raw())
    assert store.by_owner(owner_hash(UID)) == KEY
    assert store.by_owner(owner_hash("uid-a")) == class_key("a")
    assert store.by_owner(owner_hash("nobody")) is None


def test_the_objects_of_a_path_are_those_that_ask_for_it_now_in_the_same_class() -> None:
    store = store_of(
        raw("one", uid="1", spec={"className": "a", "api": {"path": "/p"}}),
        raw("two", uid="2", spec={"className": "a", "api": {"path": "/p"}}),
        raw("moved", uid="3", spec={"className": "a", "api": {"path": "/p"}}),
        raw("elsewhere", uid="4", spec={"className": "b", "api": {"path": "/p"}}),
    )
    store.put(raw("moved", uid="3", version=11, spec={"className": "a", "api": {"path": "/q"}}))
    assert [key.name for key, _ in store.claiming("/p", "a")] == ["one", "two"]
    assert [key.name for key, _ in store.claiming("/q", "a")] == ["moved"]
    assert store.claiming("/nobody", "a") == []


def test_the_objects_of_a_path_are_also_those_above_and_below_it() -> None:
    paths = {"root": "/p", "middle": "/p/q", "leaf": "/p/q/r", "beside": "/p/qq", "other": "/q"}
    store = store_of(
        *(raw(name, uid=name, spec={"className": "a", "api": {"path": path}}) for name, path in paths.items())
    )
    found = {path: [key.name for key, _ in store.claiming(path, "a")] for path in (*paths.values(), "/p/q/x", "/p/x/r")}
    assert found == {
        "/p": ["beside", "leaf", "middle", "root"],
        "/p/q": ["leaf", "middle", "root"],
        "/p/q/r": ["leaf", "middle", "root"],
        "/p/qq": ["beside", "root"],
        "/q": ["other"],
        "/p/q/x": ["middle", "root"],
        "/p/x/r": ["root"],
    }
    store.remove(next(key for key, _ in store.claiming("/p/q/r", "a") if key.name == "leaf"), "leaf")
    assert [key.name for key, _ in store.claiming("/p/q", "a")] == ["middle", "root"]


@pytest.mark.parametrize(
    ("change", "matters", "reason"),
    [
        ({"status": {"url": "https://x"}}, False, "our own writes"),
        ({"metadata": {"managedFields": [{"manager": "x"}]}}, False, "bookkeeping"),
        ({"metadata": {"generation": 2}}, True, "another spec"),
        ({"metadata": {"deletionTimestamp": "2026-11-02T00:00:00Z"}}, True, "the end"),
        ({"metadata": {"labels": {"argocd.argoproj.io/instance": "x"}}}, True, "what decides on retirement"),
        ({"metadata": {"ownerReferences": [OWNER]}}, True, "it decides on retirement too"),
        ({"metadata": {"annotations": {"a": "b"}}}, True, "likewise"),
        ({"metadata": {"finalizers": []}}, True, "a finalizer that was taken away by hand"),
        ({"metadata": {"uid": "another"}}, True, "another object"),
    ],
)
def test_what_of_an_object_can_matter(change: dict[str, Any], matters: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    before = raw(metadata={"finalizers": [FINALIZER]})
    store = store_of(before)
    relevant_fields = store.relevant_fields(KEY)
    store.put(merged(merged(before, {"metadata": {"resourceVersion": "11"}}), change))
    assert (store.relevant_fields(KEY) != relevant_fields) is matters, reason


def test_objects_are_counted() -> None:
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "lastTransitionTime": "2026-11-01T12:00:00Z"}
    store = store_of(
        raw_class("a"),
        raw("ready", uid="1", status={"conditions": [ready]}),
        raw("waiting", uid="2", status={"conditions": [{**ready, "status": "False"}]}),
        raw("new", uid="3"),
    )
    assert [store.count(kind, lambda _: True) for kind in (ENDPOINT_CLASS, ENDPOINT_KIND)] == [1, 3]
    assert [store.count(kind, lambda _: False) for kind in (ENDPOINT_CLASS, ENDPOINT_KIND)] == [0, 0]
    assert store.count(ENDPOINT_KIND, lambda namespace: namespace == "nlp") == 3
    assert store.count(ENDPOINT_CLASS, lambda namespace: namespace is None) == 1
    assert (store.count_ready(lambda _: True), store.count_ready(lambda _: False)) == (1, 0)
