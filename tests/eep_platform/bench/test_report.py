import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.eep_platform.bench.samples import MB, builds, forwarder, measured, reaped, reviews, trainings

from eep_platform.bench import plots, report, targets
from eep_platform.bench.results import ADAPTER, Measured, Memory, Results


def _render(*sizes: Measured) -> str:
    return report.render(Results({each.objects: each for each in sizes}), "benchmarks")


def _row(page: str, begins: str) -> list[str]:
    line = next(line for line in page.splitlines() if line.startswith(f"| {begins}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


@pytest.mark.parametrize(
    ("row", "expected", "why"),
    [
        ("Ready after AWS is done, median", ["0.52", "0.52"], "seconds have two digits"),
        ("Burst of creations against the limits", ["", "97.5"], "the time of one object decides for few"),
        ("At rest, AWS calls a minute", ["0.9", "0.9"], "four calls a snapshot, every 270 s"),
        ("creation: bound", ["195.0 (PutMetricAlarm 3/s)"] * 2, "the binding limit is named"),
        ("PutMetricAlarm", ["2.00", "2.00"], "calls are per object"),
        ("Ready after creation", ["0.52 / 0.98"] * 2, "median and p99"),
        ("created", ["7.0 (1.0 PATCH ephemeralendpoints, 6.0 POST events)"] * 2, "writes are per object"),
        ("processor", ["0.17", "0.17"], "0.1 % at rest, and 0.2 s for each of the snapshots"),
        ("MB after the burst", ["110", "110"], ""),
    ],
)
def test_rows_show_the_measurements(row: str, expected: list[str], why: str) -> None:
    assert _row(_render(measured(1), measured(300)), row) == expected, why


def test_sizes_are_in_order_whatever_order_they_were_measured_in() -> None:
    assert _render(measured(300), measured(1), measured(30)) == _render(measured(1), measured(30), measured(300))


ALONE = Results({}, builds(), trainings=trainings(), reviews=reviews(), forwarder=forwarder(), reaped=reaped())


def test_a_page_gets_the_sections_that_were_measured_alone_where_they_belong() -> None:
    before = replace(ALONE, sizes={1: measured(1)}, trainings=None, reaped=None)
    page = report.renew(report.render(before, "benchmarks"), ALONE)
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings[-6:] == [
        *("## Builds", "## Trainings", "## Pull requests", "## Forwarder", "## Reaper", "## Measured on")
    ]
    assert _row(page, "trainings")[1] == f"`{trainings().machine.commit}`"


def test_a_page_that_has_all_sections_keeps_what_was_not_measured_again() -> None:
    page = report.render(replace(ALONE, sizes={1: measured(1), 300: measured()}), "benchmarks")
    assert report.renew(page, ALONE) == page
    assert report.renew(page, Results()) == page
    commit = reaped().machine.commit
    later = replace(reaped(), machine=replace(reaped().machine, commit="later"))
    renewed = report.renew(page, Results(reaped=later))
    row = next(line for line in page.splitlines() if line.startswith("| reaper |"))
    assert renewed == page.replace(row, row.replace(commit, "later"))


def test_a_missed_target_is_reported() -> None:
    heavy = replace(measured(), memory=Memory(100 * MB, 201 * MB, 108 * MB))
    assert "missed" not in _render(measured())
    assert _row(_render(heavy), "Memory of the operator") == ["**201** (missed)"]
    assert "limits the missed targets" in _render(heavy)


def test_losses_in_a_restart_are_reported() -> None:
    found = measured()
    lost = replace(found, restart=replace(found.restart, ready=298, changed=1, writes={"POST events": 1}))
    assert {target.what for target, _, _ in targets.missed(Results({300: lost}))} == {
        "Restart, objects not Ready or changed",
        "Restart, Kubernetes writes",
    }


@pytest.mark.parametrize(
    ("kilobytes", "reported"),
    [(40, "grows by 40.0 KB"), (51, "**missed**")],
)
def test_memory_growth_is_fitted_over_the_sizes(kilobytes: int, reported: str) -> None:
    sizes = [replace(measured(n), memory=Memory(1, 100 * MB + n * kilobytes * 1024, 1)) for n in (1, 30, 300)]
    assert reported in _render(*sizes)


def test_growth_is_not_reported_for_one_size() -> None:
    assert "grows" not in _render(measured())


def test_the_naive_reconciler_is_compared_at_the_same_and_at_the_largest_size() -> None:
    page = _render(measured(30), replace(measured(300), naive=None))
    assert "made 60 AWS calls and 60 Kubernetes writes a minute over 30 objects" in page
    assert "Over 300 objects that would be 600 and 600 (computed)" in page


def test_results_survive_being_kept() -> None:
    results = Results({1: measured(1), 300: replace(measured(300), naive=None)}, builds())
    assert ADAPTER.validate_json(ADAPTER.dump_json(results)) == results


def test_every_plot_that_the_page_shows_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    results = Results({1: measured(1), 300: measured(300)})
    plots.draw(results, tmp_path)
    page = report.render(results, tmp_path.name)
    assert {f"{tmp_path.name}/{path.name}" for path in tmp_path.iterdir()} == {
        line.partition("](")[2].rstrip(")") for line in page.splitlines() if line.startswith("![")
    }
    for path in tmp_path.iterdir():
        assert ET.parse(path).getroot().tag.endswith("svg")  # noqa: S314 - just written by ourselves


def test_plots_do_not_change_with_the_day(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        plots.draw(Results({1: measured(1), 300: measured(300)}), tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("row", "expected", "why"),
    [
        ("application until `ImageReady`", ["20.00", "4.00", "0.10"], "of three rounds the one in the middle"),
        ("application until `Ready`", ["22.00", "6.00", "2.10"], ""),
        ("the build itself", ["19.00", "3.50", ""], "what is there is not built"),
        ("operator: application until StartBuild", ["0.25", "0.02", ""], ""),
        ("operator: end of the build until `ImageReady`", ["0.50", "0.40", ""], ""),
        ("codebuild StartBuild", ["1", "1", "0"], "calls that a case did not make are none"),
        ("codebuild BatchGetBuilds", ["20", "4", "0"], ""),
        ("builds", ["2026-11-21", "`def5678`", "A processor, 2 cores, 24 GB, load 0.5"], "measured another day"),
    ],
)
def test_builds_are_summarised_by_their_medians(row: str, expected: list[str], why: str) -> None:
    page = report.render(Results({300: measured()}, builds()), "benchmarks")
    assert _row(page, row) == expected, why
    assert "medians of\n3 rounds" in page


def test_without_builds_there_is_no_section_of_them() -> None:
    page = _render(measured())
    assert "Builds" not in page
    assert "| builds" not in page


def test_results_that_were_kept_before_builds_were_measured_are_read() -> None:
    kept = json.loads(ADAPTER.dump_json(Results({300: measured()})))
    del kept["builds"]
    assert ADAPTER.validate_json(json.dumps(kept)) == Results({300: measured()})
