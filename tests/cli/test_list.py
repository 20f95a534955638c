import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from tests.cli.conditions import ready
from tests.fixtures.kubernetes import Cluster

from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.cli.list import rows

Run = Callable[..., Result]
KUBECTL = Path(sys.executable).parent / "kubectl"
TABLE = {
    "columnDefinitions": [{"name": "Name"}, {"name": "PR", "priority": 0}, {"name": "Cost/h", "priority": 1}],
    "rows": [
        {"cells": ["a", 42, "0.10"], "object": {"metadata": {"namespace": "nlp"}}},
        {"cells": ["bcdef", None, "\x1b[31m"], "object": {"metadata": {"namespace": "vision"}}},
    ],
}


@pytest.mark.parametrize(
    ("wide", "namespaces", "expected"),
    [
        (False, False, ["NAME    PR", "a       42", "bcdef"]),
        (True, False, ["NAME    PR   COST/H", "a       42   0.10", "bcdef         [31m"]),
        (False, True, ["NAMESPACE   NAME    PR", "nlp         a       42", "vision      bcdef"]),
    ],
)
def test_a_table_has_the_columns_that_are_asked_for(wide: bool, namespaces: bool, expected: list[str]) -> None:  # noqa: FBT001 - a table
    assert rows(TABLE, wide=wide, namespaces=namespaces) == expected


@pytest.mark.parametrize("output", ["table", "wide"])
def test_the_columns_are_those_of_kubectl(output: str, run: Run, cluster: Cluster, control_plane: ControlPlane) -> None:
    cluster.create("pr-42")
    cluster.create("pr-7")
    cluster.patch_status(ready(url="https://x.example/nlp/pr-42", expiresAt="2026-12-01T12:00:00Z"))
    flags = ["--output", "wide"] if output == "wide" else []
    command = [
        str(KUBECTL),
        "--kubeconfig",
        str(control_plane.kubeconfig),
        "get",
        "eep",
        "-n",
        cluster.namespace,
        *flags,
    ]
    kubectl = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - no shell
    own = run("list", "-o", output).stdout
    # The age of the objects may have become a second more.
    assert [line.split()[:-1] for line in own.splitlines()] == [line.split()[:-1] for line in kubectl.splitlines()]


def test_programs_get_the_objects(run: Run, cluster: Cluster) -> None:
    created = {"pr-42": cluster.create("pr-42"), "pr-7": cluster.create("pr-7")}
    as_json, as_yaml = json.loads(run("list", "-o", "json").stdout), yaml.safe_load(run("list", "-o", "yaml").stdout)
    assert as_json == as_yaml
    assert {each["metadata"]["name"]: each["spec"] for each in as_json["items"]} == {
        name: each["spec"] for name, each in created.items()
    }
    kind = "ephemeralendpoint.ephemeral-endpoints.io"
    assert run("list", "-o", "name").stdout == f"{kind}/pr-42\n{kind}/pr-7\n"


def test_an_empty_list_is_one_for_programs_too(run: Run) -> None:
    assert json.loads(run("list", "-o", "json").stdout)["items"] == []
    assert run("list", "-o", "name").stdout == ""


def test_all_namespaces_are_listed_with_their_names(run: Run, cluster: Cluster) -> None:
    cluster.create()
    [header, *lines] = run("list", "--all-namespaces").stdout.splitlines()
    assert header.split()[:2] == ["NAMESPACE", "NAME"]
    assert [cluster.namespace, "pr-42"] in [line.split()[:2] for line in lines]
