import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric

from eep_platform import tools
from eep_platform.gobuild import required_version
from ephemeral_endpoints.controllers.reasons import CATALOGUE
from ephemeral_endpoints.engine.clocks import Source
from ephemeral_endpoints.engine.reasons import CLASS_READY, EVENTS, PROGRESS, Audience
from ephemeral_endpoints.features.capacity.budget_stage import WITHIN_BUDGET
from ephemeral_endpoints.features.capacity.listed_prices import PRICES_CURRENT
from ephemeral_endpoints.features.capacity.service_quotas import QUOTA_LOW
from ephemeral_endpoints.features.checks.comparison.reasons import COMPARED
from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED
from ephemeral_endpoints.features.expiry.stage import PULL_REQUEST_OPEN
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.notifications.reasons import NOTIFICATIONS_DELIVERED
from ephemeral_endpoints.features.promotion.reasons import PROMOTED_CONDITION
from ephemeral_endpoints.features.reaping.reasons import REAPER_ACTIVE
from ephemeral_endpoints.features.reviews.errors import FORGE_CONNECTED
from ephemeral_endpoints.features.reviews.policy import PUBLISHED
from ephemeral_endpoints.features.routing.capture.reasons import CAPTURE_DELIVERED, CAPTURED
from ephemeral_endpoints.features.routing.domain import DOMAIN_READY
from ephemeral_endpoints.features.routing.postprocessing.reasons import POSTPROCESSED
from ephemeral_endpoints.features.routing.results.reasons import RESULTS_DELIVERED
from ephemeral_endpoints.telemetry.metrics import Metrics
from ephemeral_endpoints.telemetry.summary import Summary

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FILE = ROOT / "charts/ephemeral-endpoints/files/alerts.yaml"
UNIT_TESTS = sorted(HERE.glob("*.yaml"))

Rule = Mapping[str, Any]

TAKEN = Summary(
    {"Stuck": 1}, 1.0, {"default": 1.0}, classes={"default": True}, budgets={("default", "class"): (1.0, 2.0)}
)


def read(path: Path) -> Any:  # noqa: ANN401 - a YAML document
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[Rule]:
    return [rule for group in read(FILE)["groups"] for rule in group["rules"]]


def run(promtool: Path, *arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - built by us
    return done.returncode, done.stdout + done.stderr


each_rule = pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])


def test_promtool_is_the_pinned_one(promtool: Path) -> None:
    version = required_version(Path(tools.__file__).parent / "promtool", "github.com/prometheus/prometheus")
    assert f"promtool, version {version} " in run(promtool, "--version")[1]


def test_prometheus_takes_the_rules(promtool: Path) -> None:
    status, output = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", FILE)
    assert (status, f"{len(rules())} rules found" in output) == (0, True), output


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(promtool: Path, path: Path) -> None:
    status, output = run(promtool, "test", "rules", path)
    assert status == 0, output


def test_a_unit_test_fails_where_its_alert_does_not_fire(promtool: Path, tmp_path: Path) -> None:
    weaker = tmp_path / "alerts.yaml"
    weaker.write_text(
        FILE.read_text(encoding="utf-8").replace("(eep_orphan_sweep_blocked) > 0", "(eep_orphan_sweep_blocked) > 1")
    )
    document = read(HERE / "sweep.yaml") | {"rule_files": [str(weaker)]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document))
    status, output = run(promtool, "test", "rules", tmp_path / "tests.yaml")
    assert (status, "EphemeralEndpointsOrphanSweepBlocked" in output) == (1, True), output


def expected() -> Iterator[str]:
    """What the unit tests expect to fire, as labels."""
    for path in UNIT_TESTS:
        for test in read(path)["tests"]:
            for query in test.get("promql_expr_test", []):
                yield from (sample["labels"] for sample in query["exp_samples"])


@each_rule
def test_each_alert_is_seen_to_fire_with_its_severity(rule: Rule) -> None:
    name, severity = f'alertname="{rule["alert"]}"', f'severity="{rule["labels"]["severity"]}"'
    assert any(name in labels and severity in labels for labels in expected())


@each_rule
def test_each_alert_says_what_is_wrong_and_where_to_read_on(rule: Rule) -> None:
    assert rule["alert"].startswith("EphemeralEndpoints")
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"RUNBOOK_BASE#{rule['alert'].lower()}"


@each_rule
def test_each_alert_shows_only_labels_that_it_has(rule: Rule) -> None:
    shown = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    kept = re.search(r"by \(([^)]*)\)", rule["expr"])
    assert shown <= (set(kept[1].split(", ")) if kept else set())


@each_rule
def test_the_threshold_of_each_alert_is_the_last_number_so_that_the_chart_can_change_it(rule: Rule) -> None:
    assert re.search(r"(>|<|==) [0-9]+(\.[0-9]+)?$", rule["expr"])


def exported() -> dict[str, Metric]:
    """The operator's metrics, by the names of their samples."""
    metrics = Metrics()
    metrics.watch_ages(lambda: {("1", "us-east-1", ""): 1.0})
    metrics.watch_clocks(lambda: {Source.AWS: timedelta()}, lambda: {"share": 1, "clock": 1})
    metrics.watch_summary(lambda: TAKEN)
    metrics.watch_pull_requests(lambda: {"default": 1}, lambda: {("https://github.com", "forge", "acme", "core"): 1})
    metrics.forge_request("https://github.com", "forge", "read", "ok")
    metrics.count_objects(lambda _: 1, lambda: 1)
    metrics.aws_call("sagemaker", "CreateModel", "ok", 1.0)
    metrics.reconciled("EphemeralEndpoint", "done", 0.2)
    metrics.swept("Model", "deleted")
    metrics.build_ended("default", "Succeeded", 1.0, 1.0)
    return {sample.name: family for family in metrics.registry.collect() for sample in family.samples}


@each_rule
def test_alerts_read_only_metrics_and_labels_that_the_operator_exports(rule: Rule) -> None:
    known = exported()
    read_by_rule = re.findall(r"\b(eep_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert read_by_rule
    for name, selector in read_by_rule:
        assert name in known
        labels = {label for sample in known[name].samples for label in sample.labels}
        assert set(re.findall(r"(\w+)[=!]", selector)) <= labels


def reasons_in(alert: str) -> set[str]:
    rule = next(rule for rule in rules() if rule["alert"] == alert)
    found = re.search(r'reason[=!]~"([^"]*)"', rule["expr"])
    assert found
    return set(found[1].split("|"))


BESIDE_READY = {
    CLASS_READY,
    EVENTS,
    PROGRESS,
    CHECKS_PASSED,
    COMPARED,
    CAPTURE_DELIVERED,
    CAPTURED,
    DOMAIN_READY,
    FORGE_CONNECTED,
    NOTIFICATIONS_DELIVERED,
    POSTPROCESSED,
    PRICES_CURRENT,
    PUBLISHED,
    PULL_REQUEST_OPEN,
    QUOTA_LOW,
    REAPER_ACTIVE,
    RESULTS_DELIVERED,
    WITHIN_BUDGET,
    f"{PROMOTED_CONDITION} of a stage",
}
"""The conditions that do not keep an object from serving; the metric that is alerted on has the reasons of Ready."""


def test_what_only_a_platform_engineer_can_mend_is_alerted_on() -> None:
    of_platform = {
        reported.name
        for reported in CATALOGUE
        if reported.audience is Audience.PLATFORM and not BESIDE_READY.issuperset(reported.scopes)
    }
    assert reasons_in("EphemeralEndpointsBlocked") == of_platform - {"QuotaExceeded"}


def test_what_is_not_ready_by_somebodys_decision_is_not_alerted_on() -> None:
    catalogued = {reported.name for reported in CATALOGUE}
    silent = reasons_in("EphemeralEndpointsManyNotReady")
    assert silent <= catalogued
    assert ImageProblem.UNAPPROVED.reason.name in silent
