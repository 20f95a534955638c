"""A status that somebody else has written is output still: nothing is served, adopted or deleted because of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.controllers.environment import IMAGE, REVISION, Environment

from ephemeral_endpoints.api import ABANDON_ANNOTATION, APPROVED_ANNOTATION, RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_status import EphemeralEndpointStatus
from ephemeral_endpoints.engine.resources import ResourceKind
from ephemeral_endpoints.features.serving.specs import ENDPOINT, MODEL
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey, class_key, endpoint_key

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


def _make(env: Environment, name: str, uri: str, **status: object) -> ObjectKey:
    """An object that somebody made with a status of their own."""
    source = {"repository": "acme/sentiment", "revision": REVISION}
    spec = {"className": "default", "source": source, "model": {"image": uri}}
    env.api.put("EphemeralEndpoint", "nlp", name, spec, **status)
    return endpoint_key("nlp", name)


def _names(env: Environment, kind: ResourceKind) -> set[str]:
    [account] = env.operator.accounts.connected
    return {key.name for key in account.inventory.all if key.kind is kind}


async def test_an_image_that_the_class_does_not_allow_is_not_served_because_a_status_says_so(
    env: Environment,
) -> None:
    pinned = _make(env, "pinned", THEIRS, revision=REVISION, image={"uri": THEIRS, "digest": DIGEST})
    ready = _make(
        env,
        "ready",
        THEIRS,
        revision=REVISION,
        image={"uri": THEIRS, "digest": DIGEST},
        conditions=[READY],
        url="https://evil.example",
    )
    for key in (pinned, ready):
        message = await env.reason(key, "RepositoryNotAllowed", "ImageReady")
        assert "the class does not allow images from " in message
        assert "miners/monero" in message
        assert env.condition(key)["status"] == "False"
        assert env.api.kept[key]["status"].get("url") != "https://evil.example"
    await env.rest()
    assert _names(env, MODEL) == set()


async def test_a_class_that_was_tightened_is_heeded_by_what_is_served_already(env: Environment) -> None:
    """It serves on, as with instances: nothing is taken away from callers, and the conditions say what is wrong."""
    key = env.make()
    await env.ready(key)
    elsewhere = ["123456789012.dkr.ecr.us-east-1.amazonaws.com/other"]
    env.api.change(class_key("default"), {"spec": {"images": {"allowedRepositories": elsewhere}}})
    await env.reason(key, "RepositoryNotAllowed")
    await env.rest()
    assert len(_names(env, ENDPOINT)) == 1
    env.api.change(class_key("default"), {"spec": {"images": {"allowedRepositories": [IMAGE.partition(":")[0]]}}})
    await env.reason(key, "ImageNotFound", "ImageReady")


async def test_what_no_operator_has_written_is_not_read(env: Environment) -> None:
    forged = {
        "no-image": {"uri": "not an image", "digest": DIGEST},
        "no-digest": {"uri": IMAGE, "digest": "sha256:1 --privileged"},
        "two-lines": {"uri": f"{IMAGE}\nX", "digest": DIGEST},
    }
    keys = [_make(env, name, IMAGE, revision=REVISION, image=image) for name, image in forged.items()]
    keys.append(_make(env, "no-time", IMAGE, expiresAt="0000-01-01T00:00:00Z"))
    for key in keys:
        await env.reason(key, "ImageNotFound", "ImageReady")
    assert _names(env, MODEL) == set()
    for key in keys:
        env.api.remove(key)
        await env.gone(key)


async def test_nothing_is_deleted_or_adopted_that_a_status_calls_its_own(env: Environment) -> None:
    victim = env.make("victim")
    theirs = (await env.ready(victim))["status"]
    forged = _make(
        env,
        "forged",
        IMAGE,
        endpointName=theirs["endpointName"],
        resources=theirs["resources"],
        image=theirs["image"],
        url=theirs["url"],
        conditions=[READY],
    )
    await env.reason(forged, "ImageNotFound", "ImageReady")
    reported = env.api.kept[forged]["status"]
    assert reported["endpointName"] != theirs["endpointName"]
    assert not {each["name"] for each in reported.get("resources", [])} & {each["name"] for each in theirs["resources"]}
    env.api.remove(forged)
    await env.gone(forged)
    await env.snapshot()
    assert theirs["endpointName"] in _names(env, ENDPOINT)
    assert env.is_up_to_date(victim)


async def test_our_annotations_on_an_active_object_change_nothing(env: Environment) -> None:
    """To be abandoned it has to be deleted first; an approval of a commit that needs none says nothing."""
    key = env.make()
    await env.ready(key)
    forged = {ABANDON_ANNOTATION: "true", APPROVED_ANNOTATION: "0" * 40, RECONCILE_AT_ANNOTATION: "\x1b[2J" * 1000}
    env.api.change(key, {"metadata": {"annotations": forged}})
    await env.rest()
    await env.refresh(key)
    assert env.is_up_to_date(key)
    assert env.api.kept[key]["metadata"]["finalizers"] == [FINALIZER]
    assert len(_names(env, ENDPOINT)) == 1


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
