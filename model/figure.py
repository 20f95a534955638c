"""Draws the confusion matrix of a report: `python -m model.figure EVALUATION.json FIGURE.svg`. Needs matplotlib."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay


def draw(matrix: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Draws the numbers of rows by true and predicted label; the suffix is the format (SVG is repeatable)."""
    counts = np.array([list(row.values()) for row in matrix.values()])
    with mpl.rc_context({"svg.hashsalt": path.stem}):
        figure = Figure(figsize=(5, 4), layout="constrained")
        axes = figure.subplots()
        ConfusionMatrixDisplay(counts, display_labels=list(matrix)).plot(ax=axes, cmap="Blues")
        axes.set(title=f"{counts.sum()} rows", xlabel="predicted", ylabel="true")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the figure."""
    parser = argparse.ArgumentParser(prog="python -m model.figure", description=__doc__)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("figure", type=Path)
    arguments = parser.parse_args(argv)
    report = json.loads(arguments.evaluation.read_text(encoding="utf-8"))
    draw(report["multiclass_classification_metrics"]["confusion_matrix"], arguments.figure)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
