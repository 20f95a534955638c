"""eep stage, on the real API server."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from click.testing import Result
from kubernetes.client import CustomObjectsApi
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster

from ephemeral_endpoints.api import (
    API_VERSION,
    APPROVED_BY_ANNOTATION,
    APPROVED_VERSION_ANNOTATION,
    GROUP,
    VERSION,
)
from ephemeral_endpoints.api.kinds import PROMOTION, STAGE

Run = Callable[..., Result]
SPEC = {"className": "production", "repository": "acme/wine", "source": {"group": "wine"}}
RECORD = {
    "promotion": "production-1",
    "number": 1,
    "version": "wine/7",
    "replaced": "wine/6",
    "kind": "Promotion",
    "outcome": "Succeeded",
    "startedAt": "2026-12-01T11:00:00Z",
    "finishedAt": "2026-12-01T12:00:00Z",
    "by": "anna",
    "message": "release 12\x1b[2J",
}
RIGHTS = {"apiGroups": [GROUP], "resources": [STAGE.plural, PROMOTION.plural], "verbs": ["get", "list"]}


class Objects:
    """The stages and promotions of a namespace."""

    def __init__(self, cluster: Cluster) -> None:
        self._api: Any = CustomObjectsApi(cluster.core.api_client)
        self._stages = (GROUP, VERSION, cluster.namespace, STAGE.plural)
        self._promotions = (GROUP, VERSION, cluster.namespace, PROMOTION.plural)

    def make(self) -> None:
        body = {"apiVersion": API_VERSION, "kind": STAGE.name, "metadata": {"name": "production"}, "spec": SPEC}
        self._api.create_namespaced_custom_object(*self._stages, body)
        status = {"status": {"history": [RECORD]}}
        self._api.patch_namespaced_custom_object_status(*self._stages, "production", status)

    def annotations(self) -> Mapping[str, str]:
        found = self._api.get_namespaced_custom_object(*self._stages, "production")
        return dict(found["metadata"].get("annotations", {}))

    def promotions(self) -> list[Mapping[str, Any]]:
        return [each["spec"] for each in self._api.list_namespaced_custom_object(*self._promotions)["items"]]


@pytest.fixture
def objects(cluster: Cluster) -> Objects:
    made = Objects(cluster)
    made.make()
    return made


@pytest.mark.usefixtures("objects")
def test_stages_and_their_history_are_shown(run: Run) -> None:
    assert [line.split()[0] for line in run("stage", "list").stdout.splitlines()] == ["NAME", "production"]
    titles, line = run("stage", "history", "production").stdout.splitlines()
    assert titles.split()[:3] == ["FINISHED", "VERSION", "REPLACED"]
    assert line.split()[1:6] == ["wine/7", "wine/6", "Promotion", "Succeeded", "anna"]
    assert "\x1b" not in line, "what somebody wrote does no harm to a terminal"


@pytest.mark.usefixtures("cluster")
def test_where_there_are_no_stages_that_is_said(run: Run) -> None:
    assert "no stages" in run("stage", "list").stderr
    assert run("stage", "history", "nowhere").exit_code == 1


def test_who_approves_is_who_the_api_server_says(run: Run, objects: Objects) -> None:
    assert run("stage", "approve", "production", "wine/7").exit_code == 0
    given = objects.annotations()
    assert given[APPROVED_VERSION_ANNOTATION] == "wine/7"
    run("stage", "promote", "production", "wine/7")
    (made,) = objects.promotions()
    assert given[APPROVED_BY_ANNOTATION] == made["requestedBy"] != ""


@pytest.mark.parametrize(
    ("words", "asked", "why"),
    [
        (
            ["promote", "production", "wine/7", "--message", "release 12"],
            {"kind": "Promotion", "version": "wine/7", "message": "release 12", "bypassApproval": False},
            "it waits for an approval",
        ),
        (
            ["promote", "production", "wine/7", "--bypass-approval"],
            {"kind": "Promotion", "version": "wine/7", "bypassApproval": True},
            "it does not",
        ),
        (["rollback", "production"], {"kind": "Rollback", "bypassApproval": False}, "to the version before"),
        (
            ["rollback", "production", "--to", "wine/5"],
            {"kind": "Rollback", "version": "wine/5", "bypassApproval": False},
            "to an earlier one",
        ),
    ],
)
def test_a_promotion_is_what_was_asked_for(
    run: Run, objects: Objects, words: list[str], asked: Mapping[str, object], why: str
) -> None:
    result = run("stage", *words)
    assert result.exit_code == 0, result.output
    (made,) = objects.promotions()
    assert made == {"stage": "production", **asked, "requestedBy": made["requestedBy"]}, why
    assert "kubectl get mpromo production-" in result.stderr


def test_what_the_api_server_refuses_is_an_error_in_a_line(
    run: Run, cluster: Cluster, objects: Objects, kubeconfig_with: Callable[..., str]
) -> None:
    nonsense = run("stage", "promote", "production", "wine")
    assert (nonsense.exit_code, len(nonsense.stderr.splitlines())) == (1, 1)
    kubeconfig = kubeconfig_with(RIGHTS)
    denied = eep("stage", "approve", "production", "wine/7", "-n", cluster.namespace, KUBECONFIG=kubeconfig)
    assert (denied.exit_code, "Traceback" in denied.output) == (1, False)
    assert objects.annotations() == {}
    assert objects.promotions() == []
