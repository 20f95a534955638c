from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from model.datasets import load
from model.evaluate import evaluate, main
from model.figure import main as draw
from model.hyperparameters import Hyperparameters
from model.predictor import Predictor
from model.preprocess import Split
from model.tables import Table
from model.train import Channels, train

from model import paths

SPLIT = Split.of(load("breast_cancer"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    train(Channels(SPLIT.train, SPLIT.validation), Hyperparameters(), folder)
    return folder


def test_the_report_counts_what_the_model_says_of_rows_that_it_never_saw(model: Path) -> None:
    predictor = Predictor.load(model, "abc123")
    report: dict[str, object] = evaluate(predictor, SPLIT.test)
    metrics = report["multiclass_classification_metrics"]
    assert isinstance(metrics, dict)
    right = np.mean(np.array(predictor.predict(SPLIT.test.features).labels) == SPLIT.test.labels)
    assert metrics["accuracy"]["value"] == right > 0.9
    # The deviation of a share of n rows, but for the luck of the samples.
    assert metrics["accuracy"]["standard_deviation"] == pytest.approx(
        (right * (1 - right) / len(SPLIT.test)) ** 0.5, rel=0.25
    )
    matrix = metrics["confusion_matrix"]
    assert sum(sum(row.values()) for row in matrix.values()) == len(SPLIT.test)
    assert sum(matrix[label][label] for label in matrix) == round(right * len(SPLIT.test))


def test_a_model_that_is_always_wrong_has_no_accuracy(model: Path) -> None:
    predictor = Predictor.load(model, "abc123")
    wrong = np.where(np.array(predictor.predict(SPLIT.test.features).labels) == "benign", "malignant", "benign")
    report: dict[str, object] = evaluate(predictor, Table(SPLIT.test.columns, SPLIT.test.features, wrong))
    metrics = report["multiclass_classification_metrics"]
    assert isinstance(metrics, dict)
    assert metrics["accuracy"] == {"value": 0.0, "standard_deviation": 0.0}


@pytest.mark.parametrize(
    ("test", "complaint"),
    [
        pytest.param(load("wine"), "other columns", id="another data set"),
        pytest.param(
            Table(SPLIT.test.columns, SPLIT.test.features[:1], np.array(["unsure"])),
            "knows no label unsure",
            id="a label that training did not have",
        ),
    ],
)
def test_data_that_the_model_is_not_for_is_refused(model: Path, test: Table, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        evaluate(Predictor.load(model, "abc123"), test)


def test_the_figure_is_drawn_from_the_report(model: Path, tmp_path: Path) -> None:
    SPLIT.test.write(tmp_path / "test", "test")
    assert main(["--model-dir", str(model), "--test", str(tmp_path / "test"), "--output", str(tmp_path)]) == 0
    draw([str(tmp_path / paths.EVALUATION), str(tmp_path / "figure.svg")])
    figure = ET.parse(tmp_path / "figure.svg").getroot()  # noqa: S314 (our own figure)
    assert figure.tag.endswith("svg")


def test_without_a_model_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    assert main([]) == 1
    said = capsys.readouterr().err
    assert paths.ARTEFACT in said
    assert paths.message_file().read_text() == said.strip()
