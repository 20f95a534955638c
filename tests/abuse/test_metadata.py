"""What the writers of objects change in their metadata decides nothing about class, role, image or ownership."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from ephemeral_endpoints.api import DEFAULT_CLASS_ANNOTATION, GROUP
from ephemeral_endpoints.deploy.write_access import METADATA
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey, class_key
from ephemeral_endpoints.kube.errors import Denied

ROLE, OTHER_ROLE = (f"arn:aws:iam::{ministack.ACCOUNT}:role/{name}" for name in ("any", "other"))
DEFAULT: Mapping[str, Any] = {"metadata": {"annotations": {DEFAULT_CLASS_ANNOTATION: "true"}}}
NO_DEFAULT: Mapping[str, Any] = {"metadata": {"annotations": {DEFAULT_CLASS_ANNOTATION: None}}}


def _roles(aws: Aws) -> set[str]:
    sagemaker = aws.client("sagemaker")
    models = (each["ModelName"] for each in sagemaker.list_models()["Models"])
    return {sagemaker.describe_model(ModelName=name)["ExecutionRoleArn"] for name in models}


async def _served_by_the_default_class(env: Environment) -> ObjectKey:
    env.api.change(class_key("default"), DEFAULT)
    key = env.make(className=None)
    await env.ready(key)
    return key


@pytest.mark.parametrize("metadata", [{"annotations": None}, {"annotations": {f"{GROUP}/class": "other"}}])
async def test_an_object_keeps_its_role_whatever_its_metadata_say_and_the_default_class_is(
    env: Environment, fresh_aws: Aws, metadata: Mapping[str, Any]
) -> None:
    """The attack: another default class meanwhile, the record of the class taken off or forged, and a restart."""
    key = await _served_by_the_default_class(env)
    assert env.api.kept[key]["spec"]["className"] == "default"
    env.make_class("other", executionRoleArn=OTHER_ROLE)
    env.api.change(class_key("default"), NO_DEFAULT)
    env.api.change(class_key("other"), DEFAULT)
    env.api.change(key, {"metadata": {**metadata, "labels": {"team": "nlp"}}})
    await env.refresh(key)
    await env.restart()
    await env.ready(key)
    assert _roles(fresh_aws) == {ROLE}


async def test_an_object_that_comes_with_the_finalizer_gets_its_class_all_the_same(env: Environment) -> None:
    env.api.change(class_key("default"), DEFAULT)
    key = env.make(className=None)
    env.api.change(key, {"metadata": {"finalizers": [FINALIZER]}})
    await env.ready(key)
    assert env.api.kept[key]["spec"]["className"] == "default"


async def test_a_default_class_that_a_policy_forbids_is_not_used(
    env: Environment, fresh_aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the limits of a namespace name another default class than the one that is marked."""

    async def refuse(*_: object) -> Mapping[str, Any]:
        raise Denied("namespace nlp may not use class default")

    env.api.change(class_key("default"), DEFAULT)
    with monkeypatch.context() as patched:
        patched.setattr(env.api, "add_finalizer", refuse)
        key = env.make(className=None)
        message = await env.reason(key, "ClassRefused")
    assert "namespace nlp may not use class default" in message
    assert "set spec.className to a class that this namespace may use" in message
    assert _roles(fresh_aws) == set()
    await env.refresh(key)
    await env.ready(key)


def test_a_status_that_is_written_with_the_object_is_dropped(
    endpoint: dict[str, Any],
    stored: Callable[[dict[str, Any]], dict[str, Any]],
    patch: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]],
) -> None:
    forged = {"url": "https://evil.example", "endpointName": "victim"}
    made = stored({**endpoint, "status": forged})
    changed = patch(made, {"status": forged, "metadata": {"labels": {"team": "nlp"}}})
    for each in (made, changed):
        assert not forged.keys() & each.get("status", {}).keys()


def test_nothing_else_of_the_metadata_can_be_written(
    endpoint: dict[str, Any], stored: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    theirs = {"uid": "forged", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7, "selfLink": "/forged"}
    made = stored({**endpoint, "metadata": {**endpoint["metadata"], **theirs}})
    assert not [name for name, value in theirs.items() if made["metadata"].get(name) == value]
    of_server = {"uid", "creationTimestamp", "generation", "resourceVersion", "namespace"}
    assert made["metadata"].keys() <= of_server | set(METADATA)
