"""The container's entry point, as SageMaker's jobs run it: processes on a folder laid out as theirs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from model.__main__ import COMMANDS, main
from model.datasets import load

from model import jobs, paths

ROOT = Path(__file__).parents[2]


def started(base: Path, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 (ourselves)
        [sys.executable, "-m", "model", command],
        cwd=ROOT,
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(base)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(base: Path, command: str) -> tuple[int, str, str]:
    """What a job's container of this command ends with, prints and complains of."""
    base.mkdir(exist_ok=True)
    with started(base, command) as process:
        output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def channels(base: Path, source: Path) -> None:
    for name in (paths.TRAIN, paths.VALIDATION):
        shutil.copytree(source / name, base / "input" / "data" / name)


def test_data_becomes_a_model_and_its_report_by_the_three_jobs_of_a_pipeline(tmp_path: Path) -> None:
    parted, trained, judged = (tmp_path / name for name in ("preprocess", "train", "evaluate"))
    load("breast_cancer").write(parted / "processing" / "input" / "2026", "data")
    assert run(parted, "preprocess")[0] == 0

    channels(trained, parted / "processing")
    (trained / "input" / "config").mkdir()
    (trained / "input" / "config" / "hyperparameters.json").write_text('{"seed": "11"}')
    (trained / "checkpoints").mkdir()
    status, output, _ = run(trained, "train")
    assert status == 0
    assert json.loads(output.splitlines()[-1])["hyperparameters"]["seed"] == 11
    assert "validation:accuracy=0.9" in output.splitlines()[0]
    assert (trained / "checkpoints" / "checkpoint.joblib").exists()

    (judged / "processing" / "model").mkdir(parents=True)
    with tarfile.open(judged / "processing" / "model" / "model.tar.gz", "w:gz") as archive:
        archive.add(trained / "model", ".")
    shutil.copytree(parted / "processing" / "test", judged / "processing" / "test")
    assert run(judged, "evaluate")[0] == 0
    report = json.loads((judged / "processing" / "evaluation" / "evaluation.json").read_text())
    accuracy = report["multiclass_classification_metrics"]["accuracy"]
    assert 0.9 < accuracy["value"] <= 1
    assert 0 < accuracy["standard_deviation"] < 0.05
    assert not list(tmp_path.glob("*/output/*"))


@pytest.mark.parametrize(
    ("command", "file", "said"),
    [
        pytest.param("preprocess", "message", "has no CSV file; does the data's prefix", id="an empty prefix"),
        pytest.param("train", "failure", "input/data/train: give the training job the channels", id="no channel"),
        pytest.param("evaluate", "message", "FileNotFoundError", id="no model"),
    ],
)
def test_a_job_that_fails_says_why_where_sagemaker_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, file: str, said: str
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    assert main([command]) == 1
    assert said in (tmp_path / "output" / file).read_text()


def test_a_training_that_is_stopped_saves_what_it_has_and_a_later_try_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cancer = load("breast_cancer")
    cancer.write(tmp_path / "input" / "data" / paths.VALIDATION, "data")
    (tmp_path / "input" / "data" / paths.TRAIN).mkdir()
    (tmp_path / "input" / "config").mkdir()
    (tmp_path / "input" / "config" / "hyperparameters.json").write_text('{"inverse_regularization": "10"}')
    (tmp_path / "checkpoints").mkdir()
    # It waits for its data until it was told to stop.
    fifo = tmp_path / "input" / "data" / paths.TRAIN / "data.csv"
    os.mkfifo(fifo)
    cancer.write(tmp_path, "whole")
    with started(tmp_path, "train") as process:
        with fifo.open("w") as file:
            process.send_signal(signal.SIGTERM)
            file.write((tmp_path / "whole.csv").read_text())
        output, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
    metrics = json.loads((tmp_path / "model" / paths.METRICS).read_text())
    assert (metrics["iterations"], metrics["converged"]) == (20, False)
    assert output.count("iterations=") == 1
    assert (tmp_path / "model" / paths.ARTEFACT).exists()

    fifo.unlink()
    cancer.write(fifo.parent, "data")
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    assert main(["train"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert int(first.split()[0].removeprefix("iterations=")) > 20
    assert json.loads(last)["converged"] is True


def test_a_reason_is_cut_to_what_sagemaker_shows(tmp_path: Path) -> None:
    def fail() -> dict[str, object]:
        raise ValueError("-" + "é" * 1000)

    assert jobs.run(fail, tmp_path / "output" / "failure") == 1
    assert (tmp_path / "output" / "failure").read_text(encoding="utf-8") == "-" + "é" * 511


def test_a_fault_of_the_program_is_told_with_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> dict[str, object]:
        raise KeyError("mean_radius")

    assert jobs.run(fail, tmp_path / "output" / "failure") == 1
    assert (tmp_path / "output" / "failure").read_text() == "KeyError: 'mean_radius'"
    assert "in fail" in capsys.readouterr().err


def test_outside_of_a_container_of_sagemaker_no_file_is_made(tmp_path: Path) -> None:
    assert jobs.run(lambda: {"accuracy": float("nan")}, tmp_path / "missing" / "output" / "failure") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "name a command of this model: preprocess, train, evaluate, serve\n", id="nothing"),
        pytest.param(
            ["test"], "'test' is not a command of this model: preprocess, train, evaluate, serve\n", id="another word"
        ),
        pytest.param(
            ["paths"], "'paths' is not a command of this model: preprocess, train, evaluate, serve\n", id="a part"
        ),
    ],
)
def test_any_other_word_is_refused_with_those_that_there_are(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == said


def test_every_command_has_a_module() -> None:
    folder = Path(paths.__file__).parent
    assert all((folder / f"{command}.py").exists() for command in COMMANDS)


def test_the_server_takes_no_other_argument() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--port", "80"])
