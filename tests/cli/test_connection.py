"""Where a command looks for the cluster, and what it says where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster

from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.cli.connection import explained
from ephemeral_endpoints.kube.errors import (
    Denied,
    Gone,
    Invalid,
    KubernetesError,
    Throttled,
    Unauthenticated,
    Unavailable,
)


def kubeconfig(source: Path, target: Path, *, server: str | None = None, **context: object) -> str:
    content = yaml.safe_load(source.read_text())
    content["contexts"][0]["context"] |= context
    if server:
        content["clusters"][0]["cluster"]["server"] = server
    target.write_text(yaml.safe_dump(content))
    return str(target)


def test_the_namespace_is_that_of_the_kubeconfigs_context_unless_it_is_given(
    cluster: Cluster, control_plane: ControlPlane, tmp_path: Path
) -> None:
    cluster.create()
    mine = kubeconfig(control_plane.kubeconfig, tmp_path / "mine", namespace=cluster.namespace)
    for result in (
        eep("list", "-o", "name", KUBECONFIG=mine),
        eep("list", "-o", "name", "--kubeconfig", mine, KUBECONFIG="/nowhere"),
        eep("list", "-o", "name", "-n", cluster.namespace, KUBECONFIG=str(control_plane.kubeconfig)),
    ):
        assert result.stdout == "ephemeralendpoint.ephemeral-endpoints.io/pr-42\n"
    other = eep("list", "-n", "elsewhere", KUBECONFIG=mine)
    assert (other.exit_code, other.stdout) == (0, "")
    assert other.stderr == "There are no endpoints in the namespace elsewhere.\n"


@pytest.mark.parametrize("command", [["status", "pr-42"], ["wait", "pr-42"], ["list"], ["doctor"], ["token", "pr-42"]])
def test_without_a_cluster_a_command_says_so_in_one_line(
    command: list[str], control_plane: ControlPlane, tmp_path: Path
) -> None:
    unreachable = kubeconfig(control_plane.kubeconfig, tmp_path / "a", server="https://127.0.0.1:1")
    broken = tmp_path / "broken"
    broken.write_text("{")
    empty = tmp_path / "empty"
    empty.touch()
    for file in (unreachable, "/nowhere", str(broken), str(empty)):
        result = eep(*command, KUBECONFIG=file)
        assert (result.exit_code, result.stdout) == (1, "")
        [line] = result.stderr.splitlines()
        assert line.startswith("Error: no cluster: ")
    result = eep(*command, "--context", "mars", KUBECONFIG=str(control_plane.kubeconfig))
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "mars" in result.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unavailable("refused"), "no cluster: refused. Is it running, and does this machine reach it?"),
        (Throttled("slow down"), "the cluster is busy: slow down"),
        (Unauthenticated("expired"), "the cluster refuses the credentials of the kubeconfig: expired. Log in again"),
        (Denied("cannot get"), "you lack a right in this cluster: cannot get"),
        (Gone("HTTP 404"), "this cluster has no EphemeralEndpoints: install the operator with its CRDs"),
        (Gone('"pr-42" not found'), '"pr-42" not found'),
        (Invalid("wrong"), "wrong"),
    ],
)
def test_what_the_cluster_refuses_is_said_with_what_to_do(error: KubernetesError, said: str) -> None:
    assert explained(error) == said


def test_a_right_that_is_missing_is_named(kubeconfig_with: Callable[..., str]) -> None:
    result = eep("status", "pr-42", KUBECONFIG=kubeconfig_with())
    assert result.exit_code == 1
    assert "Error: you lack a right in this cluster" in result.stderr
    assert 'cannot get resource "ephemeralendpoints"' in result.stderr
