from collections.abc import Callable, Mapping
from typing import Any

import pytest
from click.testing import Result
from kubernetes.client import ApiClient, AppsV1Api
from tests.cli.conditions import condition, status
from tests.cli.conftest import NO_AWS
from tests.engine.objects import CLASS, endpoint, merged
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster

from ephemeral_endpoints import __version__
from ephemeral_endpoints.api import DEFAULT_CLASS_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.cli.checks import Level, answering, limiting, running, usable
from ephemeral_endpoints.cli.installation import Operator

OK, WARNING, FAILED = Level.OK, Level.WARNING, Level.FAILED
IS_DEFAULT = {"metadata": {"annotations": {DEFAULT_CLASS_ANNOTATION: "true"}}}
CONNECTED = {"status": status(condition("Ready", "True", "Connected"))}
DENIED = {"status": status(condition("Ready", "False", "AccessDenied", "grant sts:AssumeRole"))}


def operator(version: str = __version__, ready: int = 1, desired: int = 1) -> Operator:
    return Operator("mlops", "eep", version, ready, desired)


@pytest.mark.parametrize(
    ("found", "level", "text"),
    [
        ([], FAILED, "the operator is not installed"),
        ([operator()], OK, f"the operator mlops/eep runs, version {__version__}"),
        ([operator(ready=0)], FAILED, "the operator mlops/eep is not running"),
        ([operator(ready=0, desired=0)], FAILED, "the operator mlops/eep is scaled to zero"),
        ([operator("9.9")], WARNING, f"the operator mlops/eep is of version 9.9, and eep of {__version__}"),
    ],
)
def test_the_operator_has_to_run_in_this_version(found: list[Operator], level: Level, text: str) -> None:
    [finding] = running(found)
    assert (finding.level, finding.text) == (level, text)
    assert bool(finding.remedy) is (level is not OK)


@pytest.mark.parametrize(
    ("version", "level", "text"),
    [
        (__version__, OK, f"the operator at http://127.0.0.1:1 runs, version {__version__}"),
        ("9.9", WARNING, f"the operator at http://127.0.0.1:1 is of version 9.9, and eep of {__version__}"),
        (None, FAILED, "the operator at http://127.0.0.1:1 is not running"),
    ],
)
def test_so_has_one_outside_of_the_cluster(version: str | None, level: Level, text: str) -> None:
    finding = answering("http://127.0.0.1:1", version)
    assert (finding.level, finding.text) == (level, text)
    assert bool(finding.remedy) is (level is not OK)


@pytest.mark.parametrize(
    ("classes", "levels", "said"),
    [
        ({}, [FAILED], "there is no EphemeralEndpointClass"),
        ({"a": (IS_DEFAULT, CONNECTED)}, [OK, OK], "a is the default class"),
        ({"a": (CONNECTED,)}, [WARNING, OK], "no class is the default"),
        ({"a": (IS_DEFAULT, CONNECTED), "b": (IS_DEFAULT, CONNECTED)}, [WARNING, OK, OK], "several classes"),
        ({"a": (IS_DEFAULT, DENIED)}, [OK, FAILED], "cannot be used: AccessDenied"),
        ({"a": (IS_DEFAULT,)}, [OK, FAILED], "was not seen by the operator yet"),
    ],
)
def test_a_class_has_to_be_the_default_and_all_usable(
    classes: Mapping[str, tuple[Mapping[str, Any], ...]], levels: list[Level], said: str
) -> None:
    made = []
    for name, changes in classes.items():
        raw: Mapping[str, Any] = merged(CLASS, {"metadata": {"name": name}})
        for change in changes:
            raw = merged(raw, change)
        made.append(EphemeralEndpointClass.model_validate(raw))
    findings = usable(made)
    assert [each.level for each in findings] == levels
    assert any(said in each.text for each in findings)


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ([condition("Ready", "True", "Serving")], []),
        ([condition("WithinBudget", "True", "BudgetHasRoom")], []),
        (
            [condition("Ready", "False", "LimitReached", "this object is 2nd of those that wait, after pr-7")],
            [("pr-42: Ready is LimitReached", "this object is 2nd of those that wait, after pr-7")],
        ),
        (
            [condition("Ready", "True", "Asleep"), condition("WithinBudget", "False", "BudgetSpent", "raise it")],
            [("pr-42: WithinBudget is BudgetSpent", "raise it")],
        ),
        (
            [condition("WithinBudget", "Unknown", "SpendingUnknown", "set prices")],
            [("pr-42: WithinBudget is SpendingUnknown", "set prices")],
        ),
    ],
)
def test_what_waits_for_a_limit_or_has_spent_a_budget_is_named(
    conditions: list[dict[str, Any]], said: list[tuple[str, str]]
) -> None:
    found = limiting([endpoint({"status": status(*conditions)})])
    assert [(each.text, each.remedy) for each in found] == said
    assert all(each.level is WARNING for each in found)


def test_each_finding_has_its_remedy_and_the_exit_status_says_whether_one_fails(
    run: Callable[..., Result], kubernetes_client: ApiClient, cluster: Cluster
) -> None:
    before = run("doctor", **NO_AWS)
    assert before.exit_code == 1
    assert "✓ the cluster answers: Kubernetes v" in before.stdout
    assert f"✓ the CRD ephemeralendpoints.ephemeral-endpoints.io is that of version {__version__}" in before.stdout
    assert "✗ the operator is not installed\n  install its chart" in before.stdout
    assert "✓ default is the default class" in before.stdout
    assert f"✓ you have all rights in the namespace {cluster.namespace}" in before.stdout
    assert "? there are no AWS credentials in this shell" in before.stdout
    labels = {"app.kubernetes.io/component": "operator", "ephemeral-endpoints.io/shard": "0"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "operator", "image": "eep"}]}}
    deployment: Any = {
        "metadata": {"name": "eep", "labels": {**labels, "app.kubernetes.io/version": "9.9"}},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    deployments = AppsV1Api(kubernetes_client)
    deployments.create_namespaced_deployment(cluster.namespace, deployment)
    try:
        told, version = run("doctor", **NO_AWS).stdout, run("version")
    finally:  # it would be that of every test
        deployments.delete_namespaced_deployment("eep", cluster.namespace)
    assert f"✗ the operator {cluster.namespace}/eep is not running" in told
    assert version.stdout == f"eep {__version__}\noperator 9.9 ({cluster.namespace}/eep)\n"


def test_a_user_sees_which_rights_are_missing_and_what_could_not_be_checked(
    kubeconfig_with: Callable[..., str],
) -> None:
    verbs = ["get", "list", "watch"]
    kubeconfig = kubeconfig_with(
        {"apiGroups": ["ephemeral-endpoints.io"], "resources": ["ephemeralendpoints"], "verbs": verbs}
    )
    printed = eep("doctor", KUBECONFIG=kubeconfig, **NO_AWS).stdout
    assert "? operator: not checked, you may not read it" in printed
    assert "ask for the verb approve on ephemeralendpoints.ephemeral-endpoints.io" in printed
    assert "ask for the verb get on secrets\n" in printed
    assert "may not list endpoints" not in printed


def test_without_a_cluster_the_version_is_still_printed() -> None:
    result = eep("version", KUBECONFIG="/nowhere")
    assert (result.exit_code, result.stdout) == (0, f"eep {__version__}\n")
    assert result.stderr == (
        "operator unknown: no cluster: there is no kubeconfig /nowhere. Name a kubeconfig with --kubeconfig or the "
        "variable KUBECONFIG\n"
    )
