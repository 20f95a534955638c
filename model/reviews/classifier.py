"""A naive Bayes classifier: how the author of a review felt, from its words and pairs of words."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

from model.reviews import words
from model.reviews.corpus import LABELS, Review

ARTEFACT: Final = "classifier.json"


@dataclass(frozen=True, slots=True)
class Classifier:
    """Classifies texts. ``counts`` has how often a word or a pair stood in the reviews of each label."""

    counts: Mapping[str, Mapping[str, int]]

    @classmethod
    def learn(cls, reviews: Iterable[Review]) -> Self:
        """The classifier of labelled reviews."""
        counts: dict[str, Counter[str]] = {label: Counter() for label in LABELS}
        for review in reviews:
            counts[review.label].update(_features(review.text))
        return cls(counts)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The trained classifier."""
        return cls(json.loads((folder / ARTEFACT).read_text(encoding="utf-8")))

    def save(self, folder: Path) -> None:
        """Write the artefact; equal reviews yield equal bytes."""
        content = json.dumps(self.counts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        (folder / ARTEFACT).write_text(content, encoding="utf-8")

    def classify(self, text: str) -> dict[str, float]:
        """The probability of each label; they add up to 1. What was never seen says nothing."""
        known = {feature for found in self.counts.values() for feature in found}
        features = [each for each in _features(text) if each in known]
        logs = {label: self._log(label, features, len(known)) for label in LABELS}
        most = max(logs.values())
        shares = {label: math.exp(each - most) for label, each in logs.items()}
        return {label: share / sum(shares.values()) for label, share in shares.items()}

    def _log(self, label: str, features: Iterable[str], known: int) -> float:
        counts = self.counts[label]
        total = sum(counts.values()) + known
        return sum(math.log((counts.get(each, 0) + 1) / total) for each in features)


def accuracy(classifier: Classifier, reviews: Iterable[Review]) -> float:
    """The share of reviews whose label it finds."""
    found = [_best(classifier.classify(each.text)) == each.label for each in reviews]
    return sum(found) / len(found)


def _best(scores: Mapping[str, float]) -> str:
    return max(sorted(scores), key=lambda label: scores[label])


def _features(text: str) -> list[str]:
    found = [each.lower() for each in words.split(text)]
    return [*found, *(" ".join(pair) for pair in pairwise(found))]
