"""The trained artefact, loaded and proven to predict."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import joblib
import numpy as np
from sklearn.pipeline import Pipeline

from model import paths
from model.codec import Predictions
from model.tables import Array


@dataclass(frozen=True, slots=True)
class Predictor:
    """A classifier, the names of its measurements, and the revision that it is of. Safe to share between threads."""

    classifier: Pipeline
    columns: tuple[str, ...]
    revision: str

    @classmethod
    def load(cls, folder: Path, revision: str) -> Self:
        """Loads model.joblib from `folder`, which must be trusted: unpickling runs code.

        Raises:
            FileNotFoundError: there is no artefact.
            ValueError: the artefact is no classifier of the measurements that columns.json names.
        """
        classifier = joblib.load(folder / paths.ARTEFACT)
        columns = tuple(json.loads((folder / paths.COLUMNS).read_text(encoding="utf-8")))
        if getattr(classifier, "n_features_in_", None) != len(columns) or not hasattr(classifier, "predict_proba"):
            raise ValueError(f"{folder / paths.ARTEFACT} is no classifier of {len(columns)} measurements")
        predictor = cls(classifier, columns, revision)
        predictor.check()
        return predictor

    def predict(self, features: Array) -> Predictions:
        """Classifies rows of shape (n, len(columns))."""
        probabilities = self.classifier.predict_proba(features)
        return Predictions(tuple(map(str, self.classifier.classes_)), probabilities, self.revision)

    def check(self) -> None:
        """Classifies one made-up row.

        Raises:
            ValueError: the answer is no probability distribution.
        """
        total = self.predict(np.zeros((1, len(self.columns)))).probabilities.sum()
        if not np.isclose(total, 1):
            raise ValueError(f"the probabilities of one row add up to {total}")
