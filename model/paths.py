"""Where SageMaker puts and expects files, and the variables that move them elsewhere.

Training: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
Processing: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
"""

import os
from pathlib import Path

ARTEFACT = "model.joblib"
COLUMNS = "columns.json"
METRICS = "metrics.json"
EVALUATION = "evaluation.json"
ARCHIVE = "model.tar.gz"
TRAIN, VALIDATION, TEST = "train", "validation", "test"
"""The parts of the data: channels of a training job, and folders of processing jobs."""


def base_dir() -> Path:
    """SageMaker's folder: /opt/ml, or what SAGEMAKER_BASE_DIR names."""
    return Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")


def model_dir() -> Path:
    """SageMaker's model folder: /opt/ml/model, or what SM_MODEL_DIR names."""
    named = os.environ.get("SM_MODEL_DIR")
    return Path(named) if named else base_dir() / "model"


def artefact_dir() -> Path:
    """The folder to serve from: SageMaker's if there is an artefact in it, else BUILT_IN_MODEL_DIR, set by the image.

    The image build does not write to /opt/ml, because SageMaker mounts over it.
    """
    mounted = model_dir()
    built_in = os.environ.get("BUILT_IN_MODEL_DIR")
    return mounted if (mounted / ARTEFACT).exists() or not built_in else Path(built_in)


def hyperparameters_file() -> Path:
    """The hyperparameters of a training job."""
    return base_dir() / "input" / "config" / "hyperparameters.json"


def channel_dir(name: str) -> Path:
    """The data of a training job's channel."""
    return base_dir() / "input" / "data" / name


def checkpoint_dir() -> Path:
    """What SageMaker synchronizes with S3 while a training job runs; there is none without a CheckpointConfig."""
    return base_dir() / "checkpoints"


def processing_dir(name: str) -> Path:
    """An input or an output of a processing job."""
    return base_dir() / "processing" / name


def failure_file() -> Path:
    """Why a training job failed: the FailureReason of SageMaker's answer has what stands here."""
    return base_dir() / "output" / "failure"


def message_file() -> Path:
    """What a processing job says: the ExitMessage of SageMaker's answer has what stands here."""
    return base_dir() / "output" / "message"
