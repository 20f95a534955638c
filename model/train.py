"""Trains the classifier: `python -m model train`, in a SageMaker training job, an image build or on a laptop.

Reads the CSV files of the channels `train` and `validation`, or what `--dataset` names; writes model.joblib,
columns.json and metrics.json.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import joblib
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from model import datasets, jobs, paths, tables
from model.checkpoints import Checkpoint, Checkpoints, fingerprint
from model.hyperparameters import Hyperparameters
from model.preprocess import Split
from model.tables import Table

_ROUND = 20
"""Iterations between two looks at whether to stop, each of which logs metrics and saves a checkpoint."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The data of a training.

    Raises:
        ValueError: the tables do not fit each other, or there is but one label.
    """

    training: Table
    validation: Table

    def __post_init__(self) -> None:
        if self.training.columns != self.validation.columns:
            raise ValueError(f"the channels {paths.TRAIN} and {paths.VALIDATION} have different columns")
        known = set(self.training.labels.tolist())
        if len(known) == 1:
            raise ValueError(f"all rows have the label {known.pop()!r}; there is nothing to tell apart")
        if unknown := sorted(set(self.validation.labels.tolist()) - known):
            raise ValueError(f"the labels {', '.join(unknown)} are in the channel {paths.VALIDATION} only")


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained classifier.

    Attributes:
        converged: further iterations would change nothing.
    """

    classifier: Pipeline
    iterations: int
    converged: bool = False


def pipeline(hyperparameters: Hyperparameters) -> Pipeline:
    """The untrained classifier: standardized measurements into a multinomial logistic regression."""
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=hyperparameters.inverse_regularization, random_state=hyperparameters.seed, warm_start=True
        ),
    )


def fit(
    table: Table,
    hyperparameters: Hyperparameters,
    checkpoints: Checkpoints | None = None,
    after_round: Callable[[Fit], bool] = lambda _: False,
) -> Fit:
    """Trains until nothing changes, the hyperparameters' iterations are done, or `after_round` returns True."""
    found = checkpoints.load() if checkpoints else None
    result = Fit(found.classifier, found.iterations) if found else Fit(pipeline(hyperparameters), 0)
    while not result.converged and result.iterations < hyperparameters.max_iterations:
        budget = min(_ROUND, hyperparameters.max_iterations - result.iterations)
        classifier = result.classifier.set_params(logisticregression__max_iter=budget)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the next round goes on
            classifier.fit(table.features, table.labels)
        used = int(classifier[-1].n_iter_.max())
        result = Fit(classifier, result.iterations + used, converged=used < budget)
        if checkpoints:
            checkpoints.save(Checkpoint(classifier, result.iterations))
        if after_round(result):
            break
    return result


def train(
    channels: Channels,
    hyperparameters: Hyperparameters,
    output: Path,
    *,
    checkpoints: Path | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, object]:
    """Trains, writes the model into `output` (made if need be) and returns the metrics.

    Once `stopped` returns True, the model is what has been learnt until then.
    """
    training, validation = channels.training, channels.validation

    def report(result: Fit) -> bool:
        accuracy, loss = _scores(result.classifier, validation)
        sys.stdout.write(
            f"iterations={result.iterations} validation:accuracy={accuracy:.6f} validation:log_loss={loss:.6f}\n"
        )
        sys.stdout.flush()
        return stopped()

    kept = Checkpoints(checkpoints, fingerprint(training, asdict(hyperparameters))) if checkpoints else None
    result = fit(training, hyperparameters, kept, report)
    accuracy, loss = _scores(result.classifier, validation)
    metrics: dict[str, object] = {
        "trainAccuracy": _scores(result.classifier, training)[0],
        "validationAccuracy": accuracy,
        "validationLogLoss": loss,
        "trainRows": len(training),
        "validationRows": len(validation),
        "iterations": result.iterations,
        "converged": result.converged,
        "hyperparameters": asdict(hyperparameters),
        "scikitLearn": sklearn.__version__,
    }
    output.mkdir(parents=True, exist_ok=True)
    joblib.dump(result.classifier, output / paths.ARTEFACT)
    (output / paths.COLUMNS).write_text(json.dumps(training.columns) + "\n", encoding="utf-8")
    (output / paths.METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return metrics


def _scores(classifier: Pipeline, table: Table) -> tuple[float, float]:
    probabilities = classifier.predict_proba(table.features)
    predicted = classifier.classes_[probabilities.argmax(axis=1)]
    loss = log_loss(table.labels, probabilities, labels=classifier.classes_)
    return float(accuracy_score(table.labels, predicted)), float(loss)


def _channels(dataset: str | None, seed: int) -> Channels:
    if dataset:
        split = Split.of(datasets.load(dataset), seed)
        return Channels(split.train, split.validation)
    folders = [paths.channel_dir(name) for name in (paths.TRAIN, paths.VALIDATION)]
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(
                f"there is no {folder}: give the training job the channels {paths.TRAIN} and {paths.VALIDATION} "
                f"with the input mode File or FastFile, or name a --dataset"
            )
    return Channels(*map(tables.read, folders))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model train", description=__doc__)
    parser.add_argument("--dataset", choices=datasets.NAMES, help="one that scikit-learn contains, for the channels")
    parser.add_argument(
        "--model-dir", type=Path, default=paths.model_dir(), help="where to write (default: %(default)s)"
    )
    for field in fields(Hyperparameters):
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, metavar=field.type.__name__.upper(), help=f"default: {field.default}")  # type: ignore[union-attr]  # annotations are types here
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains with SageMaker's hyperparameters.json, each flag in its place; 1 with the reason if it cannot.

    After SIGTERM it saves the model of its current round, and ends.
    """
    arguments = vars(_arguments(argv))
    model_dir, dataset = arguments.pop("model_dir"), arguments.pop("dataset")

    def job(terminations: list[int]) -> dict[str, object]:
        flags = {name: value for name, value in arguments.items() if value is not None}
        hyperparameters = Hyperparameters.load(paths.hyperparameters_file()).override(flags)
        return train(
            _channels(dataset, hyperparameters.seed),
            hyperparameters,
            model_dir,
            checkpoints=paths.checkpoint_dir(),
            stopped=lambda: bool(terminations),
        )

    with jobs.terminations() as terminations:
        return jobs.run(lambda: job(terminations), paths.failure_file())


if __name__ == "__main__":
    raise SystemExit(main())
