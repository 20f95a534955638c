"""Alerts and dashboard: files/ is rendered unchanged, and shows the metrics that the operator exports."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.rendering import CHART, Chart, Refused, only

from ephemeral_endpoints.telemetry.metrics import Metrics
from ephemeral_endpoints.telemetry.summary import Summary

ALERTS = yaml.safe_load((CHART / "files/alerts.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text(encoding="utf-8"))
OLD = "metrics.prometheusRule.thresholds.EphemeralEndpointsInventoryStale"
RULES_ONLY = ("--set=metrics.prometheusRule.enabled=true", "--show-only=templates/prometheusrule.yaml")


def alerts(groups: Any) -> dict[str, Any]:  # noqa: ANN401 - a tree
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_alerts_arrive_as_they_are_written(chart: Chart) -> None:
    (rule,) = chart.of("default", *RULES_ONLY)
    # Without an address there is nothing to link to.
    text = json.dumps(ALERTS["groups"]).replace("RUNBOOK_BASE", "docs/runbooks.md").replace("runbook_url", "runbook")
    written = json.loads(text)
    assert rule["spec"]["groups"] == written
    assert "{{ $labels.namespace }}" in json.dumps(written), "Prometheus' own templates are among them"


def test_alerts_can_be_changed_by_values(chart: Chart) -> None:
    before, after = alerts(ALERTS["groups"]), alerts(only(chart.of("full"), "PrometheusRule")["spec"]["groups"])
    assert before.keys() - after.keys() == {"EphemeralEndpointsBuildCostHigh"}
    costly = after["EphemeralEndpointsHourlyCostHigh"]
    assert costly["expr"] == re.sub(r"[0-9.]+$", "99.5", before["EphemeralEndpointsHourlyCostHigh"]["expr"])
    assert costly["labels"] == {"severity": "warning", "team": "ml-platform"}
    assert costly["annotations"]["runbook_url"] == "https://docs.example.org/runbooks#ephemeralendpointshourlycosthigh"
    assert after["EphemeralEndpointsAbsent"]["expr"] == before["EphemeralEndpointsAbsent"]["expr"]


@pytest.mark.parametrize(
    ("values", "seconds", "reason"),
    [
        ((), 810, "as the file has it"),
        (("operator.snapshotSeconds=600",), 1800, "three snapshots, however long they take"),
        (("operator.snapshotSeconds=600", f"{OLD}=42"), 42, "what somebody sets wins"),
    ],
)
def test_an_operator_is_blind_when_snapshots_have_failed(
    chart: Chart, values: tuple[str, ...], seconds: int, reason: str
) -> None:
    (rule,) = chart.of("default", *RULES_ONLY, *(f"--set={each}" for each in values))
    expression = alerts(rule["spec"]["groups"])["EphemeralEndpointsInventoryStale"]["expr"]
    assert expression.endswith(f" > {seconds}"), reason


@pytest.mark.parametrize("value", ["disabled={Costly}", "thresholds.Costly=1", "severities.Costly=info"])
def test_an_alert_that_there_is_not_is_refused(chart: Chart, value: str) -> None:
    with pytest.raises(Refused, match=r"names an unknown alert: Costly\. The alerts are: EphemeralEndpoints"):
        chart.of("default", *RULES_ONLY, f"--set=metrics.prometheusRule.{value}")


def test_the_dashboard_arrives_as_it_is_written(chart: Chart) -> None:
    found = [each for each in chart.of("full") if each["metadata"]["name"].endswith("-dashboard")]
    (dashboard,) = found
    assert json.loads(dashboard["data"]["ephemeral-endpoints.json"]) == DASHBOARD
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    shown = {name for each in expressions for name in re.findall(r"\beep_[a-z_]+", each)}
    assert {re.sub("_(total|bucket)$", "", name) for name in shown} == _metrics()


def test_prometheus_can_evaluate_every_expression_of_the_dashboard(promtool: Path, tmp_path: Path) -> None:
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    rules = [
        {"record": f"panel:{number}", "expr": each.replace("$__rate_interval", "5m")}
        for number, each in enumerate(expressions)
    ]
    assert f"{len(expressions)} rules found" in _checked(promtool, tmp_path, [{"name": "dashboard", "rules": rules}])


def test_prometheus_takes_alerts_that_values_have_changed(chart: Chart, promtool: Path, tmp_path: Path) -> None:
    groups = only(chart.of("full"), "PrometheusRule")["spec"]["groups"]
    assert f"{len(alerts(groups))} rules found" in _checked(promtool, tmp_path, groups)


def _checked(promtool: Path, folder: Path, groups: list[Any]) -> str:
    """What Prometheus' own checker says of rules."""
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)  # noqa: S603 - built by us
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_panels_have_identifiers_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    cells = [
        (x, y)
        for each in panels
        for x in range(each["gridPos"]["x"], each["gridPos"]["x"] + each["gridPos"]["w"])
        for y in range(each["gridPos"]["y"], each["gridPos"]["y"] + each["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_panel_says_what_it_shows() -> None:
    assert [each["title"] for each in DASHBOARD["panels"] if each["type"] != "row" and not each["description"]] == []


def _metrics() -> set[str]:
    """The names of all metrics, as the operator registers them."""
    metrics = Metrics()
    metrics.watch_ages(dict)
    metrics.watch_summary(Summary)
    metrics.watch_objects(list, list)
    metrics.watch_clocks(dict, dict)
    metrics.watch_pull_requests(dict, dict)
    # Those of the process are the same for every program.
    return {family.name for family in metrics.registry.collect() if family.name.startswith("eep_")}
