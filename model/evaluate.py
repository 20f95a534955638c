"""Judges a trained model: `python -m model evaluate`, in a SageMaker processing job or on a laptop.

Reads a model and the CSV files of `--test`; writes evaluation.json.
"""

import argparse
import json
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, log_loss

from model import jobs, paths, tables
from model.predictor import Predictor
from model.tables import Table

_RESAMPLES = 200
_SEED = 7


def evaluate(predictor: Predictor, test: Table) -> dict[str, object]:
    """Metrics on rows that training has not seen; the deviation is that over samples with replacement.

    The document is a model quality report as SageMaker's model registry and pipeline conditions read it
    (https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html).

    Raises:
        ValueError: the rows have other columns or labels than the model.
    """
    if test.columns != predictor.columns:
        raise ValueError("the test data has other columns than the data that the model was trained with")
    answer = predictor.predict(test.features)
    if unknown := sorted(set(test.labels.tolist()) - set(answer.classes)):
        raise ValueError(f"the model knows no label {', '.join(unknown)}")
    correct = np.array(answer.labels) == test.labels
    samples = np.random.default_rng(_SEED).choice(correct, size=(_RESAMPLES, len(correct)))
    matrix = confusion_matrix(test.labels, answer.labels, labels=answer.classes)
    return {
        "multiclass_classification_metrics": {
            "accuracy": {
                "value": float(correct.mean()),
                "standard_deviation": float(samples.mean(axis=1).std()),
            },
            "weighted_f1": {"value": float(f1_score(test.labels, answer.labels, average="weighted"))},
            "log_loss": {"value": float(log_loss(test.labels, answer.probabilities, labels=answer.classes))},
            "confusion_matrix": {
                label: dict(zip(answer.classes, row, strict=True))
                for label, row in zip(answer.classes, matrix.tolist(), strict=True)
            },
        },
    }


def _load(model: Path) -> Predictor:
    """Loads a model from its folder, or from the archive of it that a training job left there."""
    if not (model / paths.ARCHIVE).exists():
        return Predictor.load(model, revision="")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(model / paths.ARCHIVE) as archive:
            archive.extractall(folder, filter="data")
        return Predictor.load(Path(folder), revision="")


def main(argv: Sequence[str] | None = None) -> int:
    """Writes and prints the report; 1 with the reason if it cannot."""
    parser = argparse.ArgumentParser(prog="python -m model evaluate", description=__doc__)
    model_help = f"folder of a model or of its {paths.ARCHIVE} (default: %(default)s)"
    parser.add_argument("--model-dir", type=Path, default=paths.processing_dir("model"), help=model_help)
    parser.add_argument("--test", type=Path, default=paths.processing_dir(paths.TEST), help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=paths.processing_dir("evaluation"), help="default: %(default)s")
    arguments = parser.parse_args(argv)

    def job() -> dict[str, object]:
        report = evaluate(_load(arguments.model_dir), tables.read(arguments.test))
        arguments.output.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report, indent=2, allow_nan=False)
        (arguments.output / paths.EVALUATION).write_text(f"{text}\n", encoding="utf-8")
        return report

    return jobs.run(job, paths.message_file())


if __name__ == "__main__":
    raise SystemExit(main())
