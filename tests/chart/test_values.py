"""The values: each explained, each held to the schema, what is wrong refused in words."""

import base64
import json
import os
import tomllib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from tests.chart.rendering import CHART, RENEW, SETS, Chart, Refused
from tests.chart.table import BEGIN, described, explained, table

SOURCE = (CHART / "values.yaml").read_text(encoding="utf-8")
VALUES = yaml.safe_load(SOURCE)
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def _objects(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - a tree
    """The objects with named members in the schema, by their paths."""
    if "properties" in schema:
        yield path, schema
    for name, member in schema.get("properties", {}).items():
        yield from _objects(member, f"{path}.{name}".lstrip("."))


def test_what_the_schema_does_not_list_is_refused_everywhere() -> None:
    assert [path for path, schema in _objects(SCHEMA) if schema.get("additionalProperties") is not False] == []


def test_schema_and_values_have_the_same_names() -> None:
    for path, schema in _objects(SCHEMA):
        values = VALUES
        for name in path.split(".") if path else []:
            values = values[name]
        assert schema["properties"].keys() - {"global"} == values.keys(), path


def test_every_value_is_explained() -> None:
    assert [path for path, _ in explained(SOURCE)] == list(_leaves(VALUES))


def test_the_table_in_the_readme_is_current() -> None:
    """With the variable of `RENEW` set to anything it is written anew."""
    file = CHART / "README.md"
    page, mark, shown = file.read_text(encoding="utf-8").partition(BEGIN)
    if RENEW in os.environ:
        shown = f"\n\n{table(SOURCE)}\n"
        file.write_text(page + mark + shown, encoding="utf-8")
    assert shown.strip() == table(SOURCE), f"run {RENEW}=1 pytest {__file__}"


def test_the_schema_has_the_texts_and_the_defaults_of_the_values() -> None:
    """With the variable of `RENEW` set to anything they are written anew."""
    made = described(SCHEMA, SOURCE)
    if RENEW in os.environ:
        text = json.dumps(made, indent=2, ensure_ascii=False)
        (CHART / "values.schema.json").write_text(f"{text}\n", encoding="utf-8")
    assert json.loads((CHART / "values.schema.json").read_text(encoding="utf-8")) == made, f"run {RENEW}=1 pytest"


def _leaves(values: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - a tree
    """The values that have a text of their own: those below which the schema names no further ones."""
    named = {name for name, _ in _objects(SCHEMA)}
    for name, value in values.items():
        inner = f"{path}.{name}".lstrip(".")
        if inner in named:
            yield from _leaves(value, inner)
        else:
            yield inner


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("replicaCout=1", "additional properties 'replicaCout' not allowed"),
        ("image.tagg=v1", "at '/image': additional properties 'tagg' not allowed"),
        ("replicaCount=two", "at '/replicaCount': got string, want integer"),
        ("shards=0", "at '/shards': minimum: got 0, want 1"),
        ("shards=65", "at '/shards': maximum: got 65, want 64"),
        ("clusterId=Blue", "at '/clusterId': 'Blue' does not match pattern"),
        ("namespaces={team-a,team-a}", "at '/namespaces': items at 0 and 1 are equal"),
        ("namespaces={Team}", "at '/namespaces/0': 'Team' does not match pattern"),
        ("aws.region=Frankfurt", "at '/aws/region': 'Frankfurt' does not match pattern"),
        ("aws.roleArn=operator", "at '/aws/roleArn': 'operator' does not match pattern"),
        ("image.digest=latest", "at '/image/digest': 'latest' does not match pattern"),
        ("operator.sweep.mode=maybe", "at '/operator/sweep/mode': value must be one of 'on', 'dry-run', 'off'"),
        ("operator.logLevel=debug", "value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
        ("uninstall.policy=refuse", "value must be one of 'Refuse', 'Delete', 'Ignore'"),
        ("admission.limits.maxTTL=1h", "at '/admission/limits': additional properties 'maxTTL' not allowed"),
        ("classes.gpu.spec.region=us-east-1", "at '/classes/gpu/spec': missing properties 'executionRoleArn'"),
        ("metrics.prometheusRule.runbookUrl=docs/runbooks.md", "at '/metrics/prometheusRule/runbookUrl'"),
        ("metrics.serviceMonitor.scrapeTimeout=10", "at '/metrics/serviceMonitor/scrapeTimeout'"),
        ("extraObjects={1}", "at '/extraObjects/0'"),
        ("metrics.prometheusRule.thresholds.A=much", "at '/metrics/prometheusRule/thresholds/A': got string"),
    ],
)
def test_a_wrong_value_is_refused_by_name(chart: Chart, wrong: str, message: str) -> None:
    with pytest.raises(Refused) as refused:
        chart.text(f"--set={wrong}")
    assert message in str(refused.value)


def test_chart_operator_and_package_have_one_version() -> None:
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["name"], chart["version"], chart["appVersion"]) == (
        project["name"],
        project["version"],
        project["version"],
    )


def test_the_chart_says_where_it_comes_from_and_shows_its_icon_without_a_server() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    krew = yaml.safe_load((CHART.parents[1] / "packaging/krew/eep.yaml").read_text(encoding="utf-8"))
    home = krew["spec"]["homepage"]
    assert [chart["home"], *chart["sources"], *(each["url"] for each in chart["maintainers"])] == [home] * 3
    kind, _, content = chart["icon"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert ET.fromstring(base64.b64decode(content)).tag.endswith("}svg")  # noqa: S314 - our own
    links = yaml.safe_load(chart["annotations"]["artifacthub.io/links"])
    files = [each["url"].partition(f"{home}/blob/v{chart['version']}/")[2] for each in links if "/blob/" in each["url"]]
    assert files
    assert [file for file in files if not (CHART.parents[1] / file).is_file()] == []


@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_to_complain_about(chart: Chart, values: str) -> None:
    assert chart.lint(values) == ""
