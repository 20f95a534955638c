"""The container's entry point."""

import importlib.machinery
import sys
from pathlib import Path

import pytest
from model.__main__ import COMMANDS, main

from model import paths


def test_the_word_after_the_image_is_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--model-dir", str(tmp_path)]) == 0
    assert (tmp_path / paths.ARTEFACT).exists()
    assert main(["evaluate", "--model-dir", str(tmp_path), "--output", str(tmp_path / "report")]) == 0
    assert (tmp_path / "report" / "evaluation.json").exists()
    assert '"accuracy"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "name a command of this model: train, evaluate, serve\n", id="nothing"),
        pytest.param(
            ["preprocess"], "'preprocess' is not a command of this model: train, evaluate, serve\n", id="another word"
        ),
        pytest.param(
            ["predictor"], "'predictor' is not a command of this model: train, evaluate, serve\n", id="a part"
        ),
    ],
)
def test_any_other_word_is_refused_with_those_that_there_are(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == said


def test_what_needs_a_library_that_is_not_in_the_image_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "model.evaluate", raising=False)
    find = importlib.machinery.PathFinder.find_spec
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)

    def without_matplotlib(name: str, *arguments: object) -> object:
        return None if name == "matplotlib" else find(name, *arguments)  # type: ignore[arg-type]  # as it is called

    monkeypatch.setattr(importlib.machinery.PathFinder, "find_spec", without_matplotlib)
    assert main(["evaluate"]) == 1
    assert capsys.readouterr().err == "evaluate needs matplotlib, which is not installed here\n"


def test_every_command_has_a_module() -> None:
    folder = Path(paths.__file__).parent
    assert all((folder / f"{command}.py").exists() for command in COMMANDS)


def test_the_server_takes_no_other_argument() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--port", "80"])
