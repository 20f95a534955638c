import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from model.evaluate import main
from model.hyperparameters import Hyperparameters
from model.train import train

from model import paths


def test_the_report_agrees_with_training_and_has_a_figure(tmp_path: Path) -> None:
    metrics = train(Hyperparameters(), tmp_path)
    assert main(["--model-dir", str(tmp_path), "--output", str(tmp_path / "report")]) == 0
    report = json.loads((tmp_path / "report" / "evaluation.json").read_text())["multiclass_classification_metrics"]
    assert report["accuracy"]["value"] == metrics["testAccuracy"]
    assert 0.9 < report["cross_validated_accuracy"]["value"] <= 1
    assert sum(sum(row.values()) for row in report["confusion_matrix"].values()) == metrics["testRows"]
    figure = ET.parse(tmp_path / "report" / "confusion_matrix.svg").getroot()  # noqa: S314 (our own figure)
    assert figure.tag.endswith("svg")


def test_without_a_model_it_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model-dir", str(tmp_path)]) == 1
    assert paths.ARTEFACT in capsys.readouterr().err
