"""Where SageMaker puts and expects files, and the variables that move them elsewhere."""

import os
from pathlib import Path

ARTEFACT = "model.joblib"
METRICS = "metrics.json"


def model_dir() -> Path:
    """SageMaker's model folder: /opt/ml/model, or what SM_MODEL_DIR names."""
    return Path(os.environ.get("SM_MODEL_DIR") or "/opt/ml/model")


def artefact_dir() -> Path:
    """The folder to serve from: SageMaker's if there is an artefact in it, else BUILT_IN_MODEL_DIR, set by the image.

    The image build does not write to /opt/ml, because SageMaker mounts over it.
    """
    mounted = model_dir()
    built_in = os.environ.get("BUILT_IN_MODEL_DIR")
    return mounted if (mounted / ARTEFACT).exists() or not built_in else Path(built_in)


def hyperparameters_file() -> Path:
    """The hyperparameters of a training job, below /opt/ml/input/config or what SM_INPUT_CONFIG_DIR names."""
    return Path(os.environ.get("SM_INPUT_CONFIG_DIR") or "/opt/ml/input/config") / "hyperparameters.json"
