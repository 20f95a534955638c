from dataclasses import replace

import pytest
from tests.eep_platform.bench.samples import trainings

from eep_platform.bench import training_page
from eep_platform.bench.results import Trainings


def _row(found: Trainings, begins: str) -> list[str]:
    line = next(line for line in training_page.render(found).splitlines() if line.startswith(f"| {begins}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


@pytest.mark.parametrize(
    ("row", "expected", "why"),
    [
        ("Until StartPipelineExecution", ["0.40"], "a build comes first"),
        ("Until CreateModel", ["0.60"], ""),
        ("From a commit to its endpoint: ≤ 60 s", ["30"], "of a first commit"),
        ("The same, cached: ≤ 10 s", ["5"], ""),
        ("Calls of a run beside the pipeline's own: ≤ 8", ["2"], "its start is its own"),
        ("Calls in 90 s of rest: 0", ["0"], "of all rounds together"),
        ("from the application to `Ready`", ["30.00", "12.00", "5.00"], "by case"),
        ("ListPipelineExecutions", ["2", "2", "2"], ""),
        ("**all**", ["3", "3", "3"], "with the pipeline's own"),
    ],
)
def test_rows_show_the_measurements(row: str, expected: list[str], why: str) -> None:
    assert _row(trainings(), row) == expected, why


def test_a_missed_target_is_reported() -> None:
    assert "missed" not in training_page.render(trainings())
    restless = replace(trainings(), rest_calls={"ListPipelineExecutions": 2.0})
    assert _row(restless, "Calls in 90 s of rest") == ["**2** (missed)"]
