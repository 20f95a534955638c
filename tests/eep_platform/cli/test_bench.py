from pathlib import Path

import pytest
from tests.fixtures.command import eep

from eep_platform.bench import run
from eep_platform.errors import PlatformError


@pytest.mark.parametrize(
    ("arguments", "sizes", "why"),
    [
        ([], [1, 30, 300], "the default"),
        (["--full"], [1, 30, 300, 1000], "the default and many"),
        (["--sizes", "30"], [30], "one alone"),
        (["--sizes", "30,2,30"], [2, 30], "in order, each once"),
    ],
)
def test_sizes_are_measured_as_asked_for(
    arguments: list[str], sizes: list[int], why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measured: list[int] = []
    monkeypatch.setattr(run, "run", lambda _, sizes, **__: measured.extend(sizes))
    assert eep("local", "bench", "--state", str(tmp_path), *arguments).exit_code == 0
    assert measured == sizes, why


@pytest.mark.parametrize(
    ("option", "measures"),
    [("--builds", "run_builds"), ("--training", "run_trainings"), ("--forwarder", "run_forwarder")],
)
def test_a_section_is_measured_alone(
    option: str, measures: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measured: list[Path] = []
    monkeypatch.setattr(run, measures, lambda _, plan, **__: measured.append(plan.model))
    monkeypatch.setattr(run, "run", lambda *_, **__: pytest.fail("sizes were measured"))
    assert eep("local", "bench", "--state", str(tmp_path), option, "--model", "other").exit_code == 0
    assert measured == [Path("other")]


def test_the_month_has_a_page_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pages: list[Path] = []
    monkeypatch.setattr(run, "run_month", lambda page, **_: pages.append(page))
    monkeypatch.setattr(run, "run", lambda *_, **__: pytest.fail("sizes were measured"))
    assert eep("local", "bench", "--state", str(tmp_path), "--month").exit_code == 0
    assert pages == [Path("docs/month.md")]


@pytest.mark.parametrize("sizes", ["0", "1,-2", "many", "", "1;2"])
def test_what_is_no_number_of_objects_is_refused(sizes: str) -> None:
    result = eep("local", "bench", f"--sizes={sizes}")
    assert result.exit_code == 2
    assert "--sizes" in result.stderr


def test_a_failure_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PlatformError("the operator ended")

    monkeypatch.setattr(run, "run", fail)
    result = eep("local", "bench")
    assert result.exit_code == 1
    assert "Error: the operator ended" in result.stderr
