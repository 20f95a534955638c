from dataclasses import replace

import pytest
from tests.eep_platform.bench.samples import reaped

from eep_platform.bench import reaper_page
from eep_platform.bench.results import Reaped


def _row(found: Reaped, begins: str) -> list[str]:
    line = next(line for line in reaper_page.render(found).splitlines() if line.startswith(f"| {begins}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


@pytest.mark.parametrize(
    ("row", "expected", "why"),
    [
        ("At rest, calls of a run: ≤ 20", ["4"], "of all services"),
        ("Runs until all are gone: ≤ 4", ["2"], "one for every hundred, and one for what waited for endpoints"),
        ("The longest run: ≤ 240 s", ["120"], "not the last"),
        ("Calls for a preview: ≤ 30", ["10.7"], "of all runs that deleted"),
        ("Kinds that failed: 0", ["0"], ""),
        ("Left behind in AWS at the end: 0", ["0"], ""),
        ("at rest", ["1.5", "4", "0", "0"], "beside it"),
        ("2", ["120.0", "2,000", "1,200", "100"], "in order"),
    ],
)
def test_rows_show_the_measurements(row: str, expected: list[str], why: str) -> None:
    assert _row(reaped(), row) == expected, why


def test_a_missed_target_is_reported() -> None:
    assert "missed" not in reaper_page.render(reaped())
    failed = replace(reaped(), at_rest=replace(reaped().at_rest, failed=1), left_behind=7)
    assert _row(failed, "Kinds that failed") == ["**1** (missed)"]
    assert _row(failed, "Left behind") == ["**7** (missed)"]
