"""A status that somebody else has written is output still: nothing is served, adopted or deleted because of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.reconcile.world import IMAGE, REVISION, Desk

from ephemeral_endpoints.api import ABANDON_ANNOTATION, APPROVED_ANNOTATION, RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.api.endpoint import EphemeralEndpoint, EphemeralEndpointStatus
from ephemeral_endpoints.core.resources import Kind
from ephemeral_endpoints.kube.store import CLASS_ANNOTATION, FINALIZER, ObjectKey

Body = dict[str, Any]

THEIRS = "210987654321.dkr.ecr.us-east-1.amazonaws.com/miners/monero:1"
DIGEST = f"sha256:{'a' * 64}"
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Serving",
    "message": "",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


def _make(desk: Desk, name: str, uri: str, **status: object) -> ObjectKey:
    """An object that somebody made with a status of their own."""
    source = {"repository": "acme/sentiment", "revision": REVISION}
    spec = {"className": "default", "source": source, "model": {"image": uri}}
    desk.api.put("EphemeralEndpoint", "nlp", name, spec, **status)
    return ObjectKey("nlp", name)


def _names(desk: Desk, kind: Kind) -> set[str]:
    [account] = desk.operator._accounts.connected
    return {key.name for key in account.inventory.all if key.kind is kind}


async def test_an_image_that_the_class_does_not_allow_is_not_served_because_a_status_says_so(desk: Desk) -> None:
    pinned = _make(desk, "pinned", THEIRS, revision=REVISION, image={"uri": THEIRS, "digest": DIGEST})
    ready = _make(
        desk,
        "ready",
        THEIRS,
        revision=REVISION,
        image={"uri": THEIRS, "digest": DIGEST},
        conditions=[READY],
        url="https://evil.example",
    )
    for key in (pinned, ready):
        message = await desk.reason(key, "RepositoryNotAllowed", "ImageReady")
        assert "miners/monero is not allowed" in message
        assert desk.condition(key)["status"] == "False"
        assert desk.api.kept[key]["status"].get("url") != "https://evil.example"
    await desk.rest()
    assert _names(desk, Kind.MODEL) == set()


async def test_a_class_that_was_tightened_is_heeded_by_what_is_served_already(desk: Desk) -> None:
    """It serves on, as with instances: nothing is taken away from callers, and the conditions say what is wrong."""
    key = desk.make()
    await desk.ready(key)
    elsewhere = ["123456789012.dkr.ecr.us-east-1.amazonaws.com/other"]
    desk.api.change(ObjectKey(None, "default"), {"spec": {"images": {"allowedRepositories": elsewhere}}})
    await desk.reason(key, "RepositoryNotAllowed")
    await desk.rest()
    assert len(_names(desk, Kind.ENDPOINT)) == 1
    desk.api.change(
        ObjectKey(None, "default"), {"spec": {"images": {"allowedRepositories": [IMAGE.partition(":")[0]]}}}
    )
    await desk.reason(key, "ImageNotFound", "ImageReady")


async def test_what_no_operator_has_written_is_not_read(desk: Desk) -> None:
    forged = {
        "no-image": {"uri": "not an image", "digest": DIGEST},
        "no-digest": {"uri": IMAGE, "digest": "sha256:1 --privileged"},
        "two-lines": {"uri": f"{IMAGE}\nX", "digest": DIGEST},
    }
    keys = [_make(desk, name, IMAGE, revision=REVISION, image=image) for name, image in forged.items()]
    keys.append(_make(desk, "no-time", IMAGE, expiresAt="0000-01-01T00:00:00Z"))
    for key in keys:
        await desk.reason(key, "ImageNotFound", "ImageReady")
    assert _names(desk, Kind.MODEL) == set()
    for key in keys:
        desk.api.remove(key)
        await desk.gone(key)


async def test_nothing_is_deleted_or_adopted_that_a_status_calls_its_own(desk: Desk) -> None:
    victim = desk.make("victim")
    theirs = (await desk.ready(victim))["status"]
    forged = _make(
        desk,
        "forged",
        IMAGE,
        endpointName=theirs["endpointName"],
        resources=theirs["resources"],
        image=theirs["image"],
        url=theirs["url"],
        conditions=[READY],
    )
    await desk.reason(forged, "ImageNotFound", "ImageReady")
    told = desk.api.kept[forged]["status"]
    assert told["endpointName"] != theirs["endpointName"]
    assert not {each["name"] for each in told.get("resources", [])} & {each["name"] for each in theirs["resources"]}
    desk.api.remove(forged)
    await desk.gone(forged)
    await desk.snapshot()
    assert theirs["endpointName"] in _names(desk, Kind.ENDPOINT)
    assert desk.is_up_to_date(victim)


async def test_an_object_with_forged_marks_of_ours_goes_when_it_is_deleted(desk: Desk) -> None:
    """As if it had been taken in by a class that does not exist; whoever corrects that gets it deleted."""
    key = desk.make("forged")
    metadata = {"finalizers": [FINALIZER], "annotations": {CLASS_ANNOTATION: "absent"}}
    desk.api.change(key, {"metadata": metadata})
    desk.api.remove(key)
    desk.api.change(key, {"metadata": {"annotations": {CLASS_ANNOTATION: "default"}}})
    await desk.gone(key)


async def test_our_annotations_on_a_living_object_take_nothing_from_it(desk: Desk) -> None:
    """To be abandoned it has to be deleted first; an approval of a commit that needs none says nothing."""
    key = desk.make()
    await desk.ready(key)
    forged = {ABANDON_ANNOTATION: "true", APPROVED_ANNOTATION: "0" * 40, RECONCILE_AT_ANNOTATION: "\x1b[2J" * 1000}
    desk.api.change(key, {"metadata": {"annotations": forged}})
    await desk.rest()
    await desk.look(key)
    assert desk.is_up_to_date(key)
    assert desk.api.kept[key]["metadata"]["finalizers"] == [FINALIZER]
    assert len(_names(desk, Kind.ENDPOINT)) == 1


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"expiresAt": "0000-01-01T00:00:00Z"}, id="a year that Python has not"),
        pytest.param({"conditions": [READY | {"lastTransitionTime": "0000-01-01T00:00:00Z"}]}, id="in a condition"),
    ],
)
def test_a_status_that_cannot_be_read_hides_no_object(
    status: Body, endpoint: Body, stored: Callable[[Body], Body], kubectl: Callable[..., str]
) -> None:
    """The API server takes it; an object that nobody reads would keep what it has in AWS for ever."""
    name = stored(endpoint)["metadata"]["name"]
    kubectl("patch", "eep", name, "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}))
    kept = json.loads(kubectl("get", "eep", name, "--output=json"))
    assert kept["status"].items() >= status.items()
    assert EphemeralEndpoint.model_validate(kept).status == EphemeralEndpointStatus()
