"""Every command that a page shows is run by a test, or has a reason why it cannot be run here."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from kubernetes.client import ApiClient, CoordinationV1Api, CustomObjectsApi
from tests.cli.conditions import condition, ready
from tests.fixtures.kubernetes import Cluster
from tests.fixtures.model_server import ModelServer, serving
from tests.test_docs import PAGES, ROOT, read

from eep_platform.bootstrap import DEFAULT_CLASS
from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api import API_VERSION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS
from ephemeral_endpoints.kube.client import secret_name

Rows = dict[str, str]

OF_A_TEST: Final = {
    "training-tutorial": "tests/e2e/test_training.py::test_the_tutorial_goes_from_an_empty_folder_to_production",
    "tutorial": "tests/test_tutorial.py::test_from_an_empty_folder_to_a_prediction",
}
"""Pages whose blocks of `sh` a test runs as a whole."""

ELSEWHERE: Final[Rows] = {
    r"eep cost\b": "tests/cli/test_cost.py",
    r"eep prices ": "tests/cli/test_prices.py",
    r"eep sweep ": "tests/cli/test_sweep.py",
    r"eep transform\b": "tests/cli/test_transform.py",
    r"eep model\b": "tests/cli/test_model.py",
    r"eep stage\b": "tests/cli/test_stage.py",
    r"make (test|lint)\b": ".ci/run",
    r"make demo STORY=lifetime\b": "tests/e2e/test_lifetime.py",
    r"make demo STORY=training\b": "tests/e2e/test_training.py",
    r"make demo\b": "tests/e2e/test_story.py::test_each_revision_predicts_what_its_own_model_does",
    r"make up\b": "tests/eep_platform/cli/test_local.py::test_up_and_status_print_what_a_shell_can_evaluate",
    r"make prices\b": "tests/eep_platform/tools/test_prices.py",
    r"make down\b": "tests/eep_platform/cli/test_local.py::test_down_of_nothing_is_done",
    r"make generate\b": "tests/api/schema/test_crds.py",
    r"git push http://127": "tests/eep_platform/test_git.py",
    r"curl -H .* \"\$URL/feedback\"": "tests/integration/test_feedback.py",
    r"curl -sS .* \"\$url/invocations\"": "tests/features/routing/forwarder/test_base.py",
    r"export OPENAI_(API_KEY|BASE_URL)=": "tests/cli/test_openai_tokens.py",
    r"eep approve\b": "tests/cli/test_approve.py",
    r"(EEP_TOKEN=\S+ )?eep check --url\b": "tests/cli/test_check.py::test_checks_of_a_file_pass",
    r"eep check sentiment": "tests/cli/test_check.py::test_the_operator_runs_the_checks_of_an_object_again",
    r"eep load\b": "tests/cli/test_load.py",
    r"eep (sleep|wake)\b": "tests/cli/test_objects.py",
    r"(scripts|key)=|kubectl create configmap argocd-cm": "tests/examples/test_gitops.py",
    r"# wait\.sh NAME": "tests/examples/test_recipe.py::test_the_script_ends_with_the_object",
    r"docker buildx build\b": "tests/eep_platform/codebuild/test_docker.py",
    r"docker build\b": "tests/image/test_operator_image.py",
    r"helm (upgrade|rollback|history|uninstall|get)\b": "tests/installation/test_story.py",
    r"kubectl delete (eep -A|eepc) --all": "tests/installation/test_story.py",
    r"kubectl apply --server-side -f crds": "tests/installation/test_story.py",
}
"""Commands by how they begin, and where they are run, with other names for what they are about."""

NOT_HERE: Final[Rows] = {
    r"((role|queue|operator)=\$\()?aws |registry=|group=|docker push": "they need an account of AWS",
    r"make fmt\b": "it changes the sources",
    r"token=\$\(curl .*ACTIONS_ID_TOKEN|curl -sSf -H @<\(echo .* \"\$url/invocations\"": "a workflow of GitHub Actions",
    r"kubectl -n \$ns (logs|port-forward|rollout)|curl -s http://127": "they need a Pod that runs",
    r"kubectl -n \$ns get deployments,pods,servicemonitors": "it needs the kinds of Prometheus' operator",
    r"curl -sI https://": "it needs the Internet",
}

HERE: Final = r"(\w+=\S+ )*\w+=\S+$|\w+=\$\(kubectl|kubectl |eep |curl -H"
"""Commands that are run below, as they stand but for namespaces."""

SENTIMENT: Final = "sentiment-pr-42"
WINE: Final = "wine-pr-1"
CHECKED: Final = condition("ChecksPassed", "True", "ChecksPassed", "all checks passed (2)")
WHO: Final = "-c user.name=a -c user.email=a@example.com"
NAMESPACES: Final = r"(--namespace |-n |\bns=)(?:previews|nlp|ephemeral-endpoints|eep-builds)\b"
WRONG: Final = r"(?im)^(?!.*already exists)(error|\S*bash: |curl: |jq: |fatal: |usage: |.*unknown (flag|command)).*"
"""What the programs say on stderr where a command is wrong. What exists already is another way to do the same."""


def commands(page: Path) -> Iterator[str]:
    """The commands of a page, each in one line unless it holds a document; a commented script is one."""
    for kind, block in re.findall(r"^ *```(console|sh)\n(.*?)^ *```", read(page), re.DOTALL | re.MULTILINE):
        joined = re.sub(r"\\\n\s*", "", block)
        if kind == "console":
            yield from re.findall(r"^ *\$ (.+<<EOF\n(?:.*\n)*?EOF$|.+)", joined, re.MULTILINE)
        elif page.stem not in OF_A_TEST:
            yield from [joined] if joined.startswith("# ") else joined.splitlines()


ALL: Final = {page.stem: list(commands(page)) for page in PAGES}


def is_here(command: str) -> bool:
    elsewhere = any(re.match(begin, command) for begin in (*ELSEWHERE, *NOT_HERE))
    return not elsewhere and re.match(HERE, command) is not None


def test_it_is_known_of_every_command_where_it_is_run() -> None:
    unknown = [
        (page, command)
        for page, found in ALL.items()
        for command in found
        if not is_here(command) and not any(re.match(begin, command) for begin in (*ELSEWHERE, *NOT_HERE))
    ]
    assert unknown == []


@pytest.mark.parametrize("begin", [*ELSEWHERE, *NOT_HERE])
def test_what_is_known_is_still_on_a_page(begin: str) -> None:
    assert any(re.match(begin, command) for found in ALL.values() for command in found)


@pytest.mark.parametrize("test", sorted({*ELSEWHERE.values(), *OF_A_TEST.values()}))
def test_the_test_that_runs_a_command_exists(test: str) -> None:
    file, _, function = test.partition("::")
    assert not function or f"def {function}(" in read(ROOT / file)
    assert (ROOT / file).is_file()


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture
def shell(
    cluster: Cluster, control_plane: ControlPlane, kubernetes_client: ApiClient, model: ModelServer, tmp_path: Path
) -> Iterator[Callable[[str], str]]:
    """Runs a script in a checkout, with a cluster as the pages take it for granted; returns its stderr."""
    example = yaml.safe_load(read(ROOT / "examples/endpoint.yaml"))["spec"]
    for name, spec, generation in ((SENTIMENT, example, 1), (WINE, {}, 2)):
        uid = cluster.create(name, spec)["metadata"]["uid"]
        cluster.patch_status(ready(CHECKED, url=model.url(), generation=generation), name)
        owner = {"apiVersion": API_VERSION, "kind": "EphemeralEndpoint", "name": name, "uid": uid}
        secret: Any = {
            "metadata": {"name": secret_name(name), "ownerReferences": [owner]},
            "stringData": {"token": "t" * 16},
        }
        cluster.core.create_namespaced_secret(cluster.namespace, secret)
    account: Any = {"metadata": {"name": "ephemeral-endpoints"}}
    cluster.core.create_namespaced_service_account(cluster.namespace, account)
    container = {"name": "operator", "image": "eep"}
    pod: Any = {
        "metadata": {"name": "leader"},
        "spec": {"serviceAccountName": "ephemeral-endpoints", "containers": [container]},
    }
    cluster.core.create_namespaced_pod(cluster.namespace, pod)
    lease: Any = {"metadata": {"name": "ephemeral-endpoints"}, "spec": {"holderIdentity": "leader_1"}}
    CoordinationV1Api(kubernetes_client).create_namespaced_lease(cluster.namespace, lease)
    custom, default = CustomObjectsApi(kubernetes_client), (GROUP, VERSION, ENDPOINT_CLASS.plural, DEFAULT_CLASS)
    classes = partial(custom.patch_cluster_custom_object_status, *default)
    # Other tests change the class, and kubectl heeds no condition of an older generation.
    present: Any = custom.get_cluster_custom_object(*default)
    generation = present["metadata"]["generation"]
    classes({"status": {"conditions": [condition("Ready", "True", "Connected", generation=generation)]}})

    kubeconfig = yaml.safe_load(read(control_plane.kubeconfig))
    kubeconfig["contexts"][0]["context"]["namespace"] = cluster.namespace
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for each in ("charts", "crds", "examples", "model"):
        (checkout / each).symlink_to(ROOT / each)
    for each in ("request.json", "previews.private-key.pem"):
        (checkout / each).write_text("{}", encoding="utf-8")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    given = f"git init --quiet; git {WHO} commit --quiet --allow-empty --message=a; url={model.url()}; class=default"

    def run(script: str) -> str:
        local = re.sub(
            r"(--namespace|-n|ns=)( ?)(previews|nlp|ephemeral-endpoints|eep-builds)\b",
            rf"\1\2{cluster.namespace}",
            script,
        )
        done = subprocess.run(  # noqa: S603 - the pages' own commands
            ["/bin/bash", "-c", f"{given}; ns={cluster.namespace}\n{local}"],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return done.stderr

    yield run
    classes({"status": {"conditions": []}})


@pytest.mark.parametrize("page", [page for page, found in ALL.items() if any(map(is_here, found))])
def test_the_commands_of_a_page_do_what_they_say(page: str, shell: Callable[[str], str]) -> None:
    programs = [] if shutil.which("jq") else ["jq"]
    chosen = [command for command in ALL[page] if is_here(command) and not any(each in command for each in programs)]
    said = shell("\n".join(chosen))
    assert [found[0] for found in re.finditer(WRONG, said)] == []


def test_a_command_that_is_wrong_is_found(shell: Callable[[str], str]) -> None:
    wrong = (
        "kubectl get eep nobody",
        "kubectl get endpoints-of-mars",
        "kubectl get eep --sideways",
        "eep status nobody",
        "eep sideways",
        "curl http://127.0.0.1:1/",
        "kubctl get eep",
    )
    assert [command for command in wrong if not re.search(WRONG, shell(command))] == []
