from pathlib import Path

import pytest

from ephemeral_endpoints.cli.main import main
from ephemeral_endpoints.local.bench import run
from ephemeral_endpoints.local.errors import PlatformError


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
    assert main(["local", "bench", "--state", str(tmp_path), *arguments]) == 0
    assert measured == sizes, why


def test_builds_are_measured_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured: list[Path] = []
    monkeypatch.setattr(run, "run_builds", lambda _, plan, **__: measured.append(plan.model))
    monkeypatch.setattr(run, "run", lambda *_, **__: pytest.fail("sizes were measured"))
    assert main(["local", "bench", "--state", str(tmp_path), "--builds", "--model", "other"]) == 0
    assert measured == [Path("other")]


@pytest.mark.parametrize("sizes", ["0", "1,-2", "many", "", "1;2"])
def test_what_is_no_number_of_objects_is_refused(sizes: str) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["local", "bench", f"--sizes={sizes}"])
    assert refused.value.code == 2


def test_a_failure_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PlatformError("the operator ended")

    monkeypatch.setattr(run, "run", fail)
    assert main(["local", "bench"]) == 1
    assert "error: the operator ended" in capsys.readouterr().err
