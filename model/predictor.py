"""The trained artefact, loaded and proven to predict."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import joblib
import numpy as np
from sklearn.pipeline import Pipeline

from model import paths
from model.codec import FEATURES, Array, Predictions


@dataclass(frozen=True, slots=True)
class Predictor:
    """A classifier and the revision that it was trained from. Safe to share between threads."""

    classifier: Pipeline
    revision: str

    @classmethod
    def load(cls, folder: Path, revision: str) -> Self:
        """Loads model.joblib from `folder`, which must be trusted: unpickling runs code.

        Raises:
            FileNotFoundError: there is no artefact.
            ValueError: the artefact is no classifier of our thirteen measurements.
        """
        classifier = joblib.load(folder / paths.ARTEFACT)
        if getattr(classifier, "n_features_in_", None) != len(FEATURES) or not hasattr(classifier, "predict_proba"):
            raise ValueError(f"{folder / paths.ARTEFACT} is no classifier of {len(FEATURES)} measurements")
        predictor = cls(classifier, revision)
        predictor.check()
        return predictor

    def predict(self, features: Array) -> Predictions:
        """Classifies rows of shape (n, 13)."""
        probabilities = self.classifier.predict_proba(features)
        return Predictions(tuple(map(str, self.classifier.classes_)), probabilities, self.revision)

    def check(self) -> None:
        """Classifies one made-up wine.

        Raises:
            ValueError: the answer is no probability distribution.
        """
        total = self.predict(np.zeros((1, len(FEATURES)))).probabilities.sum()
        if not np.isclose(total, 1):
            raise ValueError(f"the probabilities of one wine add up to {total}")
