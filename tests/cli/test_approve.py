import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import click
import pytest
from click.testing import Result
from tests.engine.objects import CLASS, ENDPOINT, merged
from tests.features.images.test_policy import DIGEST, FORK, SHA
from tests.fixtures.kubernetes import SPEC, Cluster

from ephemeral_endpoints.cli.approve import Approval, approval
from ephemeral_endpoints.kube.cache import ObjectKey, Store

BUILT = {"spec": {"source": {"revision": SHA, **FORK}, "model": {"image": None, "build": {}}}}
DEFAULT = {"metadata": {"annotations": {"ephemeral-endpoints.io/is-default-class": "true"}}}
BUILDS = {**DEFAULT, "spec": {"builds": {"codeBuild": {"project": "previews"}, "secrets": {"pip": "builds/pip"}}}}
ANNOTATION = "ephemeral-endpoints.io/approved-build"


Raw = Mapping[str, Any]
Run = Callable[..., Result]


def store(endpoint: Raw, endpoint_class: Raw) -> tuple[Store, ObjectKey]:
    made = Store()
    made.put(merged(CLASS, endpoint_class))
    return made, made.put(merged(ENDPOINT, endpoint))


def given(endpoint: Raw = BUILT) -> Approval:
    return approval(*store(endpoint, BUILDS))


def test_approvers_see_what_they_approve() -> None:
    build = {"arguments": {"INDEX": "a b"}, "secrets": ["pip"], "target": "serving"}
    text = given(merged(BUILT, {"spec": {"model": {"build": build}}})).described()
    parts = {name: json.loads(value) for name, value in (line.split("  ", 1) for line in text.splitlines())}
    assert parts == {
        "repository": "https://github.com/mallory/sentiment.git",
        "revision": SHA,
        "context": ".",
        "dockerfile": "Dockerfile",
        "target": "serving",
        "arguments": {"INDEX": "a b"},
        "secrets": {"pip": "builds/pip"},
        "platform": "linux/amd64",
    }


def test_the_command_of_kubectl_approves_what_the_operator_waits_for() -> None:
    words = shlex.split(given().by_kubectl())
    assert words[:3] == ["kubectl", "annotate", "eep"]
    assert words[-1] == f"{ANNOTATION}={DIGEST}"


def test_the_digest_does_not_come_from_the_status() -> None:
    condition = {
        "type": "ImageReady",
        "status": "False",
        "reason": "ApprovalRequired",
        "message": "0" * 64,
        "lastTransitionTime": "2026-11-28T00:00:00Z",
    }
    text = given({**BUILT, "status": {"conditions": [condition]}}).by_kubectl()
    assert re.findall("=([0-9a-f]{64})", text) == [DIGEST]


@pytest.mark.parametrize(("value", "is_given"), [(DIGEST, True), ("0" * 64, False), (SHA, False)])
def test_a_build_is_approved_already_only_by_its_own_digest(value: str, is_given: bool) -> None:  # noqa: FBT001 - a table
    assert given({**BUILT, "metadata": {"annotations": {ANNOTATION: value}}}).is_given is is_given


@pytest.mark.parametrize(
    ("endpoint", "endpoint_class", "reported"),
    [
        ({}, BUILDS, "neither built from a commit nor trained, and so needs no approval"),
        (BUILT, DEFAULT, "does not exist, or builds no images"),
    ],
)
def test_without_a_build_there_is_nothing_to_approve(endpoint: Raw, endpoint_class: Raw, reported: str) -> None:
    with pytest.raises(click.ClickException, match=reported):
        approval(*store(endpoint, endpoint_class))


def test_approving_sets_the_annotation_to_what_was_shown(run: Run, cluster: Cluster) -> None:
    cluster.create(
        spec={"className": "default", "source": {**SPEC["source"], "revision": SHA, **FORK}, "model": {"build": {}}}
    )
    shown = run("approve", "pr-42", "--dry-run")
    unasked = run("approve", "pr-42")
    assert (shown.exit_code, unasked.exit_code) == (0, 2)
    assert "there is no terminal to ask on" in unasked.stderr
    assert "annotations" not in cluster.read()["metadata"]
    approved = run("approve", "pr-42", "--yes")
    assert approved.exit_code == 0
    [digest] = re.findall(f"{ANNOTATION}=([0-9a-f]+)", shown.stdout)
    assert cluster.read()["metadata"]["annotations"] == {ANNOTATION: digest}
    assert "approved already" in run("approve", "pr-42", "--yes").stderr
