"""A class and its forge, with the operator as a process on a real API server."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from kubernetes.client import V1ObjectMeta, V1Secret
from tests.fixtures.github import REPOSITORY
from tests.fixtures.operator import DEFAULT_SETTINGS, Bench, OperatorProcess
from tests.fixtures.waiting import eventually

from eep_platform.github.client import GitHubClient
from eep_platform.workbench import condition

NAME = "reviewed"
SECRET = "forge-github"  # noqa: S105 - the name of a Secret


def settings(bench: Bench) -> dict[str, str]:
    return {**DEFAULT_SETTINGS, "EEP_OWN_NAMESPACE": bench.namespace}


@pytest.fixture
def reviewed(bench: Bench, operator_process: OperatorProcess, github: GitHubClient) -> Iterator[Bench]:
    """The class, with a token in the operator's own namespace."""
    operator_process.run(settings(bench))
    body = V1Secret(metadata=V1ObjectMeta(name=SECRET), string_data={"token": github.add_token("ada")})
    bench.core.create_namespaced_secret(bench.namespace, body)
    grants = [{"repository": REPOSITORY, "namespaces": [bench.namespace]}]
    bench.make_class(NAME, reviews={"url": github.url, "secretName": SECRET, "repositories": grants})
    yield bench
    bench.delete_class(NAME)
    bench.wait_class_gone(NAME)


def said(bench: Bench, type_: str, reason: str) -> Mapping[str, Any]:
    def shown() -> Mapping[str, Any]:
        return condition(bench.get_class(NAME) or {}, type_)

    eventually(lambda: shown().get("reason") == reason, f"{type_} of the class: {reason}")
    return shown()


@pytest.mark.settings(None)
def test_a_class_says_whether_its_forge_can_be_used_and_waits_for_none(
    reviewed: Bench, operator_process: OperatorProcess, github: GitHubClient
) -> None:
    assert "takes the operator for ada" in said(reviewed, "ForgeConnected", "ForgeConnected")["message"]
    github.trouble({"held": True})
    written = reviewed.get_class(NAME)
    operator_process.stop()
    github.forget_calls()
    operator_process.run(settings(reviewed))
    said(reviewed, "Ready", "Connected")
    eventually(lambda: bool(github.calls()), "the new process asks the forge")
    assert reviewed.get_class(NAME) == written, "what the last process found holds until the new one knows"
    github.trouble({"operation": "users/get-authenticated", "effect": "html"})
    shown = said(reviewed, "ForgeConnected", "ForgeUnavailable")
    assert shown["status"] == "Unknown"
    assert said(reviewed, "Ready", "Connected")["status"] == "True", "a forge is not needed to serve"
