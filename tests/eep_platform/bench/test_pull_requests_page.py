from dataclasses import replace

import pytest
from tests.eep_platform.bench.samples import MB, reviews

from eep_platform.bench import pull_requests_page
from eep_platform.bench.results import OffAndOn, Reviews


def _row(found: Reviews, begins: str) -> list[str]:
    line = next(line for line in pull_requests_page.render(found).splitlines() if line.startswith(f"| {begins}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


@pytest.mark.parametrize(
    ("row", "expected", "why"),
    [
        ("Gone after the merge, with a webhook: ≤ 91 s", ["7"], "the longest, with the grace"),
        ("Gone after the merge, without one: ≤ 121 s", ["54"], "two rounds of a minute"),
        ("Writing requests of the next revision: ≤ 9", ["3"], "of all operations"),
        ("At rest, requests a minute: ≤ 12", ["7"], "210 in half an hour"),
        ("At rest, writing requests: 0", ["0"], "none"),
        ("Memory for 1,000 objects (computed): ≤ 10 MB", ["8.6"], "2 MB, and 2/300 MB for each of 990 more"),
        ("repos/create-deployment", ["1", "1"], "by revision"),
        ("issues/update-comment", ["0", "2"], "by revision"),
        ("310 objects", ["150.0", "154.0"], "as measured"),
    ],
)
def test_rows_show_the_measurements(row: str, expected: list[str], why: str) -> None:
    assert _row(reviews(), row) == expected, why


def test_a_missed_target_is_reported() -> None:
    found = reviews()
    heavy = replace(found, memory=replace(found.memory, many=OffAndOn(310, 150 * MB, 155 * MB)))
    assert "missed" not in pull_requests_page.render(found)
    assert _row(heavy, "Memory for 1,000 objects") == ["**11.9** (missed)"]
