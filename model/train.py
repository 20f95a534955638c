"""Trains the classifier: `python -m model.train`, on a laptop, in an image build or in a SageMaker training job."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from model import paths
from model.hyperparameters import Hyperparameters

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Split:
    """The data set, parted: features of shape (n, 13) and labels of shape (n,), for training and held out."""

    train: Array
    train_labels: Labels
    test: Array
    test_labels: Labels


def data() -> tuple[Array, Labels]:
    """The UCI wine data set as scikit-learn ships it: 178 wines, 13 measurements each, and their cultivars."""
    wine = load_wine()
    return wine.data, wine.target_names[wine.target]


def split(hyperparameters: Hyperparameters) -> Split:
    """Parts the data the same way for the same seed and fraction, stratified by cultivar."""
    features, labels = data()
    train, test, train_labels, test_labels = train_test_split(
        features,
        labels,
        test_size=hyperparameters.test_fraction,
        random_state=hyperparameters.seed,
        stratify=labels,
    )
    return Split(train, train_labels, test, test_labels)


def pipeline(hyperparameters: Hyperparameters) -> Pipeline:
    """The untrained classifier: standardized measurements into a multinomial logistic regression."""
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=hyperparameters.inverse_regularization,
            max_iter=hyperparameters.max_iterations,
            random_state=hyperparameters.seed,
        ),
    )


def train(hyperparameters: Hyperparameters, output: Path) -> dict[str, object]:
    """Trains, writes model.joblib and metrics.json into `output` (made if need be) and returns the metrics."""
    parts = split(hyperparameters)
    classifier = pipeline(hyperparameters).fit(parts.train, parts.train_labels)
    metrics: dict[str, object] = {
        "trainAccuracy": accuracy_score(parts.train_labels, classifier.predict(parts.train)),
        "testAccuracy": accuracy_score(parts.test_labels, classifier.predict(parts.test)),
        "testLogLoss": log_loss(parts.test_labels, classifier.predict_proba(parts.test), labels=classifier.classes_),
        "trainRows": len(parts.train),
        "testRows": len(parts.test),
        "hyperparameters": asdict(hyperparameters),
        "scikitLearn": sklearn.__version__,
    }
    output.mkdir(parents=True, exist_ok=True)
    joblib.dump(classifier, output / paths.ARTEFACT)
    (output / paths.METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return metrics


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model-dir", type=Path, default=paths.model_dir(), help="where to write (default: %(default)s)"
    )
    for field in fields(Hyperparameters):
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, metavar=field.type.__name__.upper(), help=f"default: {field.default}")  # type: ignore[union-attr]  # annotations are types here
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains with SageMaker's hyperparameters.json, each flag in its place; 1 with the reason on stderr if unfit."""
    arguments = _arguments(argv)
    flags = {name: value for name, value in vars(arguments).items() if name != "model_dir" and value is not None}
    try:
        hyperparameters = Hyperparameters.load(paths.hyperparameters_file()).override(flags)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(train(hyperparameters, arguments.model_dir)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
