"""The examples for Argo CD and Flux, rendered as these do and applied with the rights that the examples give."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.examples.health import ROOT, SCRIPTS
from tests.examples.previews import NAMESPACE, Previews
from tests.examples.test_health import judge

EXAMPLES = ROOT / "examples/gitops"
REVISION = "1f0c2a9d5e7b48f6a3c1d2e4f5061728394a5b6c"
DIGITS = "0123456789" * 4
"""An SHA that YAML reads as a number."""

HOSTILE = '"\nspec: {suspend: true}\n---\nkind: Secret'
ARGO = {"number": "42", "title": HOSTILE, "branch": HOSTILE, "author": "mallory", "head_sha": REVISION}
FLUX = {"id": "42", "title": HOSTILE, "branch": HOSTILE, "author": "mallory", "sha": REVISION}

Render = Callable[[str], list[dict[str, Any]]]


def documents(path: Path) -> dict[str, Any]:
    """The documents of a file, by kind."""
    return {each["kind"]: each for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))}


@pytest.fixture
def argo(gitops: Path, previews: Previews, tmp_path: Path) -> Render:
    """Return a function that makes what Argo CD applies for a pull request at a commit."""
    template = documents(EXAMPLES / "argocd/applicationset.yaml")["ApplicationSet"]["spec"]["template"]

    def render(revision: str) -> list[dict[str, Any]]:
        application = judge(gitops, "applicationset", template=template, parameters={**ARGO, "head_sha": revision})
        assert application["metadata"]["name"] == "sentiment-pr-42"
        source = application["spec"]["source"]
        folder = tmp_path / revision
        shutil.copytree(ROOT / "examples" / source["path"], folder / source["path"])
        (folder / "kustomization.yaml").write_text(
            json.dumps({"resources": [source["path"]], **source["kustomize"]}), encoding="utf-8"
        )
        objects = list(yaml.safe_load_all(previews.kubectl("kustomize", str(folder))))
        for each in objects:
            each["metadata"].setdefault("namespace", application["spec"]["destination"]["namespace"])
        return objects

    return render


@pytest.fixture
def flux(gitops: Path) -> Render:
    """Return a function that makes what Flux applies for a pull request at a commit."""
    resources = documents(EXAMPLES / "flux/previews.yaml")["ResourceSet"]["spec"]["resources"]

    def render(revision: str) -> list[dict[str, Any]]:
        inputs = {**FLUX, "sha": revision}
        return [judge(gitops, "resourceset", template=each, parameters=inputs) for each in resources]

    return render


@pytest.fixture(params=["argo", "flux"])
def render(request: pytest.FixtureRequest) -> Render:
    chosen: Render = request.getfixturevalue(request.param)
    return chosen


def apply(previews: Previews, objects: list[dict[str, Any]]) -> None:
    """Apply objects as the service account that the examples make."""
    user = f"system:serviceaccount:{NAMESPACE}:previews"
    for each in objects:
        previews.kubectl("apply", "--server-side", f"--as={user}", "-f", "-", stdin=json.dumps(each))


def test_a_pull_request_gets_one_object_and_a_push_changes_it(render: Render, previews: Previews) -> None:
    for revision in (REVISION, DIGITS):
        apply(previews, render(revision))
        assert previews.names() == ["sentiment-pr-42"]
        spec = previews.read("sentiment-pr-42")["spec"]
        assert spec["source"] == {
            "repository": "acme/sentiment",
            "pullRequest": 42,
            "revision": revision,
            "follow": False,
        }
        assert spec["className"] == "reviewed"
        assert spec["suspend"] is False


@pytest.mark.parametrize("file", ["argocd/applicationset.yaml", "flux/previews.yaml"])
def test_nothing_that_an_author_words_is_part_of_an_object(file: str) -> None:
    text = (EXAMPLES / file).read_text(encoding="utf-8")
    used = set(re.findall(r"(?:\{\{ \.|<< inputs\.)(\w+)", text))
    assert used in ({"number", "head_sha"}, {"id", "sha"})


def test_an_input_of_flux_that_is_not_quoted_would_be_more_than_a_value(gitops: Path) -> None:
    resource = {"spec": {"source": {"branch": "<< inputs.branch >>"}}}
    quoted = {"spec": {"source": {"branch": "<< inputs.branch | quote >>"}}}
    inputs = {"branch": "x\nsuspend: true"}
    assert judge(gitops, "resourceset", template=resource, parameters=inputs)["suspend"] is True
    rendered = judge(gitops, "resourceset", template=quoted, parameters=inputs)
    assert rendered == {"spec": {"source": {"branch": "x\nsuspend: true"}}}


def test_the_project_allows_what_is_generated_and_no_more(argo: Render) -> None:
    project = documents(EXAMPLES / "argocd/applicationset.yaml")["AppProject"]["spec"]
    assert project["clusterResourceWhitelist"] == []
    [allowed] = project["namespaceResourceWhitelist"]
    assert {f"{allowed['group']}/v1alpha1": allowed["kind"]} == {
        each["apiVersion"]: each["kind"] for each in argo(REVISION)
    }


def test_the_rights_do_not_cover_an_approval(previews: Previews) -> None:
    user = f"--as=system:serviceaccount:{NAMESPACE}:previews"
    rules = json.loads(previews.kubectl("get", "role", "previews", "-n", NAMESPACE, "-o", "json"))["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]}.isdisjoint({"*", "approve", "abandon", "pin"})
    assert previews.kubectl("auth", "can-i", "create", "ephemeralendpoints", "-n", NAMESPACE, user).strip() == "yes"


def test_the_commands_of_the_page_add_the_scripts_to_the_settings_of_argo_cd(
    previews: Previews, programs: Callable[..., Mapping[str, str]]
) -> None:
    page = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
    [block] = re.findall(r"<!-- health -->\n```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    previews.kubectl("create", "namespace", "argocd")
    previews.kubectl("create", "configmap", "argocd-cm", "-n", "argocd", "--from-literal=url=https://argo.example")
    environment = {**programs(), "KUBECONFIG": str(previews.administrator)}
    script = re.sub(r"^\$ ", "", block, flags=re.MULTILINE)
    done = subprocess.run(  # noqa: S603 - the page's own commands
        ["/bin/bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    settings = json.loads(previews.kubectl("get", "configmap", "argocd-cm", "-n", "argocd", "-o", "json"))["data"]
    key = "resource.customizations.health.ephemeral-endpoints.io"
    assert settings == {
        "url": "https://argo.example",
        **{f"{key}_{kind.name}": (kind / "health.lua").read_text(encoding="utf-8") for kind in SCRIPTS.iterdir()},
    }
