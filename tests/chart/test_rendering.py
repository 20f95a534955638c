"""What the chart makes of its values, held against what the operator expects."""

import os
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.rendering import (
    CHART,
    CLASS_KIND,
    NAMESPACE,
    RELEASE,
    RENEW,
    SETS,
    Chart,
    Refused,
    kinds,
    manifests,
    only,
    option,
    pods,
)

import ephemeral_endpoints.cli.sweep as sweep_module
import ephemeral_endpoints.settings as settings_module
from ephemeral_endpoints.api import DEFAULT_CLASS_ANNOTATION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import BY_NAME, ENDPOINT, KINDS, PROMOTION, ObjectKind
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.features.checks.load.jobs import RULES as LOAD_RULES
from ephemeral_endpoints.features.images.builds.jobs import RULES
from ephemeral_endpoints.kube.lease import lease_name
from ephemeral_endpoints.settings import Settings, SweepMode
from ephemeral_endpoints.wiring.operator import GRACE_SECONDS

GOLDEN = Path(__file__).parent / "golden"
CLUSTER_WIDE = {
    "namespaces",
    *(resource for kind in KINDS if not kind.is_namespaced for resource in (kind.plural, f"{kind.plural}/status")),
}
OBJECTS = {
    *(
        right
        for kind in KINDS
        if kind.is_namespaced
        for right in (
            *((kind.plural, verb) for verb in ("list", "watch", "delete")),
            (f"{kind.plural}/status", "patch"),
        )
    ),
    (ENDPOINT.plural, "patch"),
    # Stages make both, and write into the spec of no stage and of no promotion.
    (ENDPOINT.plural, "create"),
    (PROMOTION.plural, "create"),
    ("secrets", "get"),
    ("secrets", "create"),
    ("secrets", "delete"),
    ("secrets", "patch"),
    *(("configmaps", verb) for verb in ("get", "list", "watch")),
    ("events", "create"),
}

Body = dict[str, Any]


def environment(deployment: Any) -> dict[str, str]:  # noqa: ANN401 - a manifest
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value") or _of_pod(each) for each in container["env"]}


def _of_pod(variable: Any) -> str:  # noqa: ANN401 - a part of a manifest
    """What Kubernetes sets the variable to."""
    return {"metadata.namespace": NAMESPACE, "status.podIP": "10.0.0.5"}[variable["valueFrom"]["fieldRef"]["fieldPath"]]


def aggregated(role: Any) -> set[str]:  # noqa: ANN401 - a manifest
    """The roles of the cluster that contain a role."""
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    return {name.removeprefix(prefix) for name in role["metadata"].get("labels", {}) if name.startswith(prefix)}


def rights(rules: list[Body]) -> set[tuple[str, str]]:
    return {pair for rule in rules for pair in product(rule["resources"], rule["verbs"])}


@pytest.mark.parametrize("values", ["default", "namespaced"])
def test_a_reviewer_sees_what_changes_in_what_is_installed(chart: Chart, values: str) -> None:
    """With the variable of `RENEW` set to anything the files are written anew."""
    parts = chart.text(option(values)).split("\n---\n")
    shown = "\n---\n".join(part for part in parts if "\nkind: CustomResourceDefinition\n" not in part)
    file = GOLDEN / f"{values}.yaml"
    if RENEW in os.environ:
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8"), f"if that is meant: {RENEW}=1 pytest {__file__}"


@pytest.mark.parametrize("values", SETS)
def test_the_operator_takes_the_settings_of_every_deployment(chart: Chart, values: str) -> None:
    deployments = kinds(chart.of(values), "Deployment")
    made = [Settings.from_environment(environment(each)) for each in deployments]
    assert [each.shard for each in made] == [Shard(index, len(made)) for index in range(len(made))]
    assert all(each.leader_election and each.own_namespace == NAMESPACE for each in made)
    assert {port for each in made for port in (each.http_port, each.webhook_port) if port} == {
        port["containerPort"] for each in pods(deployments) for port in each["spec"]["containers"][0]["ports"]
    }


def test_values_reach_the_settings(chart: Chart) -> None:
    made = Settings.from_environment(environment(only(chart.of("full"), "Deployment")))
    assert (made.cluster_id, made.poll_seconds, made.snapshot_seconds) == ("blue1", 2.5, 120)
    assert (made.sweep, made.sweep_min_age_seconds, made.sweep_most_owners) == (SweepMode.DRY_RUN, 1800, 100_000)
    assert (made.aws_connections, made.log_level) == (8, "DEBUG")
    namespaced = Settings.from_environment(environment(only(chart.of("namespaced"), "Deployment")))
    assert namespaced.namespaces == ("team-a", "team-b")


def test_without_values_the_settings_are_the_operators_own_defaults(chart: Chart) -> None:
    made = environment(only(chart.of("default"), "Deployment"))
    ours = {"EEP_HTTP_HOST", "EEP_OWN_NAMESPACE", "EEP_LEADER_ELECTION", "EEP_IMAGE"}
    own = Settings.from_environment({name: made[name] for name in ours})
    assert Settings.from_environment(made) == own


def test_every_setting_can_be_set_by_a_value(chart: Chart) -> None:
    source = Path(settings_module.__file__).read_text(encoding="utf-8")
    variables = set(re.findall(r"EEP_[A-Z_]*[A-Z]", source))
    shown = {name for values in SETS for each in kinds(chart.of(values), "Deployment") for name in environment(each)}
    assert variables - shown == set()


def test_an_operator_is_given_the_time_that_it_takes_to_end(chart: Chart) -> None:
    (pod,) = pods(kinds(chart.of("default"), "Deployment"))
    assert pod["spec"]["terminationGracePeriodSeconds"] > GRACE_SECONDS
    with pytest.raises(Refused, match="terminationGracePeriodSeconds"):
        chart.of("default", f"--set=terminationGracePeriodSeconds={GRACE_SECONDS:.0f}")


def test_a_sweep_is_given_what_its_command_takes(chart: Chart) -> None:
    jobs = {each["metadata"]["name"]: each["spec"] for each in kinds(chart.of("full"), "CronJob")}
    assert [each["schedule"] for each in jobs.values()] == ["17 */6 * * *", "3 * * * *"]
    for job in jobs.values():
        pod = job["jobTemplate"]["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        assert container["command"] == ["python", "-m", sweep_module.__name__]
        # A command keeps the names of its first help option, and is the same for all tests of a process.
        names = ["-h", "--help"]
        with sweep_module.command.make_context("sweep", list(container["args"]), help_option_names=names) as context:
            assert (context.params["unattended"], context.params["cluster"]) == (True, "blue1")
        assert pod["spec"]["restartPolicy"] == "Never"
    with pytest.raises(Refused, match="set clusterId"):
        chart.of("full", "--set=clusterId=")


def test_a_digest_wins_over_a_tag(chart: Chart) -> None:
    def image(*arguments: str) -> str:
        (pod,) = pods(chart.of("default", "--show-only=templates/deployment.yaml", *arguments))
        return str(pod["spec"]["containers"][0]["image"])

    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert image() == f"ephemeral-endpoints:{version}"
    assert image("--set=image.tag=v9") == "ephemeral-endpoints:v9"
    digest = f"sha256:{'0' * 64}"
    assert image("--set=image.tag=v9", f"--set=image.digest={digest}") == f"ephemeral-endpoints@{digest}"


@pytest.mark.parametrize("values", SETS)
def test_selectors_find_the_pods_of_their_deployment_and_no_others(chart: Chart, values: str) -> None:
    found = chart.of(values)
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in kinds(found, "Deployment")
    }

    def selected(selector: Body) -> list[str]:
        return [name for name, given in labels.items() if selector.items() <= given.items()]

    for each in kinds(found, "Deployment"):
        assert selected(each["spec"]["selector"]["matchLabels"]) == [each["metadata"]["name"]]
        for spread in each["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert selected(spread["labelSelector"]["matchLabels"]) == [each["metadata"]["name"]]
    budgets = [selected(each["spec"]["selector"]["matchLabels"]) for each in kinds(found, "PodDisruptionBudget")]
    assert budgets == ([] if values == "minimal" else [[name] for name in labels])
    services = [each["spec"]["selector"] for each in kinds(found, "Service")]
    assert {name for each in services for name in selected(each)} == set(labels)
    jobs = [each["spec"]["template"]["metadata"]["labels"] for each in kinds(found, "Job")]
    assert not any(service.items() <= each.items() for service in services for each in jobs)
    for each in kinds(found, "NetworkPolicy"):
        selector = each["spec"]["podSelector"]["matchLabels"]
        assert selected(selector) == list(labels)
        assert all(selector.items() <= job.items() for job in jobs)


def test_metrics_are_open_to_nobody_by_default(chart: Chart) -> None:
    policy = only(chart.of("default"), "NetworkPolicy")["spec"]
    assert (policy["policyTypes"], policy["ingress"]) == (["Ingress", "Egress"], [])


def test_each_operator_takes_webhooks_from_whom_the_values_say_and_from_nobody_by_default(chart: Chart) -> None:
    assert len(kinds(chart.of("default"), "Service")) == 1
    found = chart.of("webhooks")
    component = "app.kubernetes.io/component"
    services = [each for each in kinds(found, "Service") if each["metadata"]["labels"][component] == "webhooks"]
    (rule,) = only(found, "NetworkPolicy")["spec"]["ingress"]
    assert rule["ports"] == [{"port": "webhooks", "protocol": "TCP"}]
    source, replicas = rule["from"]
    assert source["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "ingress-nginx"}
    sent = [each for each in only(found, "NetworkPolicy")["spec"]["egress"] if each.get("to") == [replicas]]
    assert [each["ports"] for each in sent] == [rule["ports"]], "what one replica gets, another one may need"
    for service, deployment in zip(services, kinds(found, "Deployment"), strict=True):
        pod = deployment["spec"]["template"]
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        assert replicas["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        (port,) = [each for each in pod["spec"]["containers"][0]["ports"] if each["name"] == "webhooks"]
        assert Settings.from_environment(environment(deployment)).webhook_port == port["containerPort"]


@pytest.mark.parametrize("values", SETS)
def test_no_two_objects_have_one_name_and_none_is_too_long_for_a_label(chart: Chart, values: str) -> None:
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in chart.of(values)]
    assert len(names) == len(set(names))
    assert [name for kind, _, name in names if kind in {"Deployment", "Job", "Service"} and len(name) > 63] == []


@pytest.mark.parametrize(
    ("values", "namespaces", "shards"),
    [("default", (), 1), ("namespaced", ("team-a", "team-b"), 1), ("sharded", ("team-a", "team-b"), 3)],
)
def test_the_right_to_leases_is_to_those_that_the_operator_asks_for(
    chart: Chart, values: str, namespaces: tuple[str, ...], shards: int
) -> None:
    (role,) = [each for each in kinds(chart.of(values), "Role") if each["metadata"]["name"].endswith("-lease")]
    assert role["metadata"]["namespace"] == NAMESPACE
    create, rest = role["rules"]
    assert (create["resources"], create["verbs"]) == (["leases"], ["create"])
    assert rest["verbs"] == ["get", "patch"]
    assert rest["resourceNames"] == [lease_name(namespaces, Shard(index, shards)) for index in range(shards)]


def test_the_operator_may_do_everywhere_what_it_does_to_objects(chart: Chart) -> None:
    role = next(
        each
        for each in kinds(chart.of("default"), "ClusterRole")
        if RELEASE in each["metadata"]["name"] and not aggregated(each)
    )
    assert {pair for pair in rights(role["rules"]) if pair[0] not in CLUSTER_WIDE} == OBJECTS


def test_the_operator_may_do_what_it_does_to_the_kinds_that_are_in_no_namespace(chart: Chart) -> None:
    role = next(
        each
        for each in kinds(chart.of("default"), "ClusterRole")
        if RELEASE in each["metadata"]["name"] and not aggregated(each)
    )
    assert {pair for pair in rights(role["rules"]) if pair[0] in CLUSTER_WIDE} == {
        ("namespaces", "get"),
        *((kind.plural, verb) for kind in KINDS if not kind.is_namespaced for verb in ("list", "watch", "patch")),
        *((f"{kind.plural}/status", "patch") for kind in KINDS if not kind.is_namespaced),
    }


def test_a_namespaced_operator_may_do_nothing_to_objects_elsewhere(chart: Chart) -> None:
    found = chart.of("namespaced")
    role = next(
        each for each in kinds(found, "ClusterRole") if RELEASE in each["metadata"]["name"] and not aggregated(each)
    )
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == CLUSTER_WIDE
    granted = {
        each["metadata"]["namespace"]: rights(each["rules"])
        for each in kinds(found, "Role")
        if not each["metadata"]["name"].endswith("-lease")
    }
    own = {NAMESPACE: {("secrets", "get")}}
    assert granted == {"team-a": OBJECTS, "team-b": OBJECTS, "default": {("events", "create")}, **own}, "about classes"


def test_the_operator_may_read_the_secrets_that_classes_name_and_no_others_beside_them(chart: Chart) -> None:
    (role,) = [each for each in kinds(chart.of("namespaced"), "Role") if each["metadata"]["name"].endswith("-secrets")]
    (rule,) = role["rules"]
    assert (rule["resources"], rule["resourceNames"], rule["verbs"]) == (
        ["secrets"],
        ["forge-github", "forge.of-others"],
        ["get"],
    )
    assert not [each for each in kinds(chart.of("default"), "Role") if each["metadata"]["name"].endswith("-secrets")]


def test_a_confined_installation_has_nothing_that_is_cluster_wide(chart: Chart) -> None:
    found = chart.of("confined")
    assert {each["metadata"].get("namespace") for each in found} == {NAMESPACE, "team-a"}


def test_the_rights_to_jobs_are_those_that_the_builder_says_it_needs(chart: Chart) -> None:
    (role,) = [each for each in kinds(chart.of("full"), "Role") if each["metadata"]["namespace"] == "eep-builds"]
    assert role["rules"] == [dict(rule) for rule in RULES]


def test_the_rights_to_load_are_those_that_its_runner_says_it_needs(chart: Chart) -> None:
    (role,) = [each for each in kinds(chart.of("full"), "Role") if each["metadata"]["namespace"] == "eep-previews"]
    assert role["rules"] == [dict(rule) for rule in LOAD_RULES]


def test_the_operator_knows_its_own_image(chart: Chart) -> None:
    deployment = only(chart.of("full"), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert environment(deployment)["EEP_IMAGE"] == container["image"]


@pytest.mark.parametrize("values", SETS)
def test_every_role_is_bound_to_the_service_account_and_to_nobody_else(chart: Chart, values: str) -> None:
    found = chart.of(values)
    roles = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in found
        if each["kind"] in {"Role", "ClusterRole"} and RELEASE in each["metadata"]["name"] and not aggregated(each)
    }
    bindings = [each for each in found if each["kind"] in {"RoleBinding", "ClusterRoleBinding"}]
    bound = {(each["roleRef"]["kind"], each["metadata"].get("namespace"), each["roleRef"]["name"]) for each in bindings}
    assert bound == roles
    accounts = {(each["kind"], each["name"], each["namespace"]) for binding in bindings for each in binding["subjects"]}
    used = {("ServiceAccount", each["spec"]["serviceAccountName"], NAMESPACE) for each in pods(found)}
    assert len(used) == 1
    assert accounts == (set() if values == "minimal" else used)


def test_irsa_is_an_annotation_beside_others(chart: Chart) -> None:
    assert only(chart.of("full"), "ServiceAccount")["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/ephemeral-endpoints-operator",
        "example.org/owner": "ml-platform",
    }


def test_crds_stay_unless_that_is_not_wanted(chart: Chart) -> None:
    for values, expected in (("default", "keep"), ("full", None)):
        crds = kinds(chart.of(values), "CustomResourceDefinition")
        kept = {each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for each in crds}
        assert (len(crds), kept) == (len(KINDS), {expected})


def test_a_catalogue_of_charts_lists_every_kind() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["annotations"]["artifacthub.io/crds"]
    reported = {(each["kind"], each["version"], each["name"]) for each in yaml.safe_load(about)}
    assert reported == {(kind.name, VERSION, f"{kind.plural}.{GROUP}") for kind in KINDS}


def test_a_catalogue_of_charts_shows_an_example_of_every_kind() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["annotations"]
    examples = yaml.safe_load(about["artifacthub.io/crdsExamples"])
    assert {each["kind"] for each in examples} == BY_NAME.keys()
    for each in examples:
        BY_NAME[each["kind"]].model.model_validate(
            {**each, "metadata": {"uid": "u", "generation": 1, **each["metadata"]}}
        )


def test_crds_arrive_as_they_are_written(chart: Chart) -> None:
    written = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(CHART.glob("files/crds/*.yaml"))]
    assert kinds(chart.of("default", "--set=crds.keep=false"), "CustomResourceDefinition") == written


def test_classes_are_hooks_while_their_kind_is_unknown_and_then_objects_of_the_release(chart: Chart) -> None:
    before = kinds(chart.of("full"), "EphemeralEndpointClass")
    after = kinds(chart.of("full", f"--api-versions={CLASS_KIND}"), "EphemeralEndpointClass")
    assert [each["metadata"]["name"] for each in before] == ["gpu", "previews"]
    assert [each["spec"] for each in before] == [each["spec"] for each in after]
    for each in before:
        notes = each["metadata"]["annotations"]
        assert notes["helm.sh/hook"] == "post-install,post-upgrade"
        assert "before-hook-creation" not in notes["helm.sh/hook-delete-policy"], "its objects would be in the way"
        owner = {"release-name": RELEASE, "release-namespace": NAMESPACE}
        assert {f"meta.helm.sh/{name}": value for name, value in owner.items()}.items() <= notes.items()
        assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    for each in after:
        assert "helm.sh/hook" not in each["metadata"]["annotations"]
        assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert [each["metadata"]["annotations"].get(DEFAULT_CLASS_ANNOTATION) for each in after] == [None, "true"]


def test_a_job_waits_for_the_kind_of_classes_where_it_is_unknown(chart: Chart) -> None:
    def waiting(*arguments: str) -> list[Any]:
        return [each for each in kinds(chart.of("full", *arguments), "Job") if "await" in each["metadata"]["name"]]

    assert waiting(f"--api-versions={CLASS_KIND}") == []
    (job,) = waiting()
    (program, option, script) = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert (program, option) == ("python", "-c")
    assert script.strip() == (CHART / "files/await_kinds.py").read_text(encoding="utf-8").strip()
    weights = {each["kind"]: each["metadata"]["annotations"].get("helm.sh/hook-weight") for each in [job]}
    (endpoint_class, *_) = kinds(chart.of("full"), "EphemeralEndpointClass")
    assert int(weights["Job"]) < int(endpoint_class["metadata"]["annotations"]["helm.sh/hook-weight"])


def test_two_default_classes_are_refused(chart: Chart) -> None:
    with pytest.raises(Refused, match="only one class can be the default, not gpu and previews"):
        chart.of("full", "--set=classes.gpu.default=true")


@pytest.mark.parametrize(
    ("values", "arguments"),
    [
        ("default", ["uninstall", "--policy", "Refuse", "--timeout", "270"]),
        ("full", ["uninstall", "--policy", "Delete", "--timeout", "1800"]),
        ("namespaced", ["uninstall", "--policy", "Refuse", "--timeout", "270", "--namespaces", "team-b,team-a"]),
        ("minimal", None),
    ],
)
def test_uninstallation_asks_the_operators_image_first(chart: Chart, values: str, arguments: list[str] | None) -> None:
    jobs = [
        each
        for each in kinds(chart.of(values), "Job")
        if each["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    ]
    assert [each["spec"]["template"]["spec"]["containers"][0].get("args") for each in jobs] == (
        [arguments] if arguments else []
    )
    operator = only(chart.of(values), "Deployment")["spec"]["template"]["spec"]
    for each in jobs:
        spec = each["spec"]["template"]["spec"]
        assert spec["containers"][0]["image"] == operator["containers"][0]["image"]
        assert spec["serviceAccountName"] == operator["serviceAccountName"]
        assert each["spec"]["activeDeadlineSeconds"] > int(spec["containers"][0]["args"][4])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.is_namespaced], ids=lambda kind: kind.name)
def test_the_right_to_delete_what_is_in_no_namespace_lasts_as_long_as_the_uninstallation(
    chart: Chart, kind: ObjectKind
) -> None:
    def deleting(values: str) -> list[Any]:
        roles = kinds(chart.of(values), "ClusterRole")
        return [each for each in roles if (kind.plural, "delete") in rights(each["rules"])]

    assert deleting("default") == deleting("sharded") == []
    (role,) = deleting("full")
    assert role["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert "hook-succeeded" in role["metadata"]["annotations"]["helm.sh/hook-delete-policy"]


@pytest.mark.parametrize(
    ("release", "namespace", "names"),
    [
        ("ephemeral-endpoints", "ephemeral-endpoints", ("ephemeral-endpoints", "ephemeral-endpoints")),
        ("ephemeral-endpoints", "ephemeral-endpoints-system", ("ephemeral-endpoints", "ephemeral-endpoints-system")),
        ("ephemeral-endpoints", "mlops", ("ephemeral-endpoints", "ephemeral-endpoints-mlops")),
        ("eep", "mlops", ("eep-ephemeral-endpoints", "eep-ephemeral-endpoints-mlops")),
        ("eep", "eep", ("eep-ephemeral-endpoints", "eep-ephemeral-endpoints-eep")),
    ],
)
def test_names_repeat_nothing(chart: Chart, release: str, namespace: str, names: tuple[str, str]) -> None:
    found = [each for each in manifests(chart.text(release=release, namespace=namespace)) if not aggregated(each)]
    deployment, binding = only(found, "Deployment"), only(found, "ClusterRoleBinding")
    assert (deployment["metadata"]["name"], binding["metadata"]["name"]) == names


def test_common_labels_are_on_every_object_and_pod_and_give_way_to_others(chart: Chart) -> None:
    found = chart.of("full")
    label = "example.org/cost-center"
    extra = {"eep-extra", "eep-text"}
    without = [each for each in found if label not in each["metadata"].get("labels", {})]
    assert {each["metadata"]["name"] for each in without} == extra, "what the release adds is as it was written"
    assert {each["metadata"]["labels"][label] for each in pods(found)} == {"42"}
    assert only(found, "ServiceMonitor")["metadata"]["labels"][label] == "43"
    overriding = "--set=commonLabels.app\\.kubernetes\\.io/name=mine"
    deployment = only(chart.of("default", overriding, "--show-only=templates/deployment.yaml"), "Deployment")
    assert deployment["metadata"]["labels"]["app.kubernetes.io/name"] == "ephemeral-endpoints"


def test_further_objects_are_templates(chart: Chart) -> None:
    made = {each["metadata"]["name"]: each for each in kinds(chart.of("full"), "ConfigMap")}
    assert made["eep-extra"]["data"]["image"].endswith("/ephemeral-endpoints")
    assert made["eep-text"]["metadata"]["namespace"] == NAMESPACE


def test_a_service_monitor_finds_the_metrics_from_another_namespace(chart: Chart) -> None:
    found = chart.of("full")
    monitor, service = only(found, "ServiceMonitor"), only(found, "Service")
    assert monitor["metadata"]["namespace"] == "eep-builds" != service["metadata"]["namespace"]
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("values", "leases", "namespaces"),
    [
        ("default", 1, []),
        ("sharded", 3, ["--namespaces", "team-a,team-b"]),
        ("confined", 1, ["--namespaces", "team-a"]),
    ],
)
def test_helm_test_asks_the_operators_image(chart: Chart, values: str, leases: int, namespaces: list[str]) -> None:
    pod, operator = only(chart.of(values), "Pod"), pods(kinds(chart.of(values), "Deployment"))[0]["spec"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    assert container["image"] == operator["containers"][0]["image"]
    assert pod["spec"]["serviceAccountName"] == operator["serviceAccountName"]
    role = next(each for each in kinds(chart.of(values), "Role") if each["metadata"]["name"].endswith("-lease"))
    names = role["rules"][1]["resourceNames"]
    assert len(names) == leases
    expected = ["check", "--namespace", NAMESPACE, *(part for name in names for part in ("--lease", name)), *namespaces]
    assert container["args"] == expected
