import json
from pathlib import Path

import pytest
from model.hyperparameters import Hyperparameters


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert Hyperparameters.load(tmp_path / "missing.json") == Hyperparameters()


def test_the_strings_of_a_sagemaker_training_job_become_numbers(tmp_path: Path) -> None:
    file = tmp_path / "hyperparameters.json"
    file.write_text(json.dumps({"inverse_regularization": "0.5", "seed": "3"}))
    assert Hyperparameters.load(file) == Hyperparameters(inverse_regularization=0.5, seed=3)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        pytest.param({"depth": "3"}, "unknown hyperparameters", id="a name that training does not know"),
        pytest.param({"seed": "many"}, "of type int", id="no number"),
        pytest.param({"seed": "1.5"}, "of type int", id="a fraction where whole numbers count"),
        pytest.param({"inverse_regularization": "0"}, "greater than 0", id="the bound itself is out"),
        pytest.param({"inverse_regularization": "nan"}, "greater than 0", id="not a number compares to nothing"),
        pytest.param({"seed": "4294967296"}, "within", id="more than the solver takes"),
        pytest.param({"max_iterations": "0"}, "at least 1", id="nothing would be learnt"),
        pytest.param([], "JSON object", id="another JSON document"),
    ],
)
def test_unfit_values_are_named(tmp_path: Path, values: object, complaint: str) -> None:
    file = tmp_path / "hyperparameters.json"
    file.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=complaint):
        Hyperparameters.load(file)
