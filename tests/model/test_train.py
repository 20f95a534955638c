import json
from pathlib import Path

import numpy as np
import pytest
from model.checkpoints import Checkpoint, Checkpoints, fingerprint
from model.datasets import NAMES, load
from model.hyperparameters import Hyperparameters
from model.preprocess import Split
from model.tables import Table
from model.train import Channels, Fit, fit, main, pipeline, train

from model import paths

CANCER = load("breast_cancer")
LONG = Hyperparameters(inverse_regularization=10)
"""Two rounds."""


def channels(name: str, seed: int = 7) -> Channels:
    split = Split.of(load(name), seed)
    return Channels(split.train, split.validation)


def tables(labels: list[str], other: list[str], columns: tuple[str, ...] = ("length",)) -> tuple[Table, Table]:
    return tuple(  # type: ignore[return-value]  # of two
        Table(names, np.arange(float(len(each))).reshape(-1, 1), np.array(each))
        for names, each in ((("length",), labels), (columns, other))
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_good_at_rows_that_it_never_saw(name: str, tmp_path: Path) -> None:
    accuracy = train(channels(name), Hyperparameters(), tmp_path)["validationAccuracy"]
    assert isinstance(accuracy, float)
    assert accuracy > 0.9
    assert json.loads((tmp_path / paths.COLUMNS).read_text()) == list(load(name).columns)


def test_the_same_seed_gives_the_same_artefact(tmp_path: Path) -> None:
    for folder, seed in (("a", 7), ("b", 7), ("c", 8)):
        train(channels("wine", seed), Hyperparameters(seed=seed), tmp_path / folder)
    artefacts = [(tmp_path / name / paths.ARTEFACT).read_bytes() for name in "abc"]
    assert artefacts[0] == artefacts[1] != artefacts[2]


def test_training_in_rounds_ends_where_one_without_rounds_does() -> None:
    result = fit(CANCER, LONG)
    at_once = pipeline(LONG).set_params(logisticregression__max_iter=1000).fit(CANCER.features, CANCER.labels)
    ours, theirs = (each.predict_proba(CANCER.features) for each in (result.classifier, at_once))
    assert result.converged
    assert result.iterations > 20
    assert np.abs(ours - theirs).max() < 0.02


def test_no_more_iterations_are_done_than_were_asked_for() -> None:
    rounds: list[int] = []

    def note(result: Fit) -> bool:
        rounds.append(result.iterations)
        return False

    result = fit(CANCER, Hyperparameters(inverse_regularization=10, max_iterations=25), None, note)
    assert rounds == [20, 25]
    assert (result.iterations, result.converged) == (25, False)


def test_an_interrupted_training_goes_on_where_it_was_and_ends_as_one_that_was_not(tmp_path: Path) -> None:
    rounds: list[int] = []

    def note(result: Fit) -> bool:
        rounds.append(result.iterations)
        return len(rounds) == 1

    kept = Checkpoints(tmp_path, "cancer")
    fit(CANCER, LONG, kept, note)
    resumed, whole = fit(CANCER, LONG, kept, note), fit(CANCER, LONG)
    assert rounds[:1] == [20]
    assert 20 < rounds[1] <= rounds[-1] == whole.iterations
    assert (resumed.iterations, resumed.converged) == (whole.iterations, True)
    assert np.array_equal(resumed.classifier[-1].coef_, whole.classifier[-1].coef_)


def test_a_checkpoint_of_another_training_is_none(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "this").save(Checkpoint(pipeline(Hyperparameters()), 20))
    assert Checkpoints(tmp_path, "this").load() is not None
    assert Checkpoints(tmp_path, "another").load() is None
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint.joblib"]


def test_without_a_folder_for_checkpoints_there_are_none(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "missing", "this")
    kept.save(Checkpoint(pipeline(Hyperparameters()), 20))
    assert kept.load() is None


@pytest.mark.parametrize(
    ("table", "hyperparameters"),
    [
        pytest.param(Table(("b",), np.array([[1.0], [2.0]]), np.array(["x", "y"])), {"seed": 7}, id="a column"),
        pytest.param(Table(("a",), np.array([[1.0], [3.0]]), np.array(["x", "y"])), {"seed": 7}, id="a number"),
        pytest.param(Table(("a",), np.array([[1.0], [2.0]]), np.array(["x", "z"])), {"seed": 7}, id="a label"),
        pytest.param(Table(("a",), np.array([[1.0], [2.0]]), np.array(["x", "y"])), {"seed": 8}, id="a hyperparameter"),
    ],
)
def test_whatever_makes_another_training_has_another_fingerprint(
    table: Table, hyperparameters: dict[str, object]
) -> None:
    this = Table(("a",), np.array([[1.0], [2.0]]), np.array(["x", "y"]))
    assert fingerprint(this, {"seed": 7}) != fingerprint(table, hyperparameters)


@pytest.mark.parametrize(
    ("training", "validation", "columns", "complaint"),
    [
        pytest.param(["a", "b"], ["a"], ("width",), "different columns", id="files of two data sets"),
        pytest.param(["a", "a"], ["a"], ("length",), "nothing to tell apart", id="one class"),
        pytest.param(["a", "b"], ["c"], ("length",), "labels c are in the channel validation only", id="a new class"),
    ],
)
def test_channels_that_do_not_fit_are_refused(
    training: list[str], validation: list[str], columns: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Channels(*tables(training, validation, columns))


def test_flags_have_precedence_over_the_hyperparameters_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    paths.hyperparameters_file().parent.mkdir(parents=True)
    paths.hyperparameters_file().write_text('{"seed": "3", "inverse_regularization": "0.5"}')
    assert main(["--dataset", "wine", "--model-dir", str(tmp_path), "--seed", "4"]) == 0
    used = json.loads((tmp_path / paths.METRICS).read_text())["hyperparameters"]
    assert (used["seed"], used["inverse_regularization"]) == (4, 0.5)


def test_an_unfit_hyperparameter_ends_training_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--dataset", "wine", "--model-dir", str(tmp_path), "--seed", "-1"]) == 1
    assert "seed" in capsys.readouterr().err
    assert not (tmp_path / paths.ARTEFACT).exists()
