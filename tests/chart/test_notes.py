"""What a release says when it is installed: the next commands, according to the values."""

import re

import pytest
from tests.chart.rendering import NAMESPACE, SETS, Chart

ROLE = "--set=aws.roleArn=arn:aws:iam::111122223333:role/operator"
REGISTRY = "--set=image.repository=111122223333.dkr.ecr.eu-central-1.amazonaws.com/operator"


@pytest.mark.parametrize(
    ("values", "arguments", "headings"),
    [
        ("default", (), ["IMAGE", "CREDENTIALS", "METRICS", "CLASSES"]),
        ("default", (ROLE,), ["IMAGE", "METRICS", "CLASSES"]),
        ("default", (ROLE, REGISTRY), ["METRICS", "CLASSES"]),
        ("confined", (ROLE, REGISTRY), ["RIGHTS", "METRICS", "CLASSES"]),
        ("full", (), ["CLASSES"]),
    ],
)
def test_missing_settings_are_listed(
    chart: Chart, values: str, arguments: tuple[str, ...], headings: list[str]
) -> None:
    assert re.findall(r"^([A-Z]{4,})\. ", chart.notes(values, *arguments), re.MULTILINE) == headings


def test_pod_identity_is_given_to_the_service_account(chart: Chart) -> None:
    reported = chart.notes("default")
    assert f"--namespace {NAMESPACE} \\\n    --service-account eep-ephemeral-endpoints " in reported


def test_rights_that_somebody_else_has_to_give_are_shown(chart: Chart) -> None:
    reported = chart.notes("confined")
    assert f"service account\n{NAMESPACE}/eep-ephemeral-endpoints a ClusterRole" in reported
    assert "resources: [ephemeralendpointclasses]" in reported


def test_an_installation_without_a_class_advises_to_create_one(chart: Chart) -> None:
    assert "kubectl apply --filename examples/endpoint-class.yaml" in chart.notes("default")
    reported = chart.notes("full")
    assert "examples/endpoint-class.yaml" not in reported
    assert "ephemeralendpointclass gpu previews\n" in reported


@pytest.mark.parametrize("values", SETS)
def test_no_line_is_longer_than_a_page_is_wide(chart: Chart, values: str) -> None:
    reported = chart.notes(values)
    assert reported
    prose = [line for line in reported.splitlines() if not line.startswith("  ")]
    assert [line for line in prose if len(line) > 140] == []
