import json
from xml.etree import ElementTree as ET

import click

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult
from ephemeral_endpoints.cli.check_output import as_json, as_junit, as_text, overall, rows

PASSED, FAILED, INCONCLUSIVE = CheckOutcome
RESULTS = (
    CheckResult(name="greeting", outcome=PASSED, latency_ms=120),
    CheckResult(name="label", outcome=FAILED, latency_ms=98, message='/label: expected "a", found "<b>\x1b[31m"'),
    CheckResult(name="slow", outcome=INCONCLUSIVE, message="the URL does not answer"),
)


def test_one_failure_fails_all_and_what_is_unclear_is_no_success() -> None:
    assert overall(RESULTS) is FAILED
    assert overall(RESULTS[::2]) is INCONCLUSIVE
    assert overall(RESULTS[:1]) is PASSED


def test_people_see_a_line_for_each_check() -> None:
    assert click.unstyle(as_text(RESULTS)).splitlines() == [
        "✓ greeting   120 ms",
        '✗ label      98 ms    /label: expected "a", found "<b> [31m"',
        "? slow       -        the URL does not answer",
        "1 of 3 checks passed",
    ]


def test_programs_see_the_words_of_the_status() -> None:
    found = json.loads(as_json(RESULTS))
    assert found["outcome"] == "Failed"
    assert found["results"][0] == {"name": "greeting", "outcome": "Passed", "message": "", "latencyMs": 120}


def test_ci_systems_see_cases_and_nothing_that_xml_does_not_have() -> None:
    root = ET.fromstring(as_junit(RESULTS, "checks.yaml"))  # noqa: S314 - our own
    [suite] = root
    assert suite.attrib == {"name": "checks.yaml", "tests": "3", "failures": "1", "errors": "1", "time": "0.218"}
    greeting, label, slow = suite
    assert (greeting.attrib["time"], list(greeting)) == ("0.120", [])
    assert [(each.tag, each.attrib["message"]) for each in label] == [
        ("failure", '/label: expected "a", found "<b> [31m"')
    ]
    assert [each.tag for each in slow] == ["error"]


def test_a_status_lists_results_only_if_there_are_some() -> None:
    assert rows(None) == []
