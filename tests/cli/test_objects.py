"""Tokens, annotations and the names of objects, on a real API server."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import Result
from kubernetes.client import V1ObjectMeta, V1Secret
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster

from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api import EXTEND_UNTIL_ANNOTATION, PIN_ANNOTATION, SLEEP_ANNOTATION, WAKE_ANNOTATION
from ephemeral_endpoints.cli import connection
from ephemeral_endpoints.cli.main import kubectl_complete
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.expiry.policy import moment

Run = Callable[..., Result]
TOKEN = "a-token-that-is-long-enough"  # noqa: S105 - of this test
MAY_GET = {"apiGroups": ["ephemeral-endpoints.io"], "resources": ["ephemeralendpoints"], "verbs": ["get", "list"]}


def secret(cluster: Cluster, uid: str, token: str = TOKEN) -> None:
    # Kubernetes soon deletes what belongs to an object that does not exist.
    owner = {"apiVersion": "ephemeral-endpoints.io/v1alpha1", "kind": "EphemeralEndpoint", "name": "pr-42", "uid": uid}
    metadata = V1ObjectMeta(name="pr-42-endpoint-token", owner_references=[owner] if uid else None)
    cluster.core.create_namespaced_secret(cluster.namespace, V1Secret(metadata=metadata, string_data={"token": token}))


def test_the_token_is_that_of_the_secret(run: Run, cluster: Cluster) -> None:
    secret(cluster, cluster.create()["metadata"]["uid"])
    result = run("token", "pr-42")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{TOKEN}\n", "")


def test_no_other_command_prints_it(run: Run, cluster: Cluster) -> None:
    secret(cluster, cluster.create()["metadata"]["uid"])
    cluster.patch_status({"observedGeneration": 1, "url": "http://pr-42.example/"})
    for command in (["status", "pr-42", "--logs", "0"], ["list", "-o", "yaml"], ["invoke", "pr-42", "-d", "{}"]):
        result = run(*command)
        assert TOKEN not in result.stdout + result.stderr
    assert "is not encrypted: the token is not sent there" in result.stderr


@pytest.mark.parametrize(
    ("spec", "content", "reported"),
    [
        ({"api": {"auth": {"type": "None"}}}, None, "pr-42 needs no token: its spec.api.auth.type is None"),
        ({}, None, "the Secret pr-42-endpoint-token does not exist yet"),
        ({}, ("", TOKEN), "does not belong to this object"),
        ({}, ("the object", "short"), "holds no valid token"),
    ],
)
def test_without_a_token_of_its_own_it_says_why(
    spec: dict[str, object], content: tuple[str, str] | None, reported: str, run: Run, cluster: Cluster
) -> None:
    made = cluster.create(spec=spec)
    if content:
        owner, token = content
        secret(cluster, made["metadata"]["uid"] if owner else "", token)
    result = run("token", "pr-42")
    assert (result.exit_code, result.stdout) == (1, "")
    assert reported in result.stderr


def test_the_right_to_the_token_is_named(cluster: Cluster, kubeconfig_with: Callable[..., str]) -> None:
    secret(cluster, cluster.create()["metadata"]["uid"])
    result = eep("token", "pr-42", KUBECONFIG=kubeconfig_with(MAY_GET))
    assert result.exit_code == 1
    assert f"ask for the verb get on it in the namespace {cluster.namespace}" in result.stderr


def test_an_extension_is_never_taken_back(run: Run, cluster: Cluster) -> None:
    cluster.create()
    assert run("extend", "pr-42", "2d").exit_code == 0
    longer = moment(cluster.read()["metadata"]["annotations"][EXTEND_UNTIL_ANNOTATION])
    assert longer is not None
    assert timedelta(hours=47) < longer - datetime.now(UTC) <= timedelta(days=2)
    result = run("extend", "pr-42", "1h")
    assert f"pr-42 is to live until {timestamp(longer)}, as far as its class allows" in result.stderr
    assert moment(cluster.read()["metadata"]["annotations"][EXTEND_UNTIL_ANNOTATION]) == longer


@pytest.mark.parametrize("arguments", [["pr-42", "-24h"], ["pr-42", "--", "-24h"], ["-1d", "pr-42"]])
def test_of_a_negative_extension_it_is_said_that_a_life_is_never_shortened(arguments: list[str]) -> None:
    result = eep("extend", *arguments, KUBECONFIG="/nonexistent")
    assert result.exit_code == 2
    assert "DURATION: must be longer than 0s: a life is never shortened" in result.stderr


def test_an_extension_counts_from_the_time_of_the_api_server(
    run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "utc_now", lambda: datetime.now(UTC) - timedelta(hours=5))
    cluster.create()
    assert run("extend", "pr-42", "24h").exit_code == 0
    until = moment(cluster.read()["metadata"]["annotations"][EXTEND_UNTIL_ANNOTATION])
    assert until is not None
    assert until - datetime.now(UTC) > timedelta(hours=20)


def test_an_object_is_pinned_and_unpinned(run: Run, cluster: Cluster) -> None:
    cluster.create()
    assert run("pin", "pr-42").exit_code == 0
    assert cluster.read()["metadata"]["annotations"][PIN_ANNOTATION] == "true"
    result = run("unpin", "pr-42")
    assert (result.exit_code, "no longer pinned" in result.stderr) == (0, True)
    assert PIN_ANNOTATION not in cluster.read()["metadata"].get("annotations", {})


@pytest.mark.parametrize("duration", ["tomorrow", "0s", "366d", "999999w"])
def test_what_is_no_sensible_duration_is_refused(run: Run, duration: str) -> None:
    assert run("extend", "pr-42", duration).exit_code == 2


def test_a_retry_changes_the_annotation_each_time(run: Run, cluster: Cluster) -> None:
    cluster.create()
    seen = set()
    for _ in range(2):
        assert run("retry", "pr-42").exit_code == 0
        seen.add(cluster.read()["metadata"]["annotations"]["ephemeral-endpoints.io/reconcile-at"])
    assert len(seen) == 2


@pytest.mark.parametrize("command", [["extend", "pr-42", "24h"], ["pin", "pr-42"], ["retry", "pr-42"]])
def test_nothing_is_promised_of_an_object_that_is_being_deleted(command: list[str], run: Run, cluster: Cluster) -> None:
    cluster.create(finalizers=["example.com/held"])
    cluster.delete()
    result = run(*command)
    cluster.patch({"metadata": {"finalizers": None}})
    assert (result.exit_code, result.stdout) == (1, "")
    assert "pr-42 is being deleted, and nothing stops that" in result.stderr


def test_an_object_that_does_not_exist_is_named(run: Run) -> None:
    result = run("retry", "pr-43")
    assert result.exit_code == 1
    assert result.stderr == 'Error: ephemeralendpoints.ephemeral-endpoints.io "pr-43" not found\n'


@pytest.mark.parametrize("name", ["eep/pr-42", "ephemeralendpoint.ephemeral-endpoints.io/pr-42"])
def test_an_object_may_be_named_as_kubectl_prints_it(name: str, run: Run, cluster: Cluster) -> None:
    cluster.create()
    assert run("retry", name).exit_code == 0


@pytest.mark.parametrize("name", ["pod/pr-42", "../pr-42", "PR 42", ""])
def test_what_is_no_name_is_refused(name: str, run: Run) -> None:
    assert run("retry", name).exit_code == 2


def completed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kubeconfig: str, *words: str) -> str:
    """What kubectl gets for words of `kubectl eep`."""
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    monkeypatch.setattr("sys.argv", ["kubectl_complete-eep", *words])
    kubectl_complete()
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def test_names_of_objects_are_completed(
    cluster: Cluster,
    control_plane: ControlPlane,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("pr-42", "pr-7", "main"):
        cluster.create(name)
    words = ("status", "--namespace", cluster.namespace, "pr")
    assert completed(monkeypatch, capsys, str(control_plane.kubeconfig), *words) == "pr-42\npr-7\n:4\n"


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["status", ""], ":4\n"),
        (["wai"], "wait\tWait until an endpoint serves, or never will.\n:4\n"),
        (["iam", "li"], "list\tList the policies, with the role that...\n:4\n"),
        (["init", "--path", ""], ":0\n"),
    ],
)
def test_without_a_cluster_all_but_names_is_completed(
    words: list[str], printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert completed(monkeypatch, capsys, "/nowhere", *words) == printed


def test_the_last_command_counts_whatever_the_clock_of_the_one_before(run: Run, cluster: Cluster) -> None:
    ahead = timestamp(datetime.now(UTC) + timedelta(hours=1))
    cluster.create(annotations={WAKE_ANNOTATION: ahead}, spec={"serving": {"instances": {"type": "ml.m5.large"}}})
    assert run("sleep", "pr-42").exit_code == 0
    assert cluster.read()["metadata"]["annotations"][SLEEP_ANNOTATION] > ahead
    result = run("wake", "pr-42")
    assert "`eep wait pr-42` waits for it" in result.stderr
    annotations = cluster.read()["metadata"]["annotations"]
    assert annotations[WAKE_ANNOTATION] > annotations[SLEEP_ANNOTATION]


def test_what_cannot_sleep_is_named(run: Run, cluster: Cluster) -> None:
    cluster.create()
    assert "pr-42 does not sleep" in run("sleep", "pr-42").stderr
