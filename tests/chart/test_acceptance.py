"""Every manifest of the chart, asked of a real API server without being stored."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml
from tests.chart.rendering import CHART, NAMESPACE, RELEASE, SETS, Chart, Manifest, Refused, kinds, only

from eep_platform.controlplane import ControlPlane
from eep_platform.processes import wait_until

MONITORING = "monitoring.coreos.com/v1"
NAMESPACES = [NAMESPACE, "team-a", "team-b", "eep-builds", "eep-previews"]
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}

# https://prometheus-operator.dev/docs/api-reference/api/: the members that are used, with the type of each.
SHAPES: dict[str, dict[str, object]] = {
    "ServiceMonitor": {
        "selector": {"matchLabels": {"": str}},
        "jobLabel": str,
        "namespaceSelector": {"matchNames": [str]},
        "endpoints": [
            {
                "port": str,
                "path": str,
                "interval": str,
                "scrapeTimeout": str,
                "honorLabels": bool,
                "relabelings": [{"sourceLabels": [str], "targetLabel": str, "regex": str, "action": str}],
                "metricRelabelings": [{"sourceLabels": [str], "targetLabel": str, "regex": str, "action": str}],
            }
        ],
    },
    "PrometheusRule": {
        "groups": [
            {
                "name": str,
                "rules": [{"alert": str, "expr": str, "for": str, "labels": {"": str}, "annotations": {"": str}}],
            }
        ]
    },
}

Kubectl = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    program = Path(sys.executable).parent / "kubectl"

    def run(*arguments: str, body: object = ()) -> CompletedProcess[str]:
        command: list[str | Path] = [program, f"--kubeconfig={control_plane.kubeconfig}", *arguments]
        text = yaml.safe_dump_all(body if isinstance(body, list) else [body])
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603 - the test's own words

    return run


@pytest.fixture(scope="module")
def ask(kubectl: Kubectl) -> Callable[[list[Manifest]], str]:
    """A function that has manifests judged, and returns what the API server finds wrong or questionable with them."""
    made = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
        for name in NAMESPACES
    ]
    apply = ("apply", "--server-side", "--force-conflicts")
    for done in (
        kubectl(*apply, "--filename=-", body=made),
        kubectl(*apply, f"--filename={CHART / 'files/crds'}"),
        kubectl("wait", "--for=condition=Established", "--timeout=120s", f"--filename={CHART / 'files/crds'}"),
    ):
        assert done.returncode == 0, done.stderr

    def judge(found: list[Manifest]) -> str:
        options = ("--dry-run=server", "--validate=strict", "--filename=-")
        done = kubectl(*apply, *options, body=found)
        assert done.returncode == 0 or done.stderr
        return done.stderr

    return judge


def _without_account(manifest: Manifest) -> Manifest:
    """A Pod as the template of a Job: the API server takes a Pod only once its service account exists."""
    if manifest["kind"] != "Pod":
        return manifest
    template = {"metadata": {"labels": manifest["metadata"]["labels"]}, "spec": manifest["spec"]}
    return {**manifest, "apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template}}


@pytest.mark.parametrize("values", SETS)
def test_the_api_server_accepts_every_manifest_without_a_warning(
    chart: Chart, ask: Callable[[list[Manifest]], str], values: str
) -> None:
    known = [_without_account(each) for each in chart.of(values) if each["apiVersion"] != MONITORING]
    assert known
    assert ask(known) == ""


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("podSecurityContext.runAsNonRoot=false", "would violate PodSecurity"),
        ("securityContext.capabilities.drop=null", "would violate PodSecurity"),
        ("podSecurityContext.runAsUsr=1", "field not declared in schema"),
        ("priorityClassName=Not A Name", "priorityClassName: Invalid value"),
    ],
)
def test_the_api_server_would_complain(
    chart: Chart, ask: Callable[[list[Manifest]], str], value: str, complaint: str
) -> None:
    assert complaint in ask(chart.of("default", f"--set={value}", "--show-only=templates/deployment.yaml"))


def test_operators_of_two_divisions_are_never_at_work_at_once(
    chart: Chart, ask: Callable[[list[Manifest]], str], kubectl: Kubectl, control_plane: ControlPlane
) -> None:
    """Helm sees what runs when it installs, and when it is asked to render with a look at the server."""
    deployment = only(chart.of("minimal"), "Deployment")
    owner = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}
    deployment["metadata"]["annotations"].update(owner)
    looking = ("--dry-run=server", f"--kubeconfig={control_plane.kubeconfig}", "--show-only=templates/deployment.yaml")
    where = (f"--namespace={NAMESPACE}", "deployment", deployment["metadata"]["name"])
    assert ask([deployment]) == ""
    assert kubectl("apply", "--server-side", "--filename=-", body=deployment).returncode == 0
    try:
        assert len(chart.of("minimal", *looking)) == 1
        with pytest.raises(Refused, match="shards: replicas of 1 shards still run, so the number cannot change to 2"):
            chart.of("minimal", *looking, "--set=shards=2")
        assert kubectl("scale", *where, "--replicas=0").returncode == 0
        wait_until(
            lambda: kubectl("get", *where, "--output=jsonpath={.status.replicas}").stdout in {"", "0"},
            seconds=120,
            what="the Deployment to be scaled down",
        )
        assert len(chart.of("minimal", *looking, "--set=shards=2")) == 2
    finally:
        kubectl("delete", *where, "--wait=false")


@pytest.mark.parametrize("kind", SHAPES)
def test_kinds_of_the_prometheus_operator_have_its_members(chart: Chart, kind: str) -> None:
    found = [each for each in chart.of("full") if each["apiVersion"] == MONITORING]
    assert {each["kind"] for each in found} == SHAPES.keys()
    (one,) = kinds(found, kind)
    assert list(_strangers(one["spec"], SHAPES[kind], "spec")) == []


def _strangers(value: object, shape: Any, path: str) -> list[str]:  # noqa: ANN401 - a tree of dictionaries and types
    """Members that the shape does not have, or has as something else."""
    if isinstance(shape, type):
        return [] if isinstance(value, shape) else [path]
    if isinstance(shape, list):
        assert isinstance(value, list)
        assert value
        return [each for item in value for each in _strangers(item, shape[0], f"{path}[]")]
    assert isinstance(value, dict)
    return [
        each
        for name, member in value.items()
        for each in (
            _strangers(member, shape.get(name, shape.get("")), f"{path}.{name}")
            if name in shape or "" in shape
            else [f"{path}.{name}"]
        )
    ]
