"""How the results of checks are printed: for people, as JSON, and as JUnit's XML. Pure."""

import json
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult, CheckRun
from ephemeral_endpoints.cli.output import BAD, GOOD, WAITING, printable, styled, table

_MARKS: Final = {
    CheckOutcome.PASSED: ("✓", GOOD),
    CheckOutcome.FAILED: ("✗", BAD),
    CheckOutcome.INCONCLUSIVE: ("?", WAITING),
}
_ELEMENTS: Final = {CheckOutcome.FAILED: "failure", CheckOutcome.INCONCLUSIVE: "error"}


def overall(results: Sequence[CheckResult]) -> CheckOutcome:
    """Failed if any check failed, else Inconclusive if any is, else Passed."""
    outcomes = {each.outcome for each in results}
    found = (each for each in (CheckOutcome.FAILED, CheckOutcome.INCONCLUSIVE) if each in outcomes)
    return next(found, CheckOutcome.PASSED)


def rows(run: CheckRun | None) -> list[list[str]]:
    """A row for each check of a run: its name, outcome, latency and message."""
    results = run.results if run else ()
    return [[each.name, each.outcome.value, _latency(each), each.message] for each in results]


def as_text(results: Sequence[CheckResult]) -> str:
    """A line for each check, and one that counts them."""
    cells = table([[each.name, _latency(each), printable(each.message)] for each in results])
    lines = [
        f"{styled(mark, colour)} {cell}"
        for each, cell in zip(results, cells, strict=True)
        for mark, colour in [_MARKS[each.outcome]]
    ]
    passed = sum(each.outcome is CheckOutcome.PASSED for each in results)
    colour = _MARKS[overall(results)][1]
    return "\n".join([*lines, styled(f"{passed} of {len(results)} checks passed", colour)])


def as_json(results: Sequence[CheckResult]) -> str:
    """The results for programs, in the words of `status.checks`."""
    content = {"outcome": overall(results).value, "results": [each.to_wire() for each in results]}
    return json.dumps(content, indent=2, ensure_ascii=False)


def as_junit(results: Sequence[CheckResult], suite: str) -> str:
    """The results as JUnit's XML, which CI systems show: a check that is inconclusive is an error there.

    https://github.com/testmoapp/junitxml
    """
    seconds = [(each.latency_ms or 0) / 1000 for each in results]
    outcomes = [each.outcome for each in results]
    counts = {
        "tests": str(len(results)),
        "failures": str(outcomes.count(CheckOutcome.FAILED)),
        "errors": str(outcomes.count(CheckOutcome.INCONCLUSIVE)),
        "time": f"{sum(seconds):.3f}",
    }
    root = ET.Element("testsuites", counts)
    tests = ET.SubElement(root, "testsuite", {"name": printable(suite), **counts})
    for each, time in zip(results, seconds, strict=True):
        case = ET.SubElement(tests, "testcase", {"classname": "checks", "name": each.name, "time": f"{time:.3f}"})
        if element := _ELEMENTS.get(each.outcome):
            # XML 1.0 has no control characters, whatever a model answers.
            ET.SubElement(case, element, {"message": printable(each.message)})
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _latency(result: CheckResult) -> str:
    return f"{result.latency_ms} ms" if result.latency_ms is not None else "-"
