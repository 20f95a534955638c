import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

import click
import pytest
from tests.engine.objects import CLASS, ENDPOINT, merged
from tests.features.images.test_policy import DIGEST, FORK, SHA

from ephemeral_endpoints.cli.approval import approval
from ephemeral_endpoints.kube.cache import ObjectKey, Store

BUILT = {"spec": {"source": {"revision": SHA, **FORK}, "model": {"image": None, "build": {}}}}
DEFAULT = {"metadata": {"annotations": {"ephemeral-endpoints.io/is-default-class": "true"}}}
BUILDS = {**DEFAULT, "spec": {"builds": {"codeBuild": {"project": "previews"}, "secrets": {"pip": "builds/pip"}}}}


Raw = Mapping[str, Any]


def store(endpoint: Raw, endpoint_class: Raw) -> tuple[Store, ObjectKey]:
    made = Store()
    made.put(merged(CLASS, endpoint_class))
    return made, made.put(merged(ENDPOINT, endpoint))


def test_approvers_see_what_they_approve_and_how() -> None:
    build = {"arguments": {"INDEX": "a b"}, "secrets": ["pip"], "target": "serving"}
    text = approval(*store(merged(BUILT, {"spec": {"model": {"build": build}}}), BUILDS))
    shown = dict(line.split("  ", 1) for line in text.partition("\n\n")[0].splitlines())
    parts = {name: json.loads(value) for name, value in shown.items()}
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


def test_the_command_approves_what_the_operator_waits_for() -> None:
    text = approval(*store(BUILT, BUILDS))
    words = shlex.split(text.splitlines()[-1])
    assert words[:3] == ["kubectl", "annotate", "eep"]
    assert words[-1] == f"ephemeral-endpoints.io/approved-build={DIGEST}"


def test_the_digest_does_not_come_from_the_status() -> None:
    condition = {
        "type": "ImageReady",
        "status": "False",
        "reason": "ApprovalRequired",
        "message": "0" * 64,
        "lastTransitionTime": "2026-11-28T00:00:00Z",
    }
    text = approval(*store({**BUILT, "status": {"conditions": [condition]}}, BUILDS))
    assert re.findall("=([0-9a-f]{64})", text) == [DIGEST]


@pytest.mark.parametrize(
    ("endpoint", "endpoint_class", "reported"),
    [
        ({}, BUILDS, "is not built from a commit, and so needs no approval"),
        (BUILT, DEFAULT, "does not exist, or builds no images"),
    ],
)
def test_without_a_build_there_is_nothing_to_approve(endpoint: Raw, endpoint_class: Raw, reported: str) -> None:
    with pytest.raises(click.ClickException, match=reported):
        approval(*store(endpoint, endpoint_class))
