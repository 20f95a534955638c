from dataclasses import replace

import pytest
from tests.eep_platform.bench.samples import forwarder

from eep_platform.bench import forwarder_page
from eep_platform.bench.figures import Spread
from eep_platform.bench.results import Forwarder


def _row(found: Forwarder, begins: str) -> list[str]:
    line = next(line for line in forwarder_page.render(found).splitlines() if line.startswith(f"| {begins}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


@pytest.mark.parametrize(
    ("row", "expected", "why"),
    [
        ("Overhead of a warm request, median: ≤ 2 ms", ["0.52"], "two digits"),
        ("Overhead of a warm request, p99: ≤ 5 ms", ["1.40"], "not the longest"),
        ("Validation, median: ≤ 0.2 ms", ["0.05"], "of request and answer"),
        ("Import, median: ≤ 600 ms", ["350"], "in new processes"),
        ("Package: ≤ 200 KB", ["195"], "thousands of bytes"),
        ("Page, compressed: ≤ 20 KB", ["19.5"], "thousands of bytes"),
        ("InvokeEndpoint alone", ["5.50", "10.00", "18.00"], "beside it"),
        ("through the forwarder", ["6.50", "12.00", "20.00"], "the whole"),
    ],
)
def test_rows_show_the_measurements(row: str, expected: list[str], why: str) -> None:
    assert _row(forwarder(), row) == expected, why


def test_a_missed_target_is_reported() -> None:
    slow = replace(forwarder(), overhead=Spread(500, 2.5, 4.0, 9.0))
    assert "missed" not in forwarder_page.render(forwarder())
    assert _row(slow, "Overhead of a warm request, median") == ["**2.50** (missed)"]
