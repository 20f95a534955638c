import json
from pathlib import Path

import numpy as np
import pytest
from model.codec import FEATURES
from model.hyperparameters import Hyperparameters
from model.train import main, split, train
from sklearn.datasets import load_wine

from model import paths


def test_the_model_is_good_at_wines_that_it_never_saw(tmp_path: Path) -> None:
    accuracy = train(Hyperparameters(), tmp_path)["testAccuracy"]
    assert isinstance(accuracy, float)
    assert accuracy > 0.9


def test_the_same_seed_gives_the_same_artefact(tmp_path: Path) -> None:
    train(Hyperparameters(), tmp_path / "a")
    train(Hyperparameters(), tmp_path / "b")
    train(Hyperparameters(seed=8), tmp_path / "c")
    artefacts = [(tmp_path / name / paths.ARTEFACT).read_bytes() for name in "abc"]
    assert artefacts[0] == artefacts[1] != artefacts[2]


def test_no_wine_is_both_trained_on_and_held_out() -> None:
    parts = split(Hyperparameters())
    assert len(parts.train) + len(parts.test) == 178
    assert not any((parts.train == wine).all(axis=1).any() for wine in parts.test)
    assert set(np.unique(parts.test_labels)) == {"class_0", "class_1", "class_2"}


def test_the_schema_names_the_measurements_in_the_order_of_the_data() -> None:
    assert list(FEATURES) == load_wine().feature_names


def test_flags_have_precedence_over_the_hyperparameters_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hyperparameters.json").write_text('{"seed": "3", "inverse_regularization": "0.5"}')
    monkeypatch.setenv("SM_INPUT_CONFIG_DIR", str(tmp_path))
    assert main(["--model-dir", str(tmp_path), "--seed", "4"]) == 0
    used = json.loads((tmp_path / paths.METRICS).read_text())["hyperparameters"]
    assert (used["seed"], used["inverse_regularization"]) == (4, 0.5)


def test_an_unfit_hyperparameter_ends_training_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model-dir", str(tmp_path), "--seed", "-1"]) == 1
    assert "seed" in capsys.readouterr().err
    assert not (tmp_path / paths.ARTEFACT).exists()
