"""Judges a trained model: `python -m model.evaluate --output DIR` writes evaluation.json and confusion_matrix.svg."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import joblib
import matplotlib as mpl
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, confusion_matrix, f1_score, log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline

from model import paths
from model.hyperparameters import Hyperparameters
from model.train import Split, data, pipeline, split

FOLDS = 5


def evaluate(classifier: Pipeline, hyperparameters: Hyperparameters) -> dict[str, object]:
    """Metrics on what training held out, and the cross-validated accuracy of its recipe over all data.

    The document is a model quality report as SageMaker's model registry and pipeline conditions read it
    (https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html).
    """
    held_out = split(hyperparameters)
    predicted = classifier.predict(held_out.test)
    probabilities = classifier.predict_proba(held_out.test)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=hyperparameters.seed)
    scores = cross_val_score(pipeline(hyperparameters), *data(), cv=folds)
    matrix = confusion_matrix(held_out.test_labels, predicted, labels=classifier.classes_)
    return {
        "multiclass_classification_metrics": {
            "accuracy": {"value": accuracy_score(held_out.test_labels, predicted)},
            "macro_f1": {"value": f1_score(held_out.test_labels, predicted, average="macro")},
            "log_loss": {"value": log_loss(held_out.test_labels, probabilities, labels=classifier.classes_)},
            "cross_validated_accuracy": {"value": scores.mean(), "standard_deviation": scores.std()},
            "confusion_matrix": {
                str(label): dict(zip(map(str, classifier.classes_), row, strict=True))
                for label, row in zip(classifier.classes_, matrix.tolist(), strict=True)
            },
        },
    }


def draw(classifier: Pipeline, held_out: Split, path: Path) -> None:
    """Draws the confusion matrix of the held-out wines; the format is the suffix of `path` (SVG is repeatable)."""
    with mpl.rc_context({"svg.hashsalt": path.stem}):
        figure = Figure(figsize=(5, 4), layout="constrained")
        axes = figure.subplots()
        display = ConfusionMatrixDisplay.from_estimator(
            classifier, held_out.test, held_out.test_labels, ax=axes, cmap="Blues"
        )
        display.ax_.set(title=f"{len(held_out.test)} held-out wines", xlabel="predicted", ylabel="true")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates the artefact of `--model-dir` with the split that it was trained on; 1 if there is none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=paths.model_dir(), help="what train wrote")
    parser.add_argument("--output", type=Path, default=Path(), help="folder of the report (default: here)")
    arguments = parser.parse_args(argv)
    try:
        classifier = joblib.load(arguments.model_dir / paths.ARTEFACT)
        metrics = json.loads((arguments.model_dir / paths.METRICS).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        sys.stderr.write(f"{error.filename} is missing: run `python -m model.train` first\n")
        return 1
    hyperparameters = Hyperparameters(**metrics["hyperparameters"])
    report = evaluate(classifier, hyperparameters)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    draw(classifier, split(hyperparameters), arguments.output / "confusion_matrix.svg")
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
