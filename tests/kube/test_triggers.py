"""Which keys a change enqueues. In each situation the cache is as it is after the change."""

from typing import Any

import pytest
from tests.engine.objects import CLASS, ENDPOINT, merged

from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.api.kinds import KINDS, STAGE
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.kube.cache import ObjectKey, Store, class_key, endpoint_key, stage_key
from ephemeral_endpoints.kube.triggers import (
    EventQueueChanged,
    ListErrorChanged,
    ObjectChanged,
    ObjectListed,
    PackageChanged,
    ResourcesChanged,
    StatusWritten,
    TimeJumped,
    Trigger,
    keys,
)

SHARED = {"className": "a", "api": {"path": "/shared"}}
OF_A, RIVAL, ELSEWHERE, OF_B, LOST = (
    endpoint_key("nlp", name) for name in ("of-a", "rival", "elsewhere", "of-b", "lost")
)
GONE = endpoint_key("nlp", "gone")
A, B = class_key("a"), class_key("b")
OURS = next(shard for shard in (Shard(0, 2), Shard(1, 2)) if shard.takes("nlp"))
OTHER = next(shard for shard in (Shard(0, 2), Shard(1, 2)) if not shard.takes("nlp"))


def raw(key: ObjectKey, spec: dict[str, Any]) -> dict[str, Any]:
    return merged(ENDPOINT, {"metadata": {"name": key.name, "uid": key.name}, "spec": spec})


def known(key: ObjectKey, spec: dict[str, Any]) -> EphemeralEndpoint:
    return EphemeralEndpoint.model_validate(raw(key, spec))


@pytest.fixture
def store() -> Store:
    """Two classes, none of which is default, and objects of theirs; ``lost`` has no class, ``gone`` is gone."""
    store = Store()
    for name in ("a", "b"):
        store.put(merged(CLASS, {"metadata": {"name": name, "uid": f"class-{name}"}}))
    store.put(raw(OF_A, SHARED))
    store.put(raw(RIVAL, SHARED))
    store.put(raw(ELSEWHERE, {**SHARED, "className": "b"}))
    store.put(raw(OF_B, {"className": "b"}))
    store.put(raw(LOST, {}))
    return store


def holding(key: ObjectKey, spec: dict[str, Any]) -> dict[str, Any]:
    status = {"route": {"path": spec["api"]["path"], "holder": key.namespaced_name}}
    return merged(raw(key, spec), {"metadata": {"resourceVersion": "20"}, "status": status})


@pytest.mark.parametrize(
    ("before", "after", "expected", "reason"),
    [
        (None, SHARED, [RIVAL], "the one that has the path reports who waits"),
        (SHARED, SHARED, [], "another change concerns nobody else"),
        (SHARED, {**SHARED, "suspend": True}, [RIVAL], "it does not wait any more"),
        (SHARED, {"className": "a"}, [RIVAL], "neither does it here"),
        ({"className": "a"}, SHARED, [RIVAL], "it waits"),
    ],
)
def test_one_that_waits_concerns_the_one_that_has_the_path(
    store: Store, before: dict[str, Any] | None, after: dict[str, Any], expected: list[ObjectKey], reason: str
) -> None:
    store.put(holding(RIVAL, SHARED))
    store.put(merged(raw(OF_A, after), {"metadata": {"resourceVersion": "20"}}))
    found = keys(ObjectChanged(OF_A, known(OF_A, before) if before else None), store)
    assert sorted(found) == sorted([OF_A, A, *expected]), reason


def test_a_path_that_is_given_up_concerns_all_that_wait_for_it(store: Store) -> None:
    before = EphemeralEndpoint.model_validate(holding(OF_A, SHARED))
    store.put(merged(raw(OF_A, {"className": "a"}), {"metadata": {"resourceVersion": "20"}}))
    assert sorted(keys(ObjectChanged(OF_A, before), store)) == sorted([OF_A, A, RIVAL])


@pytest.mark.parametrize(
    ("trigger", "expected", "reason"),
    [
        (ObjectChanged(OF_B), [OF_B, B], "its class exists in AWS for as long as it has objects"),
        (
            ObjectChanged(OF_B, known(OF_B, {"className": "b", "api": {"path": "/shared"}})),
            [OF_B, B],
            "it waited for the path that it gives up, and no status says who has that",
        ),
        (ObjectChanged(LOST), [LOST], "there is no class that could be concerned"),
        (
            ObjectChanged(GONE, known(GONE, SHARED)),
            [GONE, OF_A, RIVAL, A, B],
            "what it held back: those of its class that ask for its path, and any class that waits to go",
        ),
        (
            ObjectChanged(GONE, known(GONE, {"className": "a"})),
            [GONE, A, B],
            "nobody else asks for its path",
        ),
        (ObjectChanged(GONE), [GONE, A, B], "it was not known: nobody can have waited for its path"),
        (
            ObjectChanged(A),
            [A, LOST, OF_A, RIVAL],
            "it may be the default class now, and its limits concern its objects",
        ),
        (
            ObjectChanged(class_key("gone")),
            [class_key("gone"), LOST],
            "objects without a class say which one is missing",
        ),
        (ObjectListed(A), [A], "its objects are listed too, and each is reconciled once after a start"),
        (ObjectListed(OF_A), [OF_A], "its class is listed too"),
        (ResourcesChanged(owner_hash("of-a"), WHOLE), [OF_A], "others hear of it from the object itself"),
        (ResourcesChanged(owner_hash("of-a"), OURS), [OF_A], "likewise where its shard is this one"),
        (
            ResourcesChanged(owner_hash("of-a"), OTHER),
            [OF_A, OF_A, RIVAL],
            "of another shard's object, only AWS shows when its route is gone",
        ),
        (
            ResourcesChanged(owner_hash("class-a"), WHOLE),
            [A, LOST, OF_A, RIVAL],
            "its objects wait for what they share",
        ),
        (ResourcesChanged(owner_hash("nobody"), WHOLE), [], "an orphan is the sweep's"),
        (EventQueueChanged("b"), [B], "its status says whether its queue can be read"),
        (ListErrorChanged(), [A, B], "any of them may be in the account, and its status says whether it can be used"),
        (TimeJumped(), [A, B, OF_A, RIVAL, ELSEWHERE, OF_B, LOST], "whatever a timer was set for may be over"),
    ],
)
def test_a_change_enqueues_the_objects_that_it_concerns(
    store: Store, trigger: Trigger, expected: list[ObjectKey], reason: str
) -> None:
    found = keys(trigger, store)
    assert sorted(found) == sorted(expected), reason
    assert found[:1] == expected[:1], "what has changed comes first"


def test_a_kind_that_concerns_no_other_enqueues_itself(store: Store) -> None:
    unheard_of = ObjectKey("Unheard", "nlp", "of")
    assert unheard_of.kind not in {kind.name for kind in KINDS}
    assert keys(ObjectChanged(unheard_of), store) == [unheard_of]


def test_the_default_class_is_that_of_objects_which_name_none(store: Store) -> None:
    default = {"ephemeral-endpoints.io/is-default-class": "true"}
    meta = {"name": "a", "uid": "class-a", "resourceVersion": "6", "annotations": default}
    store.put(merged(CLASS, {"metadata": meta}))
    assert keys(ObjectChanged(LOST), store) == [LOST, A]


def test_a_version_concerns_the_objects_that_serve_its_group_and_the_stages_of_the_class(store: Store) -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model-package/wine/7"
    newest, version, another, elsewhere = (endpoint_key("nlp", name) for name in ("newest", "version", "other", "far"))
    stage = stage_key("nlp", "production")
    for key, package, class_name in (
        (newest, {"group": "wine"}, "a"),
        (version, {"arn": arn}, "a"),
        (another, {"group": "wine-previews", "version": 3}, "a"),
        (elsewhere, {"group": "wine"}, "b"),
    ):
        store.put(merged(raw(key, {"className": class_name}), {"spec": {"model": {"package": package, "image": None}}}))
    spec = {"className": "a", "repository": "acme/wine", "source": {"group": "beer"}}
    metadata = {"namespace": "nlp", "name": "production", "uid": "production", "resourceVersion": "7"}
    store.put({"apiVersion": API_VERSION, "kind": STAGE.name, "metadata": metadata, "spec": spec})
    assert sorted(keys(PackageChanged("a", "wine"), store)) == sorted([newest, version, stage])


COMPARED = {"className": "a", "api": {"samples": [{"name": "s", "request": "1"}]}}


def comparing(key: ObjectKey, base: str) -> dict[str, Any]:
    return raw(key, {**COMPARED, "compare": {"with": {"endpoint": base}}})


def test_a_written_status_concerns_the_objects_that_are_compared_with_it(store: Store) -> None:
    one, two, elsewhere = endpoint_key("nlp", "one"), endpoint_key("nlp", "two"), endpoint_key("other", "one")
    for key in (one, two):
        store.put(comparing(key, "of-a"))
    store.put(merged(comparing(elsewhere, "of-a"), {"metadata": {"namespace": "other"}}))
    assert keys(StatusWritten(OF_A), store) == [one, two]
    store.put(merged(comparing(two, "rival"), {"metadata": {"resourceVersion": "20"}}))
    assert keys(StatusWritten(OF_A), store) == [one]
    assert keys(StatusWritten(RIVAL), store) == [two]
    store.remove(one, "one")
    assert keys(StatusWritten(OF_A), store) == []


def test_an_object_that_vanishes_concerns_those_that_are_compared_with_it(store: Store) -> None:
    one = endpoint_key("nlp", "one")
    store.put(comparing(one, GONE.name))
    assert one in keys(ObjectChanged(GONE, known(GONE, {"className": "a"})), store)


def test_the_status_of_an_object_concerns_those_whose_answers_it_gets(store: Store) -> None:
    one, two = endpoint_key("nlp", "one"), endpoint_key("nlp", "two")
    chain = {"className": "a", "api": {"postprocess": {"endpoint": "of-a"}}}
    store.put(raw(one, chain))
    store.put(merged(comparing(two, "rival"), {"spec": {"api": {"postprocess": {"endpoint": "of-a"}}}}))
    assert keys(StatusWritten(OF_A), store) == [one, two]
    assert keys(StatusWritten(RIVAL), store) == [two], "another one is its base"
    store.put(merged(raw(one, {"className": "a"}), {"metadata": {"resourceVersion": "20"}}))
    assert keys(StatusWritten(OF_A), store) == [two]
