"""Trains both models: `python -m model.reviews train --output DIR`, on a laptop or in an image build."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from model.reviews.classifier import Classifier, accuracy
from model.reviews.corpus import reviews
from model.reviews.generator import Generator

_COUNT: Final = 2_000
_HELD_OUT: Final = 500


def train(output: Path, seed: int) -> dict[str, object]:
    """Writes generator.json, classifier.json and metrics.json into the folder; returns the metrics."""
    corpus = reviews(_COUNT, seed)
    # Those of another seed are of the same grammar; what the classifier has learned by heart does not count.
    known = {each.text for each in corpus}
    held_out = [each for each in reviews(_COUNT, seed + 1) if each.text not in known][:_HELD_OUT]
    classifier, generator = Classifier.learn(corpus), Generator.learn(each.text for each in corpus)
    metrics: dict[str, object] = {
        "accuracy": accuracy(classifier, held_out),
        "reviews": len(corpus),
        "heldOut": len(held_out),
        "contexts": len(generator.followers),
        "seed": seed,
    }
    output.mkdir(parents=True, exist_ok=True)
    generator.save(output)
    classifier.save(output)
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return metrics


def main(argv: Sequence[str]) -> int:
    """Trains with a seed, and prints the metrics."""
    parser = argparse.ArgumentParser(prog="python -m model.reviews train", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=7, help="of the corpus (default: %(default)s)")
    arguments = parser.parse_args(argv)
    sys.stdout.write(json.dumps(train(arguments.output, arguments.seed)) + "\n")
    return 0
