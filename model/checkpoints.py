"""What an interrupted training job goes on from: SageMaker copies the folder to S3, and back for the next try."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from sklearn.pipeline import Pipeline

from model.tables import Table

_NAME = "checkpoint.joblib"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A classifier that is not done yet."""

    classifier: Pipeline
    iterations: int


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The last checkpoint of one training.

    Attributes:
        folder: where it is; nothing is kept if there is no such folder.
        fingerprint: of the training; a checkpoint of another one is none.
    """

    folder: Path
    fingerprint: str

    def load(self) -> Checkpoint | None:
        """Returns the last checkpoint if there is one of this training; the folder must be trusted."""
        try:
            fingerprint, checkpoint = joblib.load(self.folder / _NAME)
        except FileNotFoundError:
            return None
        return checkpoint if fingerprint == self.fingerprint and isinstance(checkpoint, Checkpoint) else None

    def save(self, checkpoint: Checkpoint) -> None:
        """Replaces the last checkpoint in one step: SageMaker copies at any time."""
        if self.folder.is_dir():
            unfinished = self.folder / f".{_NAME}"
            joblib.dump((self.fingerprint, checkpoint), unfinished)
            unfinished.replace(self.folder / _NAME)


def fingerprint(table: Table, hyperparameters: Mapping[str, object]) -> str:
    """A hash of all that a training depends on."""
    digest = hashlib.sha256(json.dumps([table.columns, hyperparameters], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(table.features).tobytes())
    digest.update("\0".join(table.labels.tolist()).encode())
    return digest.hexdigest()
